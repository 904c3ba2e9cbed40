"""Sends this host's beacons and takes in those of others: discovery by broadcast.

Another engine (EVPN) would take this module's place: it fills the same peer table.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.freshness import Freshness, RateLimit, Verdict
from overlay_runtime.beacon.sockets import BeaconSockets
from overlay_runtime.beacon.wire import BadBeacon, Beacon, decode, encode
from overlay_runtime.peers import Peer, PeerTable
from overlay_runtime.underlay import Nic

log = logging.getLogger(__name__)

_ANSWERS_PER_HOST = (2.0, 6.0)
_ANSWERS_IN_ALL = (400.0, 400.0)
_UNICASTS_A_ROUND = 64
"""Regular beacons go to so many peers by unicast, in turn: to each of 1000 hosts from each of 1000
hosts would be a storm. A change is told to every peer at once all the same."""


class BeaconExchange:
    """One host's side of the conversation. `describe` returns its present beacon, without seq."""

    def __init__(
        self,
        key: bytes,
        describe: Callable[[], Beacon],
        table: PeerTable,
        changed: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        """`changed` is called when a peer came or changed; `clock` returns seconds (BOOTTIME)."""
        self._key = key
        self._describe = describe
        self._table = table
        self._changed = changed
        self._clock = clock
        self._own_boot = describe().boot
        self._freshness = Freshness(self._own_boot)
        self._seq = 0
        self._turn = 0
        self._per_host: dict[str, RateLimit] = {}
        self._in_all = RateLimit(*_ANSWERS_IN_ALL)
        self.sockets: BeaconSockets | None = None
        self.is_ours: Callable[[int], bool] = lambda _ifindex: False
        self.duplicate: str | None = None
        """Set when another living host signs with this host's id (a cloned disk)."""
        self.unsent = False
        """Whether the last announcement missed somebody for want of a route: worth repeating when
        the routes change."""
        self.bad = 0
        """Datagrams refused: not signed with our secret, or malformed."""

    def announce(self, nics: Iterable[Nic], static: Iterable[IPAddress], *, everyone: bool) -> None:
        """Send a beacon to every segment, to static peers, and by unicast to known peers."""
        if self.sockets is None:
            return
        nics = list(nics)
        beacon = self._describe()
        reached: set[IPAddress] = set()
        self.unsent = False
        for peer in self._round(everyone):
            if peer.transport:
                reached.add(peer.transport.remote)
                self.unsent |= not self._send_to(peer, beacon)
        for nic in nics:
            data = self._sealed(beacon)
            if nic.v4:
                self.sockets.broadcast4(data, nic.index, nic.v4[0].ip)
            if nic.ll:
                self.sockets.multicast6(self._sealed(beacon), nic.index)
        for remote in static:
            if remote not in reached:
                self.unsent |= not self.sockets.unicast(self._sealed(beacon), remote, None)

    def received(self, data: bytes, source: IPAddress, ifindex: int) -> None:
        """Take in a datagram. Never raises: whatever it is, it came from outside."""
        if self.is_ours(ifindex):
            return  # the overlay must not discover itself through itself
        try:
            beacon = decode(data, self._key)
        except BadBeacon as error:
            self.bad += 1
            log.debug("datagram from %s refused: %s", source, error)
            return
        own = self._describe()
        if beacon.host == own.host and beacon.boot == own.boot:
            return  # our own broadcast
        verdict = self._freshness.judge(beacon)
        now = self._clock()
        if verdict is Verdict.UNPROVEN or (beacon.ask and verdict is Verdict.FRESH):
            self._answer(beacon, source, ifindex, now, ask=verdict is Verdict.UNPROVEN)
        if verdict is Verdict.LATE:
            self._table.heard_path(beacon, source, ifindex, now)
        if verdict is Verdict.FRESH:
            self._believe(own, beacon, source, ifindex, now)

    def _believe(
        self, own: Beacon, beacon: Beacon, source: IPAddress, ifindex: int, now: float
    ) -> None:
        if beacon.host == own.host:
            if self.duplicate != beacon.name:
                self.duplicate = beacon.name
                self._changed()
            return
        why = _mismatch(own, beacon)
        if why:
            changed = self._table.reject(beacon, why)
        else:
            changed = self._table.heard(beacon, source, ifindex, now)
        if changed:
            self._changed()

    def _answer(
        self, beacon: Beacon, source: IPAddress, ifindex: int, now: float, *, ask: bool
    ) -> None:
        listed: set[IPAddress] = set()
        for nic in beacon.nics:
            listed.update(nic.v4)
            listed.update(nic.ll)
        limit = self._per_host.setdefault(beacon.host, RateLimit(*_ANSWERS_PER_HOST))
        # Only to where the signed body says the host is: a forged source is no mirror.
        if self.sockets is None or source not in listed:
            return
        if not limit.allow(now) or not self._in_all.allow(now):
            return
        known = self._table.peers.get(beacon.host)
        answer = replace(
            self._describe(), echo=beacon.boot, ask=ask, yours=known.address if known else None
        )
        self.sockets.unicast(self._sealed(answer), source, ifindex)

    def _send_to(self, peer: Peer, beacon: Beacon) -> bool:
        if self.sockets is None or peer.transport is None:
            return False
        directed = replace(beacon, echo=self._freshness.trusted_boot(peer.id), yours=peer.address)
        transport = peer.transport
        return self.sockets.unicast(self._sealed(directed), transport.remote, transport.via)

    def _round(self, everyone: bool) -> list[Peer]:
        peers = sorted(self._table.peers.values(), key=lambda peer: peer.id)
        if everyone or len(peers) <= _UNICASTS_A_ROUND:
            return peers
        self._turn = (self._turn + _UNICASTS_A_ROUND) % len(peers)
        return (peers + peers)[self._turn : self._turn + _UNICASTS_A_ROUND]

    def _sealed(self, beacon: Beacon) -> bytes:
        self._seq += 1
        return encode(replace(beacon, seq=self._seq), self._key)


def _mismatch(own: Beacon, other: Beacon) -> str | None:
    """Say why a host that knows the secret can't be in the same overlay, or None."""
    for what in ("cidr", "vni", "port"):
        theirs, ours = getattr(other, what), getattr(own, what)
        if theirs != ours:
            return f"it has {what} {theirs}, this host has {ours}"
    return None
