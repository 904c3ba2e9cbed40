"""Reads the kernel through rtnetlink(7) and /proc. Changes nothing."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Mapping
from pathlib import Path

from overlay_runtime import BRIDGE, VXLAN4, VXLAN6
from overlay_runtime.address import IPAddress
from overlay_runtime.kernel import messages as rtnl
from overlay_runtime.kernel.model import (
    FLOOD_MAC,
    BridgePort,
    Forwarding,
    Link,
    LinkAddress,
    Remote,
    Vxlan,
)
from overlay_runtime.kernel.netlink import Netlink, attributes, number, string, u32
from overlay_runtime.underlay import Route

_ARPHRD_ETHER, _ARPHRD_INFINIBAND = 1, 32
_IFA_F_DADFAILED, _IFA_F_OPTIMISTIC, _IFA_F_TENTATIVE = 0x08, 0x04, 0x40
_RTF_UP, _RTF_LOCAL = 0x0001, 0x80000000
_BINDING = (
    rtnl.VXLAN_LINK, rtnl.VXLAN_GROUP, rtnl.VXLAN_GROUP6, rtnl.VXLAN_LOCAL, rtnl.VXLAN_LOCAL6,
    rtnl.VXLAN_METADATA,
)  # fmt: skip


def read_links(netlink: Netlink) -> list[Link]:
    """Return every link of this network namespace. Raises NetlinkError."""
    ask = rtnl.IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    ask += u32(rtnl.IFLA_EXT_MASK, rtnl.RTEXT_FILTER_SKIP_STATS)
    return [_link(message) for message in netlink.dump(rtnl.GETLINK, ask)]


def read_addresses(netlink: Netlink) -> list[LinkAddress]:
    """Return every IP address of this network namespace. Raises NetlinkError."""
    found = []
    ask = rtnl.IFADDR.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    for message in netlink.dump(rtnl.GETADDR, ask):
        _, prefix, flags, _, index = rtnl.IFADDR.unpack_from(message)
        told = attributes(message, rtnl.IFADDR.size)
        # IFA_LOCAL is ours where IFA_ADDRESS is the other end of a point-to-point link.
        packed = told.get(rtnl.IFA_LOCAL) or told.get(rtnl.IFA_ADDRESS)
        if packed is None:
            continue
        flags = number(told[rtnl.IFA_FLAGS]) if rtnl.IFA_FLAGS in told else flags
        tentative = flags & _IFA_F_TENTATIVE and not flags & _IFA_F_OPTIMISTIC
        found.append(
            LinkAddress(
                index=index,
                interface=ipaddress.ip_interface((packed, prefix)),
                usable=not tentative and not flags & _IFA_F_DADFAILED,
                protocol=number(told.get(rtnl.IFA_PROTO)),
            )
        )
    return found


def read_forwarding(netlink: Netlink, indexes: Mapping[str, int]) -> Forwarding:
    """Return the forwarding entries on our links; `indexes` maps their names to ifindexes.

    Only entries that somebody set: what the bridge or ARP found out by themselves is left out.
    Raises NetlinkError.
    """
    result = Forwarding()
    for device in (VXLAN6, VXLAN4):
        if device in indexes:
            ask = rtnl.NDMSG.pack(socket.AF_BRIDGE, indexes[device], 0, 0, 0)
            for message in netlink.dump(rtnl.GETNEIGH, ask):
                _fdb_entry(message, device, indexes[device], result)
    if BRIDGE in indexes:
        for family in (socket.AF_INET, socket.AF_INET6):
            ask = rtnl.NDMSG.pack(family, 0, 0, 0, 0) + u32(rtnl.NDA_IFINDEX, indexes[BRIDGE])
            for message in netlink.dump(rtnl.GETNEIGH, ask):
                _neighbour(message, result)
    return result


def _fdb_entry(message: bytes, device: str, index: int, into: Forwarding) -> None:
    _, ifindex, state, flags, _ = rtnl.NDMSG.unpack_from(message)
    told = attributes(message, rtnl.NDMSG.size)
    packed = told.get(rtnl.NDA_LLADDR)
    if ifindex != index or packed is None:
        return
    mac = packed.hex(":")
    if flags & rtnl.NTF_SELF:
        via = number(told[rtnl.NDA_IFINDEX]) if rtnl.NDA_IFINDEX in told else None
        remote = Remote(_ip_text(told.get(rtnl.NDA_DST)), via)
        if mac == FLOOD_MAC:
            into.flood.add((device, remote))
        else:
            into.unicast[(device, mac)] = remote
    elif state & rtnl.NUD_NOARP and not state & rtnl.NUD_PERMANENT:
        into.ports[mac] = device  # `static`; `permanent` marks the port's own address


def _neighbour(message: bytes, into: Forwarding) -> None:
    _, _, state, _, _ = rtnl.NDMSG.unpack_from(message)
    if not state & rtnl.NUD_PERMANENT:
        return
    told = attributes(message, rtnl.NDMSG.size)
    packed = told.get(rtnl.NDA_DST)
    if packed and not ipaddress.ip_address(packed).is_multicast:
        into.neighbours[_ip_text(packed)] = told.get(rtnl.NDA_LLADDR, b"").hex(":")


def read_neighbour(netlink: Netlink, index: int, address: IPAddress) -> tuple[int, str] | None:
    """Return state (NUD_*) and MAC address of a link's entry for an address, if there is one.

    Raises NetlinkError.
    """
    message = netlink.get(rtnl.GETNEIGH, rtnl.ask_neighbour(index, address))
    if message is None:
        return None
    _, _, state, _, _ = rtnl.NDMSG.unpack_from(message)
    told = attributes(message, rtnl.NDMSG.size)
    return state, told.get(rtnl.NDA_LLADDR, b"").hex(":")


def _ip_text(packed: bytes | None) -> str:
    if packed is None:
        return ""
    if len(packed) == 4:
        return socket.inet_ntop(socket.AF_INET, packed)  # 4 times as fast as ipaddress
    return socket.inet_ntop(socket.AF_INET6, packed)


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


def _link(message: bytes) -> Link:
    kind_of_hardware, index, flags, _ = rtnl.IFINFO.unpack_from(message)[1:]
    told = attributes(message, rtnl.IFINFO.size)
    info = attributes(told.get(rtnl.IFLA_LINKINFO, b""))
    kind = string(info.get(rtnl.INFO_KIND))
    data = attributes(info.get(rtnl.INFO_DATA, b""))
    return Link(
        index=index,
        name=string(told.get(rtnl.IFLA_IFNAME)),
        kind=kind,
        mac=told.get(rtnl.IFLA_ADDRESS, b"").hex(":"),
        mtu=number(told.get(rtnl.IFLA_MTU)),
        up=bool(flags & rtnl.IFF_UP),
        carrier=bool(flags & rtnl.IFF_LOWER_UP),
        loopback=bool(flags & rtnl.IFF_LOOPBACK),
        ethernet=kind_of_hardware in (_ARPHRD_ETHER, _ARPHRD_INFINIBAND),
        master=number(told.get(rtnl.IFLA_MASTER)) or None,
        vxlan=_vxlan(data) if kind == "vxlan" and data else None,
        port=_port(info),
        stp=kind == "bridge" and number(data.get(rtnl.BR_STP_STATE)) != 0,
        mcast_snooping=kind == "bridge" and number(data.get(rtnl.BR_MCAST_SNOOPING)) != 0,
    )


def _vxlan(data: Mapping[int, bytes]) -> Vxlan:
    return Vxlan(
        vni=number(data.get(rtnl.VXLAN_ID)),
        port=int.from_bytes(data.get(rtnl.VXLAN_PORT, b""), "big"),
        learning=number(data.get(rtnl.VXLAN_LEARNING)) != 0,
        bound=any(any(data.get(name, b"")) for name in _BINDING),
    )


def _port(info: Mapping[int, bytes]) -> BridgePort | None:
    if string(info.get(rtnl.INFO_SLAVE_KIND)) != "bridge":
        return None
    data = attributes(info.get(rtnl.INFO_SLAVE_DATA, b""))
    return BridgePort(
        isolated=number(data.get(rtnl.BRPORT_ISOLATED)) != 0,
        learning=number(data.get(rtnl.BRPORT_LEARNING)) != 0,
        neigh_suppress=number(data.get(rtnl.BRPORT_NEIGH_SUPPRESS)) != 0,
    )
