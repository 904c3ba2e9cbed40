"""The peers: who is in the cluster, how each is reached, who is in whose way. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.model import Beacon
from overlay_runtime.conflict import find_conflicts
from overlay_runtime.peer import HEARD_FOR, Peer, Transport
from overlay_runtime.recent import Recent
from overlay_runtime.transport import choose
from overlay_runtime.underlay import Nic

FORWARDED_FOR = 24 * 3600.0
"""A silent peer keeps its forwarding entries so long. They cost nothing, and a peer whose agent is
down, or whose beacons a switch drops, goes on working; only a host that is gone for good should be
forgotten."""

_CONFIRMED_FOR = 5.0
"""A peer that answers at once has not heard us on every path yet: its silence about one counts only
so long after it last confirmed it."""

MAX_PEERS = 4096
"""More than any flooded segment bears (3 ms a broadcast at 1000 peers)."""


@dataclass(frozen=True)
class Inherited:
    """What an earlier agent left in the kernel: `neighbours` (overlay address → MAC), `paths` (MAC
    → transport); and this host's link-local addresses."""

    neighbours: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, Transport] = field(default_factory=dict)
    link_local: tuple[ipaddress.IPv6Address, ...] = ()


class PeerTable:
    """All peers that ever sent a trusted beacon since this agent started."""

    def __init__(self, own_id: str, own_mac: str, started: float = 0.0) -> None:
        self.own_id = own_id
        self._own_mac = own_mac
        self._started = started
        self.peers: dict[str, Peer] = {}
        self._inherited = Inherited()
        self._holders: dict[object, str] = {}
        self._strangers: Recent[str, tuple[str, float]] = Recent(MAX_PEERS)

    @property
    def strangers(self) -> dict[str, str]:
        """Host id → why a host that knows the secret can't be a peer (another CIDR, port, …)."""
        return {host: why for host, (why, _) in self._strangers.items()}

    def inherit(self, inherited: Inherited) -> None:
        """Take over what an earlier agent left in the kernel: before the first beacon comes."""
        self._inherited = inherited

    def heard(self, beacon: Beacon, source: IPAddress, ifindex: int, now: float) -> bool:
        """Take in a trusted beacon; return whether what it says is new to us."""
        peer = self.peers.get(beacon.host)
        if peer is None:
            if len(self.peers) >= MAX_PEERS:
                return self._stranger(beacon, f"more than {MAX_PEERS} hosts", now)
            peer = self.peers[beacon.host] = Peer(beacon, since=now, last_seen=now)
            self._inherit_path(peer, now)
            changed = True
        else:
            changed = _essence(peer.beacon) != _essence(beacon)
            if changed:
                _forget_unlisted(peer, beacon)
            if peer.beacon.boot != beacon.boot:  # it starts again, and to hear us again
                peer.confirmed = dict.fromkeys(peer.confirmed, now)
            peer.beacon, peer.last_seen = beacon, now
        if beacon.echo:  # only what is sent to one host can say what is remembered of it
            changed |= peer.yours != beacon.yours
            peer.yours = beacon.yours
            peer.hears_us = now if beacon.hears_all else None
            before = peer.confirmed
            peer.confirmed = {
                a: at for a, at in before.items() if a in beacon.heard or now - at <= _CONFIRMED_FOR
            }
            changed |= len(peer.confirmed) != len(before)
        self._strangers.pop(beacon.host, None)
        return self.heard_path(beacon, source, ifindex, now) or changed

    def heard_path(self, beacon: Beacon, source: IPAddress, ifindex: int, now: float) -> bool:
        """Note that a genuine beacon, perhaps not the newest, came over this path.

        Returns whether the path, there or back, is new to us.
        """
        peer = self.peers.get(beacon.host)
        if peer is None:
            return False
        before = len(peer.heard_ll), len(peer.heard_routed), len(peer.confirmed)
        if beacon.to_all:
            peer.heard_broadcast = now
        else:
            peer.heard_unicast = now
        peer.confirmed |= dict.fromkeys(beacon.heard, now)
        # The signed body says where the peer is; the packet's source only which of those it used.
        if isinstance(source, ipaddress.IPv6Address) and source.is_link_local:
            plain = ipaddress.IPv6Address(int(source))
            if any(plain in nic.ll for nic in peer.beacon.nics):
                peer.heard_ll[(ifindex, plain)] = now
        elif any(source in nic.v4 or source in nic.v6 for nic in peer.beacon.nics):
            peer.heard_routed[source] = now
        return before != (len(peer.heard_ll), len(peer.heard_routed), len(peer.confirmed))

    def reject(self, beacon: Beacon, why: str, now: float) -> bool:
        """Note a host that can't be a peer, and stop forwarding to it; return if that is new."""
        was_peer = self.peers.pop(beacon.host, None) is not None
        return self._stranger(beacon, why, now) or was_peer

    def update(self, nics: Sequence[Nic], own: IPAddress | None, now: float) -> None:
        """Forget who is gone, choose each peer's transport, and find conflicts."""
        for host in [h for h, p in self.peers.items() if now - p.last_seen > FORWARDED_FOR]:
            del self.peers[host]
        for host in [h for h, (_, at) in self._strangers.items() if now - at > HEARD_FOR]:
            del self._strangers[host]
        for peer in self.peers.values():
            choose(peer, nics, now)
            peer.acted_on = _essence(peer.beacon)
        find_conflicts(
            self.peers.values(),
            self._own_mac,
            own,
            self._inherited.neighbours,
            self._holders,
            self._started,
            now,
        )

    def settled(self, host: str) -> bool:
        """Whether who a peer says it is, is what `update` saw of it last, and it forwards: only its
        way may be another."""
        peer = self.peers.get(host)
        if peer is None or peer.conflict or peer.acted_on is None:
            return False
        return peer.acted_on[0] == _who(peer.beacon)

    def acted_on(self, host: str) -> bool:
        """Whether all that a peer says of itself is what `update` saw of it last."""
        peer = self.peers.get(host)
        return peer is not None and peer.acted_on == _essence(peer.beacon)

    def moved(self, host: str, nics: Sequence[Nic], now: float) -> Peer | None:
        """Choose the transport of one peer that forwards already; return it if that is another.

        For the moment of the change: `update` looks at all of them later.
        """
        peer = self.peers.get(host)
        if peer is None or peer.conflict or not peer.transport or not peer.address:
            return None
        before = peer.transport
        choose(peer, nics, now)
        return peer if peer.transport != before else None

    def forwarded(self) -> list[Peer]:
        """Return the peers that get forwarding entries, sorted by host id: also those that still
        claim their address, as they probe it on the wire."""
        return sorted(
            (
                peer
                for peer in self.peers.values()
                if peer.transport and not peer.conflict and peer.address
            ),
            key=lambda peer: peer.id,
        )

    def next_loss(self, now: float) -> float:
        """Return in how many seconds the next peer will be lost if it stays silent."""
        left = (peer.last_seen + peer.patience - now for peer in self.peers.values())
        return min((seconds for seconds in left if seconds >= 0), default=float("inf"))

    def remembered_for_us(self) -> list[IPAddress]:
        """Return the addresses that peers remember for this host, the commonest first."""
        votes = [peer.yours for peer in self.peers.values() if peer.yours]
        return sorted(set(votes), key=lambda a: (-votes.count(a), int(a)))

    def _inherit_path(self, peer: Peer, now: float) -> None:
        """Go on with the link-local path of before: to prove it anew takes a moment, and to change
        the path twice may cost packets."""
        path = self._inherited.paths.get(peer.beacon.mac)
        listed = {address for nic in peer.beacon.nics for address in nic.ll}
        if path and path.via is not None and path.remote in listed:
            peer.transport, peer.transport_since = path, now
            peer.heard_ll[(path.via, ipaddress.IPv6Address(int(path.remote)))] = now
            peer.confirmed = dict.fromkeys(self._inherited.link_local, now)

    def _stranger(self, beacon: Beacon, why: str, now: float) -> bool:
        known = self._strangers.get(beacon.host)
        self._strangers.put(beacon.host, (why, now))
        return known is None or known[0] != why


def _forget_unlisted(peer: Peer, beacon: Beacon) -> None:
    link_local = {address for nic in beacon.nics for address in nic.ll}
    routed = {address for nic in beacon.nics for address in nic.routed}
    peer.heard_ll = {key: t for key, t in peer.heard_ll.items() if key[1] in link_local}
    peer.heard_routed = {key: t for key, t in peer.heard_routed.items() if key in routed}


def _essence(beacon: Beacon) -> tuple[object, ...]:
    """What of a beacon decides about forwarding; the rest changes with every one."""
    return _who(beacon), beacon.nics


def _who(beacon: Beacon) -> tuple[object, ...]:
    return beacon.state, beacon.address, beacon.mac, beacon.name
