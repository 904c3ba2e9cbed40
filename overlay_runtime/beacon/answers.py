"""Which hosts are answered, and when: so that meeting each other is no storm."""

from __future__ import annotations

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.freshness import RateLimit
from overlay_runtime.beacon.model import Beacon
from overlay_runtime.peers import MAX_PEERS
from overlay_runtime.recent import Recent

_PER_HOST = (2.0, 6.0)
_IN_ALL = (200.0, 400.0)
"""A second, and at once. 1000 hosts that start in the same second find each other in some seconds,
and their segment carries 200,000 beacons a second at most."""

_TOLD_LATELY = 0.25
"""Seconds in which a host that was answered at an address need not be answered there again: both
ask each other when they meet, and each answer is an answer to both questions."""

_CROWD = (32.0, 32.0)
_AFTER_YOU = 0.05
"""Where more strangers than that turn up in a second, the one with the lower host id asks, and the
other only if it wasn't asked by then: half the packets."""


class Answers:
    """What this boot has answered. Times are seconds of any one clock."""

    def __init__(self, own_host: str) -> None:
        self._own_host = own_host
        self._per_host: Recent[str, RateLimit] = Recent(MAX_PEERS)
        self._told: Recent[tuple[str, IPAddress], float] = Recent(2 * MAX_PEERS)
        self._in_all = RateLimit(*_IN_ALL)
        self._few = RateLimit(*_CROWD)

    def wait(self, beacon: Beacon, now: float) -> float:
        """Return for how many seconds to wait for the question of a stranger, before asking it."""
        return 0.0 if self._few.allow(now) or beacon.host > self._own_host else _AFTER_YOU

    def needless(self, beacon: Beacon, source: IPAddress, now: float) -> bool:
        """Whether an answer that asks nothing would only repeat what was just said."""
        told = self._told.get((beacon.boot, source), float("-inf"))
        return beacon.echo is not None and now - told < _TOLD_LATELY

    def allow(self, beacon: Beacon, source: IPAddress, now: float, *, limited: bool) -> bool:
        """Whether one more may be sent; if so, count it. `limited`: by host too."""
        limit = self._per_host.get(beacon.host) or RateLimit(*_PER_HOST)
        self._per_host.put(beacon.host, limit)
        if (limited and not limit.allow(now)) or not self._in_all.allow(now):
            return False
        self._told.put((beacon.boot, source), now)
        return True
