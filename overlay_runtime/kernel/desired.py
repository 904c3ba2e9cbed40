"""What the kernel should hold, computed from what the agent knows. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from overlay_runtime import BRIDGE, VXLAN4, VXLAN6
from overlay_runtime.address import IPAddress, as_text
from overlay_runtime.beacon.model import HELD
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.identity import Identity
from overlay_runtime.kernel.model import OVERHEAD, Forwarding, Remote
from overlay_runtime.peer import Peer, Transport
from overlay_runtime.underlay import Nic

OVERHEAD_V6, OVERHEAD_V4 = OVERHEAD[6], OVERHEAD[4]

_MTU_UNKNOWN = 1500 - OVERHEAD_V6
_MTU_LEAST = 1280  # what IPv6 needs to work at all (RFC 8200, 5)
_MTU_ROUTE = 1200


@dataclass(frozen=True)
class DesiredLink:
    """A link as it should be. `vni` is None for the bridge; `over6` picks VXLAN's family."""

    name: str
    mac: str
    mtu: int
    vni: int | None = None
    port: int = 0
    over6: bool = False


@dataclass(frozen=True)
class Desired:
    """All that is ours in the kernel."""

    links: tuple[DesiredLink, ...]
    """The bridge first: the others become its ports."""
    address: ipaddress.IPv4Interface | ipaddress.IPv6Interface | None
    forwarding: Forwarding
    routes: dict[str, int] = field(default_factory=dict)
    """Overlay address of a peer → largest packet (bytes) that its path carries, where that is less
    than the bridge's MTU: one narrow path narrows no other."""
    sysctls: dict[str, str] = field(default_factory=dict)
    """Path below /proc/sys → value."""


def overhead(transport: Transport) -> int:
    """Return by how many bytes the outer IP packet is larger than what it carries."""
    return OVERHEAD_V4 if transport.remote.version == 4 else OVERHEAD_V6


def overlay_mtu(wanted: int | None, nics: Sequence[Nic], ipv6: bool, now: int | None) -> int:
    """Return the overlay's MTU in bytes: as configured, or what the smallest NIC leaves over.

    `now` is the present one, kept while no NIC is up: a cable that is pulled must not change it.
    """
    if wanted:
        return wanted
    if not nics:
        return now or _MTU_UNKNOWN
    overhead = OVERHEAD_V6 if ipv6 else OVERHEAD_V4
    return max(min(nic.mtu for nic in nics) - overhead, _MTU_LEAST)


def desired(
    config: OverlayConfig,
    identity: Identity,
    address: IPAddress | None,
    prefix: int,
    peers: Iterable[Peer],
    mtu: int,
    ipv6: bool,
) -> Desired:
    """Return what the kernel should hold for a host with `address` and these peers.

    `ipv6` tells whether the kernel can make a VXLAN device over IPv6 at all.
    """
    links = [DesiredLink(BRIDGE, identity.mac(BRIDGE), mtu)]
    for name, over6 in ((VXLAN6, True), (VXLAN4, False)):
        if ipv6 or not over6:
            mac = identity.mac(name)
            links.append(DesiredLink(name, mac, mtu, config.vni, config.port, over6))
    sysctls = {
        # Loose. The stricter of `all` and the link's own counts as the higher number, and loose (2)
        # is the highest: it stays loose even where a hardening script set `all` to strict (1).
        f"net/ipv4/conf/{BRIDGE}/rp_filter": "2",
        # When the host moves to another address, the new one must not go with the old one.
        f"net/ipv4/conf/{BRIDGE}/promote_secondaries": "1",
        # Addresses on the overlay come from us alone, not from whoever advertises a router there.
        f"net/ipv6/conf/{BRIDGE}/accept_ra": "0",
        f"net/ipv6/conf/{VXLAN4}/disable_ipv6": "1",
        f"net/ipv6/conf/{VXLAN6}/disable_ipv6": "1",
    }
    interface = ipaddress.ip_interface(f"{address}/{prefix}") if address else None
    peers = list(peers)
    routes = narrow_routes(peers, mtu)
    return Desired(tuple(links), interface, forwarding(peers, ipv6), routes, sysctls)


def narrow_routes(peers: Iterable[Peer], mtu: int) -> dict[str, int]:
    """Return `Desired.routes` for these peers."""
    return {
        as_text(peer.address): room
        for peer in peers
        if (room := room_for(peer)) is not None and room < mtu
        if peer.address and peer.beacon.state == HELD
    }


def room_for(peer: Peer) -> int | None:
    """Return the largest overlay packet (bytes) that the way to a peer is known to carry, if any:
    by what was measured, and by the MTU of the peer's own NIC."""
    if peer.transport is None:
        return None
    known = [peer.path_mtu] if peer.path_mtu else []
    remote = peer.transport.remote
    known += [nic.mtu for nic in peer.beacon.nics if remote in (*nic.v4, *nic.ll, *nic.v6)]
    known = [mtu for mtu in known if mtu >= _MTU_LEAST]  # else it is no MTU that anything has
    return max(min(known) - overhead(peer.transport), _MTU_ROUTE) if known else None


def forwarding(peers: Iterable[Peer], ipv6: bool) -> Forwarding:
    """Return the entries of these peers: who only claims an address yet has no neighbour entry."""
    result = Forwarding()
    for peer in peers:
        if peer.transport is None or peer.address is None:
            continue
        over6 = peer.transport.remote.version == 6
        if over6 and not ipv6:
            continue
        # A peer lives on exactly one device: on both it would get every broadcast twice.
        device = VXLAN6 if over6 else VXLAN4
        remote = Remote(as_text(peer.transport.remote), peer.transport.via)
        result.flood.add((device, remote))
        result.unicast[(device, peer.beacon.mac)] = remote
        result.ports[peer.beacon.mac] = device
        if peer.beacon.state == HELD:
            result.neighbours[as_text(peer.address)] = peer.beacon.mac
    return result
