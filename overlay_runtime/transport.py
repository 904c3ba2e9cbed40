"""Which way packets go to a peer. Pure.

IPv6 link-local where both sides tell that they hear each other that way; else IPv4; else global
IPv6. What was heard lately goes before what is only written in a beacon.
"""

from __future__ import annotations

from collections.abc import Sequence

from overlay_runtime.address import IPAddress
from overlay_runtime.peer import Peer, Transport
from overlay_runtime.underlay import Nic


def choose(peer: Peer, nics: Sequence[Nic], now: float) -> None:
    """Set a peer's transport. Without any path the last one stays: nothing better is known."""
    # One that is silent everywhere proves nothing against its path: its agent may be down, and a
    # link-local path outlives the next change of addresses.
    able = {nic.index for nic in nics if nic.ll}
    if peer.lost(now) and peer.transport and peer.transport.via in able:
        return
    paths = _link_local(peer, nics, now)
    proven = {path: at for path, at in paths.items() if _confirmed(peer, path, nics)}
    chosen = _best(peer, proven) or _routed(peer, nics, now)
    if not any(nic.v4 or nic.v6 for nic in nics) or chosen is None:
        # Nothing routed can work now; that we hear the peer on a path at least speaks for it.
        chosen = _best(peer, proven or paths) or chosen
    if chosen and chosen != peer.transport:
        peer.transport, peer.transport_since, peer.path_mtu = chosen, now, None


def alternatives(peer: Peer, nics: Sequence[Nic], now: float) -> list[Transport]:
    """Return other paths to a peer that are worth trying with a beacon: it can return to them even
    where a switch eats multicast, or where one family of addresses has died."""
    if peer.transport is None or peer.transport.via is not None:
        return []
    remote = peer.transport.remote
    paths = {Transport(address, index) for index, address in peer.heard_lately(now)}
    # A peer beyond a router isn't looked for here: nobody would answer for its address.
    near = [nic for nic in nics if nic.ll and any(remote in i.network for i in nic.routed)]
    theirs = [address for nic in peer.beacon.nics for address in nic.ll]
    paths |= {Transport(address, nic.index) for nic in near for address in theirs}
    if not peer.routed_lately(remote, now):
        paths |= {Transport(address) for address in _reachable(peer, nics)} - {Transport(remote)}
    return sorted(paths, key=lambda path: (path.remote.version, int(path.remote), path.via or 0))


def _link_local(peer: Peer, nics: Sequence[Nic], now: float) -> dict[Transport, float]:
    able = {nic.index for nic in nics if nic.ll}
    return {
        Transport(address, ifindex): at
        for (ifindex, address), at in peer.heard_lately(now).items()
        if ifindex in able
    }


def _reachable(peer: Peer, nics: Sequence[Nic]) -> list[IPAddress]:
    """Return a peer's routable addresses of the families that this host has too, IPv4 first."""
    # Every host may have a bridge of its own with the same address.
    own: set[IPAddress] = {interface.ip for nic in nics for interface in nic.routed}
    listed: list[IPAddress] = []
    if any(nic.v4 for nic in nics):
        listed += [a for nic in peer.beacon.nics for a in nic.v4]
    if any(nic.v6 for nic in nics):
        listed += [a for nic in peer.beacon.nics for a in nic.v6]
    if not listed:  # ours may be missing for the moment only
        listed += [a for nic in peer.beacon.nics for a in nic.routed]
    return [address for address in listed if address not in own]


def _routed(peer: Peer, nics: Sequence[Nic], now: float) -> Transport | None:
    connected = [interface.network for nic in nics for interface in nic.routed]
    listed = _reachable(peer, nics)
    if not listed:
        return None

    def rank(address: IPAddress) -> tuple[bool, bool, bool, int]:
        near = any(address in network for network in connected)
        heard = peer.routed_lately(address, now)
        return (not heard, address.version == 6, not near, listed.index(address))

    return Transport(min(listed, key=rank))


def _best(peer: Peer, paths: dict[Transport, float]) -> Transport | None:
    if peer.transport in paths:
        return peer.transport  # changing without need would cost packets
    return max(paths, key=lambda path: paths[path]) if paths else None


def _confirmed(peer: Peer, path: Transport, nics: Sequence[Nic]) -> bool:
    """Whether the peer told that it hears us too on a path. To hear it is no proof: a firewall or a
    half-broken switch may let packets through one way only."""
    return any(a in peer.confirmed for nic in nics if nic.index == path.via for a in nic.ll)
