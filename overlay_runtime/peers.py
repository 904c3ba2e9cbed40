"""The peers: who is in the cluster, how each is reached, who is in whose way. Pure.

Times are seconds of CLOCK_BOOTTIME: they go on while the machine sleeps, and setting the clock does
not move them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.wire import HELD, Beacon
from overlay_runtime.recent import Recent
from overlay_runtime.underlay import Nic

HEARD_FOR = 35.0
"""A path counts as working for this long after a beacon came over it: three of its beacons (one
every 10 s ± jitter) may get lost. After it, a peer is shown as lost."""

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
class Transport:
    """How packets to a peer travel: IPv6 link-local through a NIC (its ifindex), or IPv4."""

    remote: IPAddress
    via: int | None = None

    @property
    def name(self) -> str:
        """`ipv6-link-local` or `ipv4`."""
        return "ipv4" if self.remote.version == 4 else "ipv6-link-local"


@dataclass
class Peer:
    """Another host, as its newest trusted beacon describes it."""

    beacon: Beacon
    since: float
    last_seen: float
    heard_ll: dict[tuple[int, ipaddress.IPv6Address], float] = field(default_factory=dict)
    """(ifindex of ours, link-local address of the peer) → when a beacon last came that way."""
    heard_v4: dict[ipaddress.IPv4Address, float] = field(default_factory=dict)
    confirmed: dict[ipaddress.IPv6Address, float] = field(default_factory=dict)
    """Link-local address of ours → when the peer last told that it hears it."""
    transport: Transport | None = None
    transport_since: float = 0.0
    conflict: str | None = None
    yours: IPAddress | None = None
    """The overlay address that the peer remembers for this host."""
    heard_broadcast: float | None = None
    """When one of its beacons last came by broadcast or multicast; the next the same by unicast."""
    heard_unicast: float | None = None
    hears_us: float | None = None
    """When it last told that it hears what we send by broadcast or multicast."""
    path_mtu: int | None = None
    """The largest IP packet, in bytes, that is known to reach it by `transport` (pathmtu.py)."""

    @property
    def id(self) -> str:
        """The peer's host id."""
        return self.beacon.host

    @property
    def address(self) -> IPAddress | None:
        """The overlay address that it holds or claims."""
        return self.beacon.address

    def lost(self, now: float) -> bool:
        """Whether it has been silent for too long to be called alive."""
        return now - self.last_seen > HEARD_FOR

    def hears_all(self, now: float) -> bool:
        """Whether we lately heard what it sends by broadcast or multicast."""
        return self.heard_broadcast is not None and now - self.heard_broadcast <= HEARD_FOR

    def heard_lately(self, now: float) -> dict[tuple[int, ipaddress.IPv6Address], float]:
        """Return the part of `heard_ll` that still counts."""
        return {key: at for key, at in self.heard_ll.items() if now - at <= HEARD_FOR}


class PeerTable:
    """All peers that ever sent a trusted beacon since this agent started."""

    def __init__(self, own_id: str, own_mac: str) -> None:
        self.own_id = own_id
        self._own_mac = own_mac
        self.peers: dict[str, Peer] = {}
        self._strangers: Recent[str, tuple[str, float]] = Recent(MAX_PEERS)

    @property
    def strangers(self) -> dict[str, str]:
        """Host id → why a host that knows the secret can't be a peer (another CIDR, port, …)."""
        return {host: why for host, (why, _) in self._strangers.items()}

    def heard(self, beacon: Beacon, source: IPAddress, ifindex: int, now: float) -> bool:
        """Take in a trusted beacon; return whether what it says is new to us."""
        peer = self.peers.get(beacon.host)
        if peer is None:
            if len(self.peers) >= MAX_PEERS:
                return self._stranger(beacon, f"more than {MAX_PEERS} hosts", now)
            peer = self.peers[beacon.host] = Peer(beacon, since=now, last_seen=now)
            changed = True
        else:
            changed = _essence(peer.beacon) != _essence(beacon)
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
        before = len(peer.heard_ll), len(peer.heard_v4), len(peer.confirmed)
        if beacon.to_all:
            peer.heard_broadcast = now
        else:
            peer.heard_unicast = now
        peer.confirmed |= dict.fromkeys(beacon.heard, now)
        # The signed body says where the peer is; the packet's source only which of those it used.
        if isinstance(source, ipaddress.IPv6Address):
            plain = ipaddress.IPv6Address(int(source))
            if any(plain in nic.ll for nic in beacon.nics):
                peer.heard_ll[(ifindex, plain)] = now
        elif any(source in nic.v4 for nic in beacon.nics):
            peer.heard_v4[source] = now
        new = before != (len(peer.heard_ll), len(peer.heard_v4), len(peer.confirmed))
        self._forget_unlisted(peer)
        return new

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
        taken: dict[object, Peer] = {}
        # The one known longest keeps its place: a newcomer never takes traffic from it, unless it
        # is silent. Then the newcomer is its replacement.
        for peer in sorted(self.peers.values(), key=lambda p: (p.lost(now), p.since, p.id)):
            self._choose(peer, nics, now)
            peer.conflict = self._conflict(peer, own, taken)

    def moved(self, host: str, nics: Sequence[Nic], now: float) -> Peer | None:
        """Choose the transport of one peer that forwards already; return it if that is another.

        For the moment of the change: `update` looks at all of them later.
        """
        peer = self.peers.get(host)
        if peer is None or peer.conflict or not peer.transport or not peer.address:
            return None
        before = peer.transport
        self._choose(peer, nics, now)
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
        left = (peer.last_seen + HEARD_FOR - now for peer in self.peers.values())
        return min((seconds for seconds in left if seconds >= 0), default=float("inf"))

    def probes(self, peer: Peer, nics: Sequence[Nic], now: float) -> list[Transport]:
        """Return link-local paths to a peer on IPv4 that are worth trying: it can return to them
        even where a switch eats multicast."""
        remote = peer.transport.remote if peer.transport else None
        if not isinstance(remote, ipaddress.IPv4Address):
            return []
        paths = {(index, address) for index, address in peer.heard_lately(now)}
        near = (nic for nic in nics if nic.ll and any(remote in i.network for i in nic.v4))
        # A peer beyond a router isn't looked for here: nobody would answer for its address.
        paths |= {(nic.index, a) for nic in near for other in peer.beacon.nics for a in other.ll}
        return [Transport(address, index) for index, address in sorted(paths)]

    def remembered_for_us(self) -> list[IPAddress]:
        """Return the addresses that peers remember for this host, the commonest first."""
        votes = [peer.yours for peer in self.peers.values() if peer.yours]
        return sorted(set(votes), key=lambda a: (-votes.count(a), int(a)))

    def _stranger(self, beacon: Beacon, why: str, now: float) -> bool:
        known = self._strangers.get(beacon.host)
        self._strangers.put(beacon.host, (why, now))
        return known is None or known[0] != why

    def _forget_unlisted(self, peer: Peer) -> None:
        listed_ll = {address for nic in peer.beacon.nics for address in nic.ll}
        listed_v4 = {address for nic in peer.beacon.nics for address in nic.v4}
        peer.heard_ll = {key: t for key, t in peer.heard_ll.items() if key[1] in listed_ll}
        peer.heard_v4 = {key: t for key, t in peer.heard_v4.items() if key in listed_v4}

    def _choose(self, peer: Peer, nics: Sequence[Nic], now: float) -> None:
        # One that is silent everywhere proves nothing against its path: its agent may be down, and
        # a link-local path outlives the next change of addresses.
        able = {nic.index for nic in nics if nic.ll}
        if peer.lost(now) and peer.transport and peer.transport.via in able:
            return
        paths = self._link_local(peer, nics, now)
        proven = {path: at for path, at in paths.items() if _confirmed(peer, path, nics)}
        chosen = _best(peer, proven) or self._ipv4(peer, nics, now)
        if not any(nic.v4 for nic in nics) or chosen is None:
            # IPv4 can't work now; that we hear the peer on a path at least speaks for it.
            chosen = _best(peer, proven or paths) or chosen
        # Without any path at all the last one stays: nothing better is known.
        if chosen and chosen != peer.transport:
            peer.transport, peer.transport_since, peer.path_mtu = chosen, now, None

    def _link_local(self, peer: Peer, nics: Sequence[Nic], now: float) -> dict[Transport, float]:
        able = {nic.index for nic in nics if nic.ll}
        return {
            Transport(address, ifindex): at
            for (ifindex, address), at in peer.heard_lately(now).items()
            if ifindex in able
        }

    def _ipv4(self, peer: Peer, nics: Sequence[Nic], now: float) -> Transport | None:
        connected = [interface.network for nic in nics for interface in nic.v4]
        # Every host may have a bridge of its own with the same address.
        own = {interface.ip for nic in nics for interface in nic.v4}
        listed = [a for nic in peer.beacon.nics for a in nic.v4 if a not in own]
        if not listed:
            return None

        def rank(address: ipaddress.IPv4Address) -> tuple[bool, bool, int]:
            near = any(address in network for network in connected)
            heard = now - peer.heard_v4.get(address, float("-inf")) <= HEARD_FOR
            return (not heard, not near, listed.index(address))

        return Transport(min(listed, key=rank))

    def _conflict(self, peer: Peer, own: IPAddress | None, taken: dict[object, Peer]) -> str | None:
        if peer.beacon.mac == self._own_mac:
            return "it uses this host's MAC address"
        if peer.beacon.state != HELD or peer.address is None:
            return None
        if peer.address == own:
            return f"it uses this host's overlay address {own}"
        for key in (peer.address, peer.beacon.mac):
            if key in taken:
                other = taken[key]
                return f"it uses {key}, which {other.beacon.name} ({other.id}) had first"
        taken[peer.address] = taken[peer.beacon.mac] = peer
        return None


def _best(peer: Peer, paths: dict[Transport, float]) -> Transport | None:
    if peer.transport in paths:
        return peer.transport  # changing without need would cost packets
    return max(paths, key=lambda path: paths[path]) if paths else None


def _confirmed(peer: Peer, path: Transport, nics: Sequence[Nic]) -> bool:
    """Whether the peer told that it hears us too on a path. To hear it is no proof: a firewall or a
    half-broken switch may let packets through one way only."""
    return any(a in peer.confirmed for nic in nics if nic.index == path.via for a in nic.ll)


def _essence(beacon: Beacon) -> tuple[object, ...]:
    """What of a beacon decides about forwarding; the rest changes with every one."""
    return (beacon.state, beacon.address, beacon.mac, beacon.nics, beacon.name)


def physical_addresses(peer: Peer) -> Iterable[IPAddress]:
    """Yield a peer's physical addresses, the one in use first."""
    used = peer.transport.remote if peer.transport else None
    listed: list[IPAddress] = []
    for nic in peer.beacon.nics:
        listed += [*nic.v4, *nic.ll]
    if used in listed:
        listed.remove(used)
        listed.insert(0, used)
    return listed
