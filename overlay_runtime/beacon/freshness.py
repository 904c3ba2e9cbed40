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
from overlay_runtime.recent import Recent

_REMEMBERED_BOOTS = 256
_REMEMBERED_HOSTS = 8192  # twice the peers that there can be
_WINDOW = 64


class Verdict(enum.Enum):
    """What to do with a beacon whose signature is right."""

    FRESH = "fresh"
    """Written by that host just now, or at least after everything known of it: act on it."""

    UNPROVEN = "unproven"
    """A boot not known yet: answer with its nonce as echo, and change nothing until it echoes."""

    LATE = "late"
    """Genuine and not seen before, but overtaken by a newer one (another NIC's path is slower):
    it proves that its path works, and nothing else of it counts."""

    STALE = "stale"
    """A replay, a duplicate, or older than the window: ignore it."""


@dataclass
class _Known:
    boot: str
    seq: int
    # Bit n: sequence number `seq - n` was seen, as in IPsec's window (RFC 4303, 3.4.3).
    seen: int = 1
    # Boots that were followed by another one: a recording of them must never win again.
    retired: deque[str] = field(default_factory=lambda: deque(maxlen=_REMEMBERED_BOOTS))


class Freshness:
    """Judges the beacons that reach one boot of this host."""

    def __init__(self, own_boot: str) -> None:
        self._own_boot = own_boot
        self._known: Recent[str, _Known] = Recent(_REMEMBERED_HOSTS)

    def judge(self, beacon: Beacon) -> Verdict:
        """Judge a beacon and remember what it proves."""
        known = self._known.get(beacon.host)
        if known and known.boot == beacon.boot:
            self._known.put(beacon.host, known)
            return _in_window(known, beacon.seq)
        if known and beacon.boot in known.retired:
            return Verdict.STALE
        if beacon.echo != self._own_boot:
            return Verdict.UNPROVEN
        if known:
            known.retired.append(known.boot)
            known.boot, known.seq, known.seen = beacon.boot, beacon.seq, 1
        else:
            self._known.put(beacon.host, _Known(beacon.boot, beacon.seq))
        return Verdict.FRESH

    def trusted_boot(self, host: str) -> str | None:
        """Return the boot nonce by which `host` is believed, to be echoed to it."""
        known = self._known.get(host)
        return known.boot if known else None


def _in_window(known: _Known, seq: int) -> Verdict:
    ahead = seq - known.seq
    if ahead > 0:
        known.seen = (known.seen << ahead | 1) & ((1 << _WINDOW) - 1) if ahead < _WINDOW else 1
        known.seq = seq
        return Verdict.FRESH
    bit = 1 << -ahead
    if -ahead >= _WINDOW or known.seen & bit:
        return Verdict.STALE
    known.seen |= bit
    return Verdict.LATE


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
