"""Reads the kernel through rtnetlink(7) and /proc. Changes nothing."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pyroute2 import AsyncIPRoute

from overlay_runtime import BRIDGE, VXLAN4, VXLAN6
from overlay_runtime.kernel.model import (
    FLOOD_MAC,
    BridgePort,
    Forwarding,
    Link,
    LinkAddress,
    Remote,
    Vxlan,
)
from overlay_runtime.underlay import Route

_IFF_UP, _IFF_LOOPBACK, _IFF_LOWER_UP = 0x1, 0x8, 0x10000
_ARPHRD_ETHER, _ARPHRD_INFINIBAND = 1, 32
_IFA_F_DADFAILED, _IFA_F_OPTIMISTIC, _IFA_F_TENTATIVE = 0x08, 0x04, 0x40
_NTF_SELF = 0x02
_NUD_NOARP, _NUD_PERMANENT = 0x40, 0x80
_RTF_UP, _RTF_LOCAL = 0x0001, 0x80000000


async def read_links(netlink: AsyncIPRoute) -> list[Link]:
    """Return every link of this network namespace."""
    return [_link(message) async for message in await netlink.link("dump")]


async def read_addresses(netlink: AsyncIPRoute) -> list[LinkAddress]:
    """Return every IP address of this network namespace."""
    found = []
    async for message in await netlink.addr("dump"):
        # IFA_LOCAL is ours where IFA_ADDRESS is the other end of a point-to-point link.
        text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
        flags = message.get_attr("IFA_FLAGS") or message["flags"]
        tentative = flags & _IFA_F_TENTATIVE and not flags & _IFA_F_OPTIMISTIC
        found.append(
            LinkAddress(
                index=message["index"],
                interface=ipaddress.ip_interface(f"{text}/{message['prefixlen']}"),
                usable=not tentative and not flags & _IFA_F_DADFAILED,
                protocol=message.get_attr("IFA_PROTO") or 0,
            )
        )
    return found


async def read_forwarding(netlink: AsyncIPRoute, indexes: Mapping[str, int]) -> Forwarding:
    """Return the forwarding entries on our links; `indexes` maps their names to ifindexes.

    Only entries that somebody set: what the bridge or ARP found out by themselves is left out.
    """
    result = Forwarding()
    devices = {indexes[name]: name for name in (VXLAN6, VXLAN4) if name in indexes}
    async for message in await netlink.fdb("dump"):
        device = devices.get(message["ifindex"])
        mac = message.get_attr("NDA_LLADDR")
        if device is None or mac is None:
            continue
        if message["flags"] & _NTF_SELF:
            remote = Remote(str(message.get_attr("NDA_DST")), message.get_attr("NDA_IFINDEX"))
            if mac == FLOOD_MAC:
                result.flood.add((device, remote))
            else:
                result.unicast[(device, mac)] = remote
        elif message["state"] & _NUD_NOARP and not message["state"] & _NUD_PERMANENT:
            result.ports[mac] = device  # `static`; `permanent` marks the port's own address
    async for message in await netlink.neigh("dump"):
        if message["ifindex"] == indexes.get(BRIDGE) and message["state"] & _NUD_PERMANENT:
            address = message.get_attr("NDA_DST")
            if address and not ipaddress.ip_address(address).is_multicast:
                result.neighbours[str(address)] = message.get_attr("NDA_LLADDR") or ""
    return result


def read_routes(proc: Path = Path("/proc")) -> list[Route]:
    """Return the destinations of the main routing tables.

    From /proc/net: some routers carry a hundred thousand routes, which netlink would take seconds
    to hand over in Python.
    """
    return _routes4(proc / "net/route") + _routes6(proc / "net/ipv6_route")


def _routes4(path: Path) -> list[Route]:
    found = []
    for line in _lines(path)[1:]:
        fields = line.split()
        if len(fields) < 8 or not int(fields[3], 16) & _RTF_UP:
            continue
        network = ipaddress.IPv4Address(int(fields[1], 16).to_bytes(4, "little"))
        mask = ipaddress.IPv4Address(int(fields[7], 16).to_bytes(4, "little"))
        found.append(Route(ipaddress.IPv4Network(f"{network}/{mask}", strict=False), fields[0]))
    return found


def _routes6(path: Path) -> list[Route]:
    found = []
    for line in _lines(path):
        fields = line.split()
        if len(fields) < 10 or fields[9] == "lo" or int(fields[8], 16) & _RTF_LOCAL:
            continue
        address = ipaddress.IPv6Address(bytes.fromhex(fields[0]))
        network = ipaddress.IPv6Network((int(address), int(fields[1], 16)), strict=False)
        if not address.is_multicast and not address.is_link_local:
            found.append(Route(network, fields[9]))
    return found


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return []  # IPv6 may be switched off


def _link(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    kind = (info.get_attr("IFLA_INFO_KIND") or "") if info else ""
    data = info.get_attr("IFLA_INFO_DATA") if info else None
    flags = message["flags"]
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        kind=kind,
        mac=message.get_attr("IFLA_ADDRESS") or "",
        mtu=message.get_attr("IFLA_MTU") or 0,
        up=bool(flags & _IFF_UP),
        carrier=bool(flags & _IFF_LOWER_UP),
        loopback=bool(flags & _IFF_LOOPBACK),
        ethernet=message["ifi_type"] in (_ARPHRD_ETHER, _ARPHRD_INFINIBAND),
        master=message.get_attr("IFLA_MASTER"),
        vxlan=_vxlan(data) if kind == "vxlan" and data else None,
        port=_port(info),
        stp=kind == "bridge" and bool(data and data.get_attr("IFLA_BR_STP_STATE")),
        mcast_snooping=kind == "bridge" and bool(data and data.get_attr("IFLA_BR_MCAST_SNOOPING")),
    )


def _vxlan(data: Any) -> Vxlan:
    bound = ("IFLA_VXLAN_LINK", "IFLA_VXLAN_GROUP", "IFLA_VXLAN_GROUP6", "IFLA_VXLAN_LOCAL",
             "IFLA_VXLAN_LOCAL6", "IFLA_VXLAN_COLLECT_METADATA")  # fmt: skip
    return Vxlan(
        vni=data.get_attr("IFLA_VXLAN_ID") or 0,
        port=data.get_attr("IFLA_VXLAN_PORT") or 0,
        learning=bool(data.get_attr("IFLA_VXLAN_LEARNING")),
        bound=any(data.get_attr(name) for name in bound),
    )


def _port(info: Any) -> BridgePort | None:
    if not info or info.get_attr("IFLA_INFO_SLAVE_KIND") != "bridge":
        return None
    data = info.get_attr("IFLA_INFO_SLAVE_DATA")
    return BridgePort(
        isolated=bool(data.get_attr("IFLA_BRPORT_ISOLATED")),
        learning=bool(data.get_attr("IFLA_BRPORT_LEARNING")),
        neigh_suppress=bool(data.get_attr("IFLA_BRPORT_NEIGH_SUPPRESS")),
    )
