"""Which links are the physical side, and what is known of them. Pure."""

from __future__ import annotations

import fnmatch
import ipaddress
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from overlay_runtime import OUR_LINKS
from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.kernel.model import Link, LinkAddress

_VIRTUAL_KINDS = {
    "vxlan", "geneve", "tun", "wireguard", "ipip", "sit", "gre", "gretap", "ip6gre", "ip6gretap",
    "ip6tnl", "erspan", "vti", "vti6", "xfrm", "dummy", "ifb", "nlmon", "netdevsim", "vrf", "vcan",
}  # fmt: skip
# The host's ends of container and VM links, and the devices of CNIs and container engines.
_VIRTUAL_NAMES = re.compile(
    r"veth|cali|lxc|lxd|cni|nsm|docker|podman|br-[0-9a-f]{12}$|flannel|cilium|virbr|vnet|kube|"
    r"nodelocaldns|edgevpn|weave|antrea|ovn|tailscale|zt|tunl|vmnet|incus|vbox|mpqemu"
)


@dataclass(frozen=True)
class Nic:
    """A physical NIC in use: `mtu` in bytes, `ll` its usable IPv6 link-local addresses, `v6` its
    other usable ones."""

    name: str
    index: int
    mtu: int
    v4: tuple[ipaddress.IPv4Interface, ...]
    ll: tuple[ipaddress.IPv6Address, ...]
    v6: tuple[ipaddress.IPv6Interface, ...] = ()

    @property
    def routed(self) -> tuple[ipaddress.IPv4Interface | ipaddress.IPv6Interface, ...]:
        """The addresses that routers know: IPv4, then global IPv6."""
        return (*self.v4, *self.v6)

    @property
    def usable(self) -> bool:
        """Whether it has an address at all to send from."""
        return bool(self.v4 or self.ll or self.v6)


@dataclass(frozen=True)
class Route:
    """A destination in the routing table and the link behind it."""

    network: IPNetwork
    link: str


def is_physical(
    link: Link, patterns: Sequence[str], links: Sequence[Link], addressed: bool
) -> bool:
    """Tell whether a link carries the overlay's packets: those of `patterns`, or by its nature.

    A bond, a VLAN or a user's own bridge with an address counts, and so does a container's `eth0`,
    which is a veth: the difference is in the name.
    """
    if link.name in OUR_LINKS or link.loopback or not (link.up and link.carrier):
        return False
    if patterns:
        return _matches(link, patterns)
    return _by_nature(link, links, addressed)


def entrances(
    links: Sequence[Link], patterns: Sequence[str], nics: Iterable[Nic]
) -> frozenset[str]:
    """Return the names of all links of the physical side, whether they carry the overlay or not,
    with carrier or without: what comes from outside comes through one of them."""
    found = {nic.name for nic in nics}
    for link in links:
        ours = link.name in OUR_LINKS or link.loopback
        if not ours and (_matches(link, patterns) or _by_nature(link, links, addressed=True)):
            found.add(link.name)
    return frozenset(found)


def _matches(link: Link, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(link.name, pattern) for pattern in patterns)


def _by_nature(link: Link, links: Sequence[Link], addressed: bool) -> bool:
    if not link.ethernet or link.kind in _VIRTUAL_KINDS or _VIRTUAL_NAMES.match(link.name):
        return False
    if link.kind in ("bridge", "openvswitch") and not addressed:
        return False
    masters = {other.index: other for other in links}
    master = masters.get(link.master) if link.master else None
    # What a bridge or a bond has taken over is used through it; a VRF only has tables of its own.
    return master is None or master.kind == "vrf"


def carries_vxlan(address: IPAddress, cidr: IPNetwork) -> bool:
    """Tell whether VXLAN packets can go to and from a routable address of a NIC.

    Not inside the overlay's range, a tunnel in itself: while a NIC has no address, overlay
    addresses leak out as sources, and a peer that believes them cuts the host off. 240.0.0.0/4 is
    class E with the limited broadcast. Link-local IPv6 addresses are a matter of their own.
    """
    if address.is_multicast or address.is_loopback or address.is_unspecified or address in cidr:
        return False
    if isinstance(address, ipaddress.IPv4Address):
        return int(address) >> 28 != 15
    return not (address.is_link_local or address.ipv4_mapped or address.scope_id)


def find_nics(
    links: Sequence[Link],
    addresses: Iterable[LinkAddress],
    patterns: Sequence[str],
    cidr: IPNetwork,
) -> tuple[Nic, ...]:
    """Return the NICs in use, sorted by name, with the addresses that are of use."""
    v4: dict[int, list[ipaddress.IPv4Interface]] = {}
    ll: dict[int, list[ipaddress.IPv6Address]] = {}
    v6: dict[int, list[ipaddress.IPv6Interface]] = {}
    for address in addresses:
        interface = address.interface
        if isinstance(interface, ipaddress.IPv4Interface):
            if carries_vxlan(interface.ip, cidr):
                v4.setdefault(address.index, []).append(interface)
        elif interface.ip.is_link_local and address.usable:
            ll.setdefault(address.index, []).append(ipaddress.IPv6Address(int(interface.ip)))
        elif address.usable and carries_vxlan(interface.ip, cidr):
            v6.setdefault(address.index, []).append(interface)
    nics = [
        Nic(
            link.name,
            link.index,
            link.mtu,
            tuple(v4.get(link.index, ())),
            tuple(sorted(ll.get(link.index, ()))),
            tuple(v6.get(link.index, ())),
        )
        for link in links
        if is_physical(link, patterns, links, link.index in v4)
    ]
    return tuple(sorted(nics, key=lambda nic: nic.name))


def overlap(
    cidr: IPNetwork,
    links: Sequence[Link],
    addresses: Iterable[LinkAddress],
    routes: Iterable[Route],
) -> str | None:
    """Name a physical range that shares addresses with `cidr`, or return None.

    Default routes don't count: they overlap everything.
    """
    names = {link.index: link.name for link in links}
    for address in addresses:
        name = names.get(address.index, "")
        if name not in OUR_LINKS and _meet(cidr, address.interface.network):
            return f"{address.interface} on {name}"
    for route in routes:
        if route.link not in OUR_LINKS and route.network.prefixlen and _meet(cidr, route.network):
            return f"the route to {route.network} through {route.link}"
    return None


def _meet(one: IPNetwork, other: IPNetwork) -> bool:
    return one.version == other.version and one.overlaps(other)
