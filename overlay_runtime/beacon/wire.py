"""A beacon on the wire: signed JSON in one UDP datagram. Pure.

    offset  bytes  content
    0       4      "EDGB"
    4       1      version (1)
    5       32     HMAC-SHA256 over the magic, the version and the body
    37      ≤1163  the body: compact JSON

The body is parsed only after the signature proved right.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import json
import re
from dataclasses import dataclass, replace
from typing import Any

from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.underlay import carries_vxlan

MAX_BYTES = 1200
"""Longest beacon: fits IPv6's minimal MTU of 1280 (RFC 8200, 5), so it is never fragmented."""

CLAIMING, HELD = "claiming", "held"

_MAGIC = b"EDGB"
_VERSION = 1
_HEADER = _MAGIC + bytes([_VERSION])
_BODY_AT = len(_HEADER) + 32
_MAX_NICS, _MAX_PER_NIC, _MAX_HEARD = 16, 8, 4
_DIRECTED_BYTES = 256
"""Kept free for what only a beacon to one host has. Else that one would list fewer NICs than a
broadcast does, and the host would seem to change with every beacon."""
_HEX16 = re.compile(r"[0-9a-f]{16}")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


class BadBeacon(Exception):
    """A datagram that is no beacon of this cluster. The only thing that `decode` raises."""


class MalformedBeacon(BadBeacon):
    """Signed with our secret, and yet not to be understood: another version, or a fault."""


@dataclass(frozen=True)
class BeaconNic:
    """A physical NIC as its host describes it: where VXLAN packets to that host may be sent."""

    name: str
    mtu: int
    v4: tuple[ipaddress.IPv4Address, ...]
    ll: tuple[ipaddress.IPv6Address, ...]


@dataclass(frozen=True)
class Beacon:
    """What a host says about itself, and, in a beacon to one host, what it knows of that one."""

    host: str
    name: str
    boot: str
    """16 hex digits drawn at each start of the agent; proves, once echoed, that it is no replay."""
    seq: int
    cidr: IPNetwork
    vni: int
    port: int
    state: str
    address: IPAddress | None
    mac: str
    nics: tuple[BeaconNic, ...]
    echo: str | None = None
    """The boot nonce of the host that this beacon is for."""
    ask: bool = False
    """The sender doesn't trust the receiver's boot yet: answer, with my boot as echo."""
    yours: IPAddress | None = None
    """The overlay address that the sender remembers for the receiver."""
    heard: tuple[ipaddress.IPv6Address, ...] = ()
    """The receiver's link-local addresses that the sender heard lately: the receiver can't see by
    itself whether what it sends arrives."""


def derive_key(secret: str | None) -> bytes:
    """Return the beacon key of a cluster; without a secret the one that all insecure ones share."""
    material = secret if secret is not None else "edge-overlay insecure: true"
    return hmac.digest(material.encode(), b"edge-overlay beacon v1", "sha256")


def encode(beacon: Beacon, key: bytes) -> bytes:
    """Sign a beacon. NICs and addresses that don't fit into MAX_BYTES are left out, last first."""
    nics = list(beacon.nics[:_MAX_NICS])
    nics = [
        replace(nic, v4=nic.v4[:_MAX_PER_NIC], ll=nic.ll[:_MAX_PER_NIC], name=nic.name[:15])
        for nic in nics
    ]
    to_all = replace(beacon, echo=None, ask=False, yours=None, heard=())
    while nics and len(_packed(to_all, nics)) > MAX_BYTES - _BODY_AT - _DIRECTED_BYTES:
        last = nics.pop()
        if len(last.v4) + len(last.ll) > 1:
            nics.append(replace(last, v4=last.v4[: len(last.v4) // 2 or 1], ll=last.ll[:1]))
            if nics[-1] == last:
                nics.pop()
    data = _packed(beacon, nics)
    return _HEADER + hmac.digest(key, _HEADER + data, hashlib.sha256) + data


def decode(data: bytes, key: bytes) -> Beacon:
    """Verify a datagram and return the beacon in it. Raises BadBeacon, and nothing else."""
    if len(data) > MAX_BYTES or len(data) <= _BODY_AT or data[: len(_HEADER)] != _HEADER:
        raise BadBeacon("not a beacon of this version")
    signature, body = data[len(_HEADER) : _BODY_AT], data[_BODY_AT:]
    expected = hmac.digest(key, _HEADER + body, hashlib.sha256)
    if not hmac.compare_digest(signature, expected):
        raise BadBeacon("wrong signature")
    try:
        return _beacon(json.loads(body))
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MalformedBeacon(f"malformed body: {error}") from None


def _packed(beacon: Beacon, nics: list[BeaconNic]) -> bytes:
    return json.dumps(_body(beacon, nics), separators=(",", ":")).encode()


def _body(beacon: Beacon, nics: list[BeaconNic]) -> dict[str, Any]:
    body: dict[str, Any] = {
        "host": beacon.host,
        "name": beacon.name.encode("ascii", "replace").decode()[:64],
        "boot": beacon.boot,
        "seq": beacon.seq,
        "cidr": str(beacon.cidr),
        "vni": beacon.vni,
        "port": beacon.port,
        "state": beacon.state,
        "mac": beacon.mac,
        "nics": [
            {"name": nic.name, "mtu": nic.mtu,
             "v4": [str(a) for a in nic.v4], "ll": [str(a) for a in nic.ll]}
            for nic in nics
        ],
    }  # fmt: skip
    optional = {
        "address": str(beacon.address) if beacon.address else None,
        "echo": beacon.echo,
        "ask": beacon.ask or None,
        "yours": str(beacon.yours) if beacon.yours else None,
        "heard": [str(a) for a in beacon.heard[:_MAX_HEARD]] or None,
    }
    return body | {key: value for key, value in optional.items() if value is not None}


def _beacon(body: Any) -> Beacon:
    if not isinstance(body, dict):
        raise ValueError("not an object")
    cidr = ipaddress.ip_network(_text(body, "cidr", 50))
    state = _text(body, "state", 8)
    if state not in (CLAIMING, HELD):
        raise ValueError("unknown state")
    nics = body["nics"]
    if not isinstance(nics, list) or len(nics) > _MAX_NICS:
        raise ValueError("nics")
    ask = body.get("ask", False)
    if not isinstance(ask, bool):
        raise ValueError("ask")
    return Beacon(
        host=_match(body, "host", _HEX16),
        name="".join(c if c.isprintable() else "?" for c in _text(body, "name", 64)),
        boot=_match(body, "boot", _HEX16),
        seq=_whole(body, "seq", 0, 2**53),
        cidr=cidr,
        vni=_whole(body, "vni", 1, 2**24 - 1),
        port=_whole(body, "port", 1, 65534),
        state=state,
        address=_overlay_address(body, "address", cidr),
        mac=_unicast_mac(body),
        nics=tuple(_nic(nic, cidr) for nic in nics),
        echo=_match(body, "echo", _HEX16) if "echo" in body else None,
        ask=ask,
        yours=_overlay_address(body, "yours", cidr),
        heard=tuple(_vtep6(text) for text in _few(body.get("heard", []))),
    )


def _nic(nic: Any, cidr: IPNetwork) -> BeaconNic:
    if not isinstance(nic, dict):
        raise ValueError("nic")
    v4 = [ipaddress.IPv4Address(_only_text(text)) for text in _few(nic["v4"])]
    return BeaconNic(
        name=_text(nic, "name", 15),
        mtu=_whole(nic, "mtu", 0, 2**32),
        # An address that can't be used is no reason to lose the host: it may have others.
        v4=tuple(address for address in v4 if carries_vxlan(address, cidr)),
        ll=tuple(_vtep6(text) for text in _few(nic["ll"])),
    )


def _few(addresses: Any) -> list[Any]:
    if not isinstance(addresses, list) or len(addresses) > _MAX_PER_NIC:
        raise ValueError("addresses")
    return addresses


def _vtep6(text: Any) -> ipaddress.IPv6Address:
    address = ipaddress.IPv6Address(_only_text(text))
    if not address.is_link_local or address.scope_id:
        raise ValueError("not a link-local address")
    return address


def _overlay_address(body: dict[str, Any], key: str, cidr: IPNetwork) -> IPAddress | None:
    if key not in body:
        return None
    address = ipaddress.ip_address(_text(body, key, 50))
    if address not in cidr:
        raise ValueError(f"{key} outside the range")
    return address


def _unicast_mac(body: dict[str, Any]) -> str:
    mac = _match(body, "mac", _MAC)
    if int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise ValueError("mac")
    return mac


def _only_text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 50:
        raise ValueError("not text")  # ipaddress would take a number for an address
    return value


def _text(body: dict[str, Any], key: str, longest: int) -> str:
    value = body[key]
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(key)
    return value


def _match(body: dict[str, Any], key: str, pattern: re.Pattern[str]) -> str:
    value = _text(body, key, 64)
    if not pattern.fullmatch(value):
        raise ValueError(key)
    return value


def _whole(body: dict[str, Any], key: str, low: int, high: int) -> int:
    value = body[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(key)
    return value
