"""Which beacons are alive and which are replays: without clocks, and without anything stored.

A signature proves who wrote a beacon, not when. So a boot of a peer (the nonce that its agent draws
at each start) is believed only after a beacon of that boot echoed *our* boot nonce: it must have
been written since we started. Within a believed boot the sequence number must grow.
"""

from __future__ import annotations

import enum
from collections import deque
from dataclasses import dataclass, field

from overlay_runtime.beacon.wire import Beacon

_REMEMBERED_BOOTS = 256


class Verdict(enum.Enum):
    """What to do with a beacon whose signature is right."""

    FRESH = "fresh"
    """Written by that host just now, or at least after everything known of it: act on it."""

    UNPROVEN = "unproven"
    """A boot not known yet: answer with its nonce as echo, and change nothing until it echoes."""

    STALE = "stale"
    """Older than what is known: a replay, a duplicate or a packet out of order. Ignore it."""


@dataclass
class _Known:
    boot: str
    seq: int
    # Boots that were followed by another one: a recording of them must never win again.
    retired: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_BOOTS))


class Freshness:
    """Judges the beacons that reach one boot of this host."""

    def __init__(self, own_boot: str) -> None:
        self._own_boot = own_boot
        self._known: dict[str, _Known] = {}

    def judge(self, beacon: Beacon) -> Verdict:
        """Judge a beacon and remember what it proves."""
        known = self._known.get(beacon.host)
        if known and known.boot == beacon.boot:
            if beacon.seq <= known.seq:
                return Verdict.STALE
            known.seq = beacon.seq
            return Verdict.FRESH
        if known and beacon.boot in known.retired:
            return Verdict.STALE
        if beacon.echo != self._own_boot:
            return Verdict.UNPROVEN
        if known:
            known.retired.append(known.boot)
            known.boot, known.seq = beacon.boot, beacon.seq
        else:
            self._known[beacon.host] = _Known(beacon.boot, beacon.seq)
        return Verdict.FRESH

    def trusted_boot(self, host: str) -> str | None:
        """Return the boot nonce by which `host` is believed, to be echoed to it."""
        known = self._known.get(host)
        return known.boot if known else None


class RateLimit:
    """A token bucket: `rate` a second, bursts of `burst`. The caller brings the time (seconds)."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate, self._burst = rate, burst
        self._tokens, self._then = burst, float("-inf")

    def allow(self, now: float) -> bool:
        """Tell whether one more is allowed now, and count it if so."""
        if self._then != float("-inf"):
            self._tokens = min(self._burst, self._tokens + (now - self._then) * self._rate)
        self._then = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
