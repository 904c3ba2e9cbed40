"""ARP (RFC 826, 5227) and Neighbor Discovery (RFC 4861, 4862) as far as duplicates need it. Pure.

Whole Ethernet frames: what a packet socket sends and receives.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from overlay_runtime.address import IPAddress

ETH_P_ARP, ETH_P_IPV6 = 0x0806, 0x86DD
_ARP = struct.Struct("!HHBBH6s4s6s4s")
_ARP_START = struct.pack("!HHBB", 1, 0x0800, 6, 4)
_REQUEST = 1
_IPV6 = struct.Struct("!IHBB16s16s")
_ICMPV6, _SOLICITATION, _ADVERTISEMENT = 58, 135, 136
_OVERRIDE = 0x20000000
_TARGET_LINK_LAYER = 2
_ALL_NODES = ipaddress.IPv6Address("ff02::1")
_ANY = bytes(16)


@dataclass(frozen=True)
class Sighting:
    """What a frame says about who uses an address. `probe`: its sender asks whether it may."""

    address: IPAddress
    mac: str
    probe: bool


def probe(address: IPAddress, mac: str) -> bytes:
    """Return a frame that asks whether anybody uses an address, and claims nothing."""
    own = _bytes(mac)
    if isinstance(address, ipaddress.IPv4Address):
        return _arp(own, bytes(4), bytes(6), address.packed)
    group = _solicited_node(address)
    body = struct.pack("!BBHI", _SOLICITATION, 0, 0, 0) + address.packed
    return _icmpv6(own, ipaddress.IPv6Address(_ANY), group, body)


def request(address: ipaddress.IPv4Address, sender: ipaddress.IPv4Address, mac: str) -> bytes:
    """Return a frame that asks who has an address, as its user `sender` would (RFC 826)."""
    return _arp(_bytes(mac), sender.packed, bytes(6), address.packed)


def announcement(address: IPAddress, mac: str) -> bytes:
    """Return a frame that tells everybody who uses an address."""
    own = _bytes(mac)
    if isinstance(address, ipaddress.IPv4Address):
        return _arp(own, address.packed, bytes(6), address.packed)
    body = struct.pack("!BBHI", _ADVERTISEMENT, 0, 0, _OVERRIDE) + address.packed
    body += struct.pack("!BB", _TARGET_LINK_LAYER, 1) + own
    return _icmpv6(own, address, _ALL_NODES, body)


def read(frame: bytes) -> Sighting | None:
    """Return what a frame says, or None if it is about something else or broken."""
    if len(frame) < 14:
        return None
    kind = int.from_bytes(frame[12:14], "big")
    if kind == ETH_P_ARP:
        return _read_arp(frame[14:])
    if kind == ETH_P_IPV6:
        return _read_ndp(frame)
    return None


def _arp(own: bytes, sender: bytes, target_mac: bytes, target: bytes) -> bytes:
    body = _ARP_START + struct.pack("!H", _REQUEST) + own + sender + target_mac + target
    return b"\xff" * 6 + own + ETH_P_ARP.to_bytes(2, "big") + body


def _read_arp(body: bytes) -> Sighting | None:
    if len(body) < _ARP.size or not body.startswith(_ARP_START):
        return None
    _, _, _, _, operation, mac, sender, _, target = _ARP.unpack_from(body)
    if sender == bytes(4):
        if operation != _REQUEST or target == bytes(4):
            return None
        return Sighting(ipaddress.IPv4Address(target), mac.hex(":"), probe=True)
    return Sighting(ipaddress.IPv4Address(sender), mac.hex(":"), probe=False)


def _icmpv6(
    own: bytes, source: ipaddress.IPv6Address, group: ipaddress.IPv6Address, body: bytes
) -> bytes:
    total = _sum(_pseudo_header(source.packed, group.packed, len(body)) + body)
    body = body[:2] + (0xFFFF - total).to_bytes(2, "big") + body[4:]
    header = _IPV6.pack(6 << 28, len(body), _ICMPV6, 255, source.packed, group.packed)
    ethernet = b"\x33\x33" + group.packed[-4:] + own + ETH_P_IPV6.to_bytes(2, "big")
    return ethernet + header + body


def _read_ndp(frame: bytes) -> Sighting | None:
    if len(frame) < 14 + _IPV6.size + 24:
        return None
    _, length, following, hops, source, target = _IPV6.unpack_from(frame, 14)
    body = frame[14 + _IPV6.size : 14 + _IPV6.size + length]
    if following != _ICMPV6 or hops != 255 or len(body) < 24:
        return None
    if _sum(_pseudo_header(source, target, len(body)) + body) != 0xFFFF:
        return None
    about = ipaddress.IPv6Address(body[8:24])
    if body[0] == _SOLICITATION and source == _ANY:
        return Sighting(about, frame[6:12].hex(":"), probe=True)
    if body[0] == _ADVERTISEMENT:
        return Sighting(about, _link_layer(body[24:]) or frame[6:12].hex(":"), probe=False)
    return None


def _link_layer(options: bytes) -> str | None:
    """Return the MAC address that an advertisement names, if it does."""
    while len(options) >= 8 and options[1]:
        if options[0] == _TARGET_LINK_LAYER:
            return options[2:8].hex(":")
        options = options[options[1] * 8 :]
    return None


def _solicited_node(address: ipaddress.IPv6Address) -> ipaddress.IPv6Address:
    return ipaddress.IPv6Address(
        int(ipaddress.IPv6Address("ff02::1:ff00:0")) | int(address) & 0xFFFFFF
    )


def _pseudo_header(source: bytes, target: bytes, length: int) -> bytes:
    return source + target + struct.pack("!II", length, _ICMPV6)


def _sum(data: bytes) -> int:
    """Return the ones' complement sum of RFC 1071."""
    data += bytes(len(data) & 1)
    total = int(sum(struct.unpack(f"!{len(data) // 2}H", data)))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))
