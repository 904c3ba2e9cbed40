"""Which beacons are alive and which are replays: without clocks, and without anything stored.

A signature proves who wrote a beacon, not when. So a boot of a peer (the nonce that its agent draws
at each start) is believed only after a beacon of that boot echoed *our* boot nonce: it must have
been written since we started. Within a believed boot the sequence number must grow.

A new boot of a host that was heard just now is either its restart, and comes from the same NICs, or
a copy of its disk. Then the old boot is asked: while it speaks, the copy is refused.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from overlay_runtime.beacon.model import Beacon
from overlay_runtime.recent import Recent

_REMEMBERED_BOOTS = 256
_REMEMBERED_HOSTS = 8192  # twice the peers that there can be
_WINDOW = 64
"""A larger one would hide a machine that was put back by as many beacons, until it catches up."""
_SILENT_BEACONS = 3.5

CONTEST_SECONDS = 1.0
"""So long an old boot may take to answer before a new one from other NICs takes its place."""

_GHOST_BEACONS = 3
"""So many new beacons of a boot that was replaced prove that it still lives."""


class Verdict(enum.Enum):
    """What to do with a beacon whose signature is right."""

    FRESH = "fresh"
    """Written by that host just now, or at least after everything known of it: act on it."""

    UNPROVEN = "unproven"
    """A boot not known yet: answer with its nonce as echo, and change nothing until it echoes."""

    LATE = "late"
    """Genuine and not seen before, but overtaken by a newer one (another NIC's path is slower):
    it proves that its path works, and nothing else of it counts."""

    CONTESTED = "contested"
    """Alive, but so may be another machine with this host id: ask that one, change nothing."""

    REVERTED = "reverted"
    """Of the believed boot, from long before: a replay, or a machine put back to a snapshot, which
    must be told so."""

    STALE = "stale"
    """A replay, a duplicate, a refused copy: ignore it."""


@dataclass
class _Rival:
    boot: str
    since: float
    at: float
    name: str
    refused: bool = False


@dataclass
class _Known:
    boot: str
    seq: int
    at: float
    patience: float
    home: frozenset[object]
    """What tells this machine from a copy of it."""
    # Bit n: sequence number `seq - n` was seen, as in IPsec's window (RFC 4303, 3.4.3).
    seen: int = 1
    # Boots that were followed by another one, with their last sequence numbers: a recording of them
    # must never win again.
    retired: Recent[str, int] = field(default_factory=lambda: Recent(_REMEMBERED_BOOTS))
    rival: _Rival | None = None
    ghosts: int = 0
    ghost_at: float = float("-inf")


class Freshness:
    """Judges the beacons that reach one boot of this host. Times are seconds of any one clock."""

    def __init__(self, own_boot: str) -> None:
        self._own_boot = own_boot
        self._known: Recent[str, _Known] = Recent(_REMEMBERED_HOSTS)

    def judge(self, beacon: Beacon, now: float = 0.0) -> Verdict:
        """Judge a beacon and remember what it proves."""
        known = self._known.get(beacon.host)
        if known and known.boot == beacon.boot:
            self._known.put(beacon.host, known)
            return _of_the_believed(known, beacon, now)
        if known and beacon.boot in known.retired:
            _note_ghost(known, beacon, now)
            return Verdict.STALE
        if beacon.echo != self._own_boot:
            return Verdict.UNPROVEN
        retired: Recent[str, int] = Recent(_REMEMBERED_BOOTS)
        if known:
            verdict = _successor(known, beacon, now)
            if verdict is not Verdict.FRESH:
                return verdict
            retired = known.retired
            retired.put(known.boot, known.seq)
        self._known.put(
            beacon.host,
            _Known(beacon.boot, beacon.seq, now, _SILENT_BEACONS * beacon.interval, _home(beacon),
                   retired=retired),
        )  # fmt: skip
        return Verdict.FRESH

    def trusted_boot(self, host: str) -> str | None:
        """Return the boot nonce by which `host` is believed, to be echoed to it."""
        known = self._known.get(host)
        return known.boot if known else None

    def newest(self, host: str) -> int | None:
        """Return the highest sequence number of the believed boot of a host."""
        known = self._known.get(host)
        return known.seq if known else None

    def duplicates(self, now: float) -> dict[str, str]:
        """Return the hosts of which two machines have lately spoken, each with the name by which
        the one that isn't believed calls itself."""
        found = {}
        for host, known in self._known.items():
            rival = known.rival
            if rival and rival.refused and now - rival.at <= known.patience:
                found[host] = rival.name
            elif known.ghosts >= _GHOST_BEACONS and now - known.ghost_at <= known.patience:
                found[host] = "a machine with the same MAC addresses"
        return found


def _of_the_believed(known: _Known, beacon: Beacon, now: float) -> Verdict:
    verdict = _in_window(known, beacon.seq)
    if verdict is Verdict.FRESH:
        known.at, known.patience = now, _SILENT_BEACONS * beacon.interval
        known.home = _home(beacon)
        if known.rival and now - known.rival.at <= known.patience:
            known.rival.refused = True  # it spoke after the other had come
    return verdict


def _successor(known: _Known, beacon: Beacon, now: float) -> Verdict:
    """Judge a living boot that is not the believed one."""
    if now - known.at > known.patience or known.home & _home(beacon):
        return Verdict.FRESH
    rival = known.rival
    if rival is None or rival.boot != beacon.boot:
        known.rival = _Rival(beacon.boot, now, now, beacon.name)
        return Verdict.CONTESTED
    rival.at = now
    if rival.refused:
        return Verdict.STALE
    return Verdict.FRESH if now - rival.since >= CONTEST_SECONDS else Verdict.CONTESTED


def _note_ghost(known: _Known, beacon: Beacon, now: float) -> None:
    if beacon.seq > known.retired.get(beacon.boot, 0):
        known.retired.put(beacon.boot, beacon.seq)
        known.ghosts = known.ghosts + 1 if now - known.ghost_at <= known.patience else 1
        known.ghost_at = now


def _home(beacon: Beacon) -> frozenset[object]:
    """Return the link-local addresses, which hang on the NICs' MAC addresses; else the others."""
    link_local = frozenset(a for nic in beacon.nics for a in nic.ll)
    return link_local or frozenset(a for nic in beacon.nics for a in nic.v4)


def _in_window(known: _Known, seq: int) -> Verdict:
    ahead = seq - known.seq
    if ahead > 0:
        known.seen = (known.seen << ahead | 1) & ((1 << _WINDOW) - 1) if ahead < _WINDOW else 1
        known.seq = seq
        return Verdict.FRESH
    if -ahead >= _WINDOW:
        return Verdict.REVERTED
    bit = 1 << -ahead
    if known.seen & bit:
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
