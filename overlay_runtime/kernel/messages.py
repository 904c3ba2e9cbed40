"""rtnetlink's messages for what we set and read: numbers, headers, requests. Pure.

Numbers and layouts are those of linux/rtnetlink.h, if_link.h, if_addr.h, neighbour.h.
"""

from __future__ import annotations

import ipaddress
import socket
import struct

from overlay_runtime.address import IPAddress
from overlay_runtime.kernel.model import ADDRESS_PROTOCOL, ROUTE_PROTOCOL, Remote
from overlay_runtime.kernel.netlink import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    Request,
    attribute,
    nested,
    text,
    u8,
    u32,
)

IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

NEWLINK, DELLINK, GETLINK, SETLINK = 16, 17, 18, 19
NEWADDR, DELADDR, GETADDR = 20, 21, 22
NEWROUTE, DELROUTE, GETROUTE = 24, 25, 26
NEWNEIGH, DELNEIGH, GETNEIGH = 28, 29, 30

IFINFO, IFADDR = struct.Struct("=BxHiII"), struct.Struct("=BBBBi")
NDMSG, RTMSG = struct.Struct("=BxxxiHBB"), struct.Struct("=BBBBBBBBI")

IFF_UP, IFF_LOOPBACK, IFF_LOWER_UP = 0x1, 0x8, 0x10000
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER = 1, 3, 4, 10
IFLA_PROTINFO, IFLA_LINKINFO, IFLA_AF_SPEC, IFLA_EXT_MASK = 12, 18, 26, 29
INFO_KIND, INFO_DATA, INFO_SLAVE_KIND, INFO_SLAVE_DATA = 1, 2, 4, 5
RTEXT_FILTER_SKIP_STATS = 1 << 3
VXLAN_ID, VXLAN_GROUP, VXLAN_LINK, VXLAN_LOCAL, VXLAN_LEARNING = 1, 2, 3, 4, 7
VXLAN_PORT, VXLAN_GROUP6, VXLAN_LOCAL6, VXLAN_METADATA = 15, 16, 17, 25
BR_STP_STATE, BR_MCAST_SNOOPING = 5, 23
BRPORT_LEARNING, BRPORT_NEIGH_SUPPRESS, BRPORT_ISOLATED = 8, 32, 33
_INET6_ADDR_GEN_MODE, _ADDR_GEN_NONE = 8, 1

IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS, IFA_PROTO = 1, 2, 4, 8, 11
_IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = 0x02, 0x200

RTA_DST, RTA_OIF, RTA_PRIORITY, RTA_PREFSRC, RTA_METRICS = 1, 4, 6, 7, 8
RTAX_MTU = 2
RTPROT_KERNEL = 2
_RT_TABLE_MAIN, _RTN_UNICAST, _RT_SCOPE_LINK = 254, 1, 253
_RT_SCOPE_UNIVERSE, _RT_SCOPE_NOWHERE = 0, 255

NDA_DST, NDA_LLADDR, NDA_IFINDEX = 1, 2, 8
NTF_SELF, NTF_MASTER = 0x02, 0x04
NUD_NOARP, NUD_PERMANENT = 0x40, 0x80


def mac_bytes(mac: str) -> bytes:
    """Return six bytes of `02:00:…`."""
    return bytes.fromhex(mac.replace(":", ""))


def make_bridge(name: str, mac: str, mtu: int, index: int = 0) -> Request:
    """Make a bridge without spanning tree and without multicast snooping.

    `index` is the interface index that it is to have, 0 for the kernel's choice. The kernel answers
    EBUSY if another link has it.
    """
    data = nested(INFO_DATA, u32(BR_STP_STATE, 0), u8(BR_MCAST_SNOOPING, 0))
    return _make_link(name, mac, mtu, text(INFO_KIND, "bridge") + data, index)


def make_vxlan(name: str, mac: str, mtu: int, vni: int, port: int, *, over6: bool) -> Request:
    """Make a VXLAN device that learns nothing and is tied to no NIC and no address.

    `local ::` makes it an IPv6 device.
    """
    settings = [
        u32(VXLAN_ID, vni),
        u8(VXLAN_LEARNING, 0),
        attribute(VXLAN_PORT, port.to_bytes(2, "big")),
    ]
    if over6:
        settings.append(attribute(VXLAN_LOCAL6, bytes(16)))
    return _make_link(name, mac, mtu, text(INFO_KIND, "vxlan") + nested(INFO_DATA, *settings))


def _make_link(name: str, mac: str, mtu: int, info: bytes, index: int = 0) -> Request:
    head = IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0)
    common = text(IFLA_IFNAME, name) + attribute(IFLA_ADDRESS, mac_bytes(mac)) + u32(IFLA_MTU, mtu)
    return Request(NEWLINK, NLM_F_CREATE | NLM_F_EXCL, head + common + nested(IFLA_LINKINFO, info))


def no_addresses(name: str) -> Request:
    """Keep the kernel from giving a link an IPv6 address of its own."""
    mode = nested(IFLA_AF_SPEC, nested(socket.AF_INET6, u8(_INET6_ADDR_GEN_MODE, _ADDR_GEN_NONE)))
    head = IFINFO.pack(socket.AF_UNSPEC, 0, 0, 0, 0)
    return Request(NEWLINK, 0, head + text(IFLA_IFNAME, name) + mode)


def delete_link(index: int) -> Request:
    """Remove a link."""
    return Request(DELLINK, 0, IFINFO.pack(socket.AF_UNSPEC, 0, index, 0, 0))


def set_link(index: int, *settings: bytes, up: bool = False) -> Request:
    """Change attributes of a link, and bring it up."""
    flags = IFF_UP if up else 0
    return Request(
        NEWLINK, 0, IFINFO.pack(socket.AF_UNSPEC, 0, index, flags, flags) + b"".join(settings)
    )


def set_bridge(index: int) -> Request:
    """Take spanning tree and multicast snooping from a bridge."""
    data = nested(INFO_DATA, u32(BR_STP_STATE, 0), u8(BR_MCAST_SNOOPING, 0))
    return set_link(index, nested(IFLA_LINKINFO, text(INFO_KIND, "bridge"), data))


def set_port(index: int) -> Request:
    """Make a bridge's port isolated, and keep it from learning and from answering for others."""
    settings = nested(
        IFLA_PROTINFO, u8(BRPORT_ISOLATED, 1), u8(BRPORT_LEARNING, 0), u8(BRPORT_NEIGH_SUPPRESS, 0)
    )
    head = IFINFO.pack(socket.AF_BRIDGE, 0, index, 0, 0)
    return Request(SETLINK, 0, head + settings)


def _address_body(index: int, address: IPInterface) -> bytes:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    packed = address.ip.packed
    head = IFADDR.pack(family, address.network.prefixlen, 0, 0, index)
    return head + attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)


def add_address(index: int, address: IPInterface) -> Request:
    """Add an address, marked as ours, without the kernel's own route."""
    flags = _IFA_F_NOPREFIXROUTE
    extra = u8(IFA_PROTO, ADDRESS_PROTOCOL)
    if address.version == 4:
        extra += attribute(IFA_BROADCAST, address.network.broadcast_address.packed)
    else:
        # Claimed and checked already; tentative, it would be unusable for a second.
        flags |= _IFA_F_NODAD
    body = _address_body(index, address) + u32(IFA_FLAGS, flags) + extra
    return Request(NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body)


def delete_address(index: int, address: IPInterface) -> Request:
    """Remove an address."""
    return Request(DELADDR, 0, _address_body(index, address))


def add_route(
    network: IPNetwork, index: int, *, metric: int = 0, source: IPAddress | None = None,
    mtu: int | None = None, replace: bool = False,
) -> Request:  # fmt: skip
    """Add a route to what is directly on a link, marked as ours; `mtu` in bytes."""
    v4 = network.version == 4
    head = RTMSG.pack(
        socket.AF_INET if v4 else socket.AF_INET6, network.prefixlen, 0, 0, _RT_TABLE_MAIN,
        ROUTE_PROTOCOL, _RT_SCOPE_LINK if v4 else _RT_SCOPE_UNIVERSE, _RTN_UNICAST, 0,
    )  # fmt: skip
    body = head + attribute(RTA_DST, network.network_address.packed) + u32(RTA_OIF, index)
    if metric:
        body += u32(RTA_PRIORITY, metric)
    if source:
        body += attribute(RTA_PREFSRC, source.packed)
    if mtu:
        body += nested(RTA_METRICS, u32(RTAX_MTU, mtu))
    return Request(NEWROUTE, NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL), body)


def delete_route(network: IPNetwork, index: int, protocol: int) -> Request:
    """Remove a route that was set by `protocol` (RTA_PROTOCOL)."""
    family = socket.AF_INET if network.version == 4 else socket.AF_INET6
    head = RTMSG.pack(
        family, network.prefixlen, 0, 0, _RT_TABLE_MAIN, protocol, _RT_SCOPE_NOWHERE, 0, 0
    )
    body = head + attribute(RTA_DST, network.network_address.packed) + u32(RTA_OIF, index)
    return Request(DELROUTE, 0, body)


def fdb_entry(
    index: int, mac: str, remote: Remote | None, *, remove: bool, append: bool = False
) -> Request:
    """Set or remove an entry of a VXLAN device (with `remote`) or a port's entry of its bridge."""
    state, flags = (
        (NUD_NOARP | NUD_PERMANENT, NTF_SELF) if remote else (NUD_NOARP, NTF_MASTER)
    )  # fmt: skip
    body = NDMSG.pack(socket.AF_BRIDGE, index, state, flags, 0)
    body += attribute(NDA_LLADDR, mac_bytes(mac))
    if remote:
        body += attribute(NDA_DST, ipaddress.ip_address(remote.address).packed)
        if remote.via is not None:
            body += u32(NDA_IFINDEX, remote.via)
    return _neighbour(body, remove=remove, append=append)


def neighbour(index: int, address: str, mac: str, *, remove: bool) -> Request:
    """Set or remove a permanent neighbour entry of a link."""
    ip = ipaddress.ip_address(address)
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    body = NDMSG.pack(family, index, NUD_PERMANENT, 0, 0) + attribute(NDA_DST, ip.packed)
    return _neighbour(
        body if remove else body + attribute(NDA_LLADDR, mac_bytes(mac)), remove=remove
    )


def ask_neighbour(index: int, address: IPAddress) -> bytes:
    """Return the body of RTM_GETNEIGH for one address on a link (Linux ≥ 5.0)."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    return NDMSG.pack(family, index, 0, 0, 0) + attribute(NDA_DST, address.packed)


def _neighbour(body: bytes, *, remove: bool, append: bool = False) -> Request:
    if remove:
        return Request(DELNEIGH, 0, body)
    return Request(NEWNEIGH, NLM_F_CREATE | (NLM_F_APPEND if append else NLM_F_REPLACE), body)
