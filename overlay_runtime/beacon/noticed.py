"""What is worth telling about those that are no peers: remembered for a while, and in bounds."""

from __future__ import annotations

from collections.abc import Callable

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.model import Beacon
from overlay_runtime.peer import HEARD_FOR
from overlay_runtime.recent import Recent

_MOST, _FOREIGN_FOR = 32, 300.0


class Noticed:
    """Times are the clock's, in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._foreign: Recent[IPAddress, float] = Recent(_MOST)
        self._twins: Recent[str, tuple[str, float]] = Recent(_MOST)
        self._malformed: tuple[str, float] | None = None

    def foreign(self, source: IPAddress) -> None:
        """Somebody sent what isn't signed with our secret."""
        self._foreign.put(source, self._clock())

    def malformed(self, source: IPAddress, error: Exception) -> None:
        """Somebody who knows our secret sent what can't be understood."""
        text = f"a beacon from {source}, signed with our secret, is not understood: {error}"
        self._malformed = f"{text}; another version?", self._clock()

    def twin(self, beacon: Beacon) -> bool:
        """A living host signs with this host's id; return whether that is new."""
        new = beacon.name not in {name for name, _ in self._twins.values()}
        self._twins.put(beacon.host, (beacon.name, self._clock()))
        return new

    def twins(self) -> dict[str, str]:
        """Return host id → name of who lately used this host's id."""
        now = self._clock()
        return {h: name for h, (name, at) in self._twins.items() if now - at <= HEARD_FOR}

    def strangers(self) -> dict[IPAddress, float]:
        """Return who lately sent what isn't signed with our secret, and when."""
        now = self._clock()
        return {source: at for source, at in self._foreign.items() if now - at <= _FOREIGN_FOR}

    def fault(self) -> str | None:
        """Tell of a host that lately sent a beacon with our secret that can't be understood."""
        if self._malformed and self._clock() - self._malformed[1] <= HEARD_FOR:
            return self._malformed[0]
        return None
