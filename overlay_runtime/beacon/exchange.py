"""Sends this host's beacons and takes in those of others: discovery by broadcast.

Another engine (EVPN) would take this module's place: it fills the same peer table.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.freshness import Freshness, RateLimit, Verdict
from overlay_runtime.beacon.sockets import BeaconSockets
from overlay_runtime.beacon.wire import BadBeacon, Beacon, MalformedBeacon, decode, encode
from overlay_runtime.counters import Counters
from overlay_runtime.peers import HEARD_FOR, MAX_PEERS, Peer, PeerTable, Transport
from overlay_runtime.recent import Recent
from overlay_runtime.underlay import Nic

log = logging.getLogger(__name__)

_ANSWERS_PER_HOST = (2.0, 6.0)
_ANSWERS_IN_ALL = (400.0, 400.0)
_MOST_FOREIGN, _FOREIGN_FOR = 32, 300.0
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
        changed: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        """`changed` is told the host id of a peer that came or changed; `clock` returns seconds
        (BOOTTIME)."""
        self._key = key
        self._describe = describe
        self._table = table
        self._changed = changed
        self._clock = clock
        self._own_boot = describe().boot
        self._freshness = Freshness(self._own_boot)
        self._seq = 0
        self._turn = 0
        self._per_host: Recent[str, RateLimit] = Recent(MAX_PEERS)
        self._in_all = RateLimit(*_ANSWERS_IN_ALL)
        self.sockets: BeaconSockets | None = None
        self.is_ours: Callable[[int], bool] = lambda _ifindex: False
        self.unsure: Callable[[IPAddress], None] = lambda _address: None
        """Called before a host is answered that isn't known at this address: what the ARP cache
        says of it may be about another."""
        self.duplicate: str | None = None
        """Set when another living host signs with this host's id (a cloned disk)."""
        self.unsent: set[IPAddress] = set()
        """Whom the last announcement missed, for want of a route: see `retry`."""
        self.counters = Counters()
        self._foreign: Recent[IPAddress, float] = Recent(_MOST_FOREIGN)
        self._malformed: tuple[str, float] | None = None

    def malformed(self) -> str | None:
        """Tell of a host that lately sent a beacon with our secret that can't be understood."""
        lately = self._malformed and self._clock() - self._malformed[1] <= HEARD_FOR
        return self._malformed[0] if self._malformed and lately else None

    def foreign(self) -> dict[IPAddress, float]:
        """Return who lately sent what isn't signed with our secret to our port, and when."""
        now = self._clock()
        return {source: at for source, at in self._foreign.items() if now - at <= _FOREIGN_FOR}

    def announce(
        self, nics: Iterable[Nic], static: Iterable[IPAddress], *, everyone: bool, ask: bool = False
    ) -> None:
        """Send a beacon to every segment, to static peers, and by unicast to known peers.

        `ask` makes them answer: so that what they say is heard on a new NIC too.
        """
        if self.sockets is None:
            return
        nics = list(nics)
        beacon = replace(self._describe(), ask=ask)
        to_all = replace(beacon, to_all=True)
        self.unsent = set()
        now = self._clock()
        # First what reaches a whole segment at once: 200 directed beacons take milliseconds.
        for nic in nics:
            if nic.v4:
                self.sockets.broadcast4(self._sealed(to_all), nic.index, nic.v4[0].ip)
            if nic.ll:
                self.sockets.multicast6(self._sealed(to_all), nic.index)
        peers = self._round(everyone)
        for peer in peers:
            if peer.transport and not self._send_to(peer, beacon, peer.transport, now):
                self.unsent.add(peer.transport.remote)
            for path in self._table.probes(peer, nics, now):
                self._send_to(peer, beacon, path, now)
        reached = {peer.transport.remote for peer in peers if peer.transport}
        for remote in static:
            if remote not in reached and not self._unicast(beacon, remote):
                self.unsent.add(remote)

    def retry(self) -> None:
        """Send to those that the last announcement missed, and to nobody else."""
        missed, self.unsent = self.unsent, set()
        beacon = self._describe()
        for peer in self._table.peers.values():
            if peer.transport and peer.transport.remote in missed:
                missed.remove(peer.transport.remote)
                if not self._send_to(peer, beacon, peer.transport, self._clock()):
                    self.unsent.add(peer.transport.remote)
        # What is left are static peers that never answered, and addresses no peer has any longer.
        left = (remote for remote in missed if remote.version == 4)
        self.unsent |= {remote for remote in left if not self._unicast(beacon, remote)}

    def received(self, data: bytes, source: IPAddress, ifindex: int) -> None:
        """Take in a datagram. Never raises: whatever it is, it came from outside."""
        if self.is_ours(ifindex):
            return  # the overlay must not discover itself through itself
        self.counters.beacons_received += 1
        try:
            beacon = decode(data, self._key)
        except BadBeacon as error:
            if isinstance(error, MalformedBeacon):
                self.counters.beacons_malformed += 1
                text = f"a beacon from {source}, signed with our secret, is not understood: {error}"
                self._malformed = (f"{text}; another version?", self._clock())
            else:
                self.counters.beacons_bad += 1
                self._foreign.put(source, self._clock())
            log.debug("datagram from %s refused: %s", source, error)
            return
        own = self._describe()
        if beacon.host == own.host and beacon.boot == own.boot:
            return  # our own broadcast
        if beacon.echo != own.boot:  # made for another host: what it knows of that one isn't ours
            beacon = replace(beacon, echo=None, yours=None, heard=(), hears_all=False)
        verdict = self._freshness.judge(beacon)
        now = self._clock()
        if verdict is Verdict.UNPROVEN or (beacon.ask and verdict is Verdict.FRESH):
            self._answer(beacon, source, ifindex, now, ask=verdict is Verdict.UNPROVEN)
        if verdict is Verdict.LATE and self._table.heard_path(beacon, source, ifindex, now):
            self._changed(beacon.host)
        self.counters.beacons_stale += verdict is not Verdict.FRESH
        if verdict is Verdict.FRESH:
            self._believe(own, beacon, source, ifindex, now)

    def _believe(
        self, own: Beacon, beacon: Beacon, source: IPAddress, ifindex: int, now: float
    ) -> None:
        if beacon.host == own.host:
            if self.duplicate != beacon.name:
                self.duplicate = beacon.name
                self._changed(beacon.host)
            return
        why = _mismatch(own, beacon)
        if why:
            changed = self._table.reject(beacon, why, now)
        else:
            changed = self._table.heard(beacon, source, ifindex, now)
        if changed:
            self._changed(beacon.host)

    def _answer(
        self, beacon: Beacon, source: IPAddress, ifindex: int, now: float, *, ask: bool
    ) -> None:
        listed: set[IPAddress] = set()
        for nic in beacon.nics:
            listed.update(nic.v4)
            listed.update(nic.ll)
        # Only to where the signed body says the host is: a forged source is no mirror.
        if self.sockets is None or source not in listed:
            return
        limit = self._per_host.get(beacon.host) or RateLimit(*_ANSWERS_PER_HOST)
        self._per_host.put(beacon.host, limit)
        if not limit.allow(now) or not self._in_all.allow(now):
            self.counters.beacons_dropped += 1
            return
        known = self._table.peers.get(beacon.host)
        if ask and isinstance(source, ipaddress.IPv4Address):
            self.unsure(source)
        heard = _heard(known, now)
        if isinstance(source, ipaddress.IPv6Address):
            heard |= {ipaddress.IPv6Address(int(source))}
        answer = replace(
            self._describe(), echo=beacon.boot, ask=ask, yours=known.address if known else None,
            heard=tuple(sorted(heard)), hears_all=known is not None and known.hears_all(now),
        )  # fmt: skip
        self.sockets.unicast(self._sealed(answer), source, ifindex)

    def _send_to(self, peer: Peer, beacon: Beacon, path: Transport, now: float) -> bool:
        boot = self._freshness.trusted_boot(peer.id)
        heard = tuple(sorted(_heard(peer, now)))
        directed = replace(
            beacon, echo=boot, yours=peer.address, heard=heard, hears_all=peer.hears_all(now)
        )
        return self._unicast(directed, path.remote, path.via)

    def _unicast(self, beacon: Beacon, remote: IPAddress, nic: int | None = None) -> bool:
        return self.sockets is not None and self.sockets.unicast(self._sealed(beacon), remote, nic)

    def _round(self, everyone: bool) -> list[Peer]:
        peers = sorted(self._table.peers.values(), key=lambda peer: peer.id)
        if everyone or len(peers) <= _UNICASTS_A_ROUND:
            return peers
        self._turn = (self._turn + _UNICASTS_A_ROUND) % len(peers)
        return (peers + peers)[self._turn : self._turn + _UNICASTS_A_ROUND]

    def _sealed(self, beacon: Beacon) -> bytes:
        self._seq += 1
        self.counters.beacons_sent += 1
        return encode(replace(beacon, seq=self._seq), self._key)


def _heard(peer: Peer | None, now: float) -> set[ipaddress.IPv6Address]:
    return {address for _, address in peer.heard_lately(now)} if peer else set()


def _mismatch(own: Beacon, other: Beacon) -> str | None:
    """Say why a host that knows the secret can't be in the same overlay, or None."""
    for what in ("cidr", "vni", "port"):
        theirs, ours = getattr(other, what), getattr(own, what)
        if theirs != ours:
            return f"it has {what} {theirs}, this host has {ours}"
    return None
