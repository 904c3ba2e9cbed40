"""The JSON parts of a beacon: from values to text and, checked, back. Pure.

Everything here raises ValueError, TypeError, KeyError or RecursionError for what isn't right;
`wire.py` makes one error of them.
"""

from __future__ import annotations

import functools
import ipaddress
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from overlay_runtime.address import IPAddress, IPNetwork, as_text
from overlay_runtime.beacon.model import CLAIMING, HELD, Beacon, BeaconNic
from overlay_runtime.underlay import carries_vxlan

MAX_NICS, MAX_PER_NIC, MAX_HEARD, MAX_OTHERS = 16, 8, 4, 4
_MIN_INTERVAL, _MAX_INTERVAL = 1.0, 3600.0
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_Item = TypeVar("_Item")
# Made once: they were more than half of what signing a beacon to one host takes.
_compact = json.JSONEncoder(separators=(",", ":")).encode


@dataclass(frozen=True)
class Directed:
    """What is said to one host only."""

    yours: IPAddress | None = None
    heard: tuple[ipaddress.IPv6Address, ...] = ()
    hears_all: bool = False
    seen: int | None = None
    others: tuple[IPAddress, ...] = ()


class _Packed:
    """The body packed last: it stays the same until something changes, and packing it takes longer
    than all the rest of a beacon."""

    key: tuple[object, ...] | None = None
    data = b""


def packed_body(beacon: Beacon, longest: int) -> bytes:
    """Do as `pack_body`, but only if the body is another than the last time."""
    key = (longest, beacon.name, beacon.state, beacon.address, beacon.claims, beacon.interval,
           beacon.nics, beacon.mac, beacon.cidr, beacon.vni, beacon.port)  # fmt: skip
    if _Packed.key != key:
        _Packed.key, _Packed.data = key, pack_body(beacon, longest)
    return _Packed.data


def pack_body(beacon: Beacon, longest: int) -> bytes:
    """Return what a host tells everybody, the same bytes as long as nothing changes.

    NICs and addresses that don't fit into `longest` bytes are left out, last first.
    """
    nics = [
        replace(nic, name=nic.name[:15], v4=nic.v4[:MAX_PER_NIC], ll=nic.ll[:MAX_PER_NIC],
                v6=nic.v6[:MAX_PER_NIC])
        for nic in beacon.nics[:MAX_NICS]
    ]  # fmt: skip
    while nics and len(_packed(beacon, nics)) > longest:
        last = nics.pop()
        if len(last.v4) + len(last.ll) + len(last.v6) > 1:
            half = replace(last, v4=last.v4[: len(last.v4) // 2 or 1], ll=last.ll[:1], v6=())
            nics += [half] if half != last else []
    return _packed(beacon, nics)


def pack_directed(beacon: Beacon) -> bytes:
    """Return what is said to one host only; nothing (no byte) if there is nothing to say."""
    said: dict[str, Any] = {
        "yours": as_text(beacon.yours) if beacon.yours else None,
        "heard": [as_text(a) for a in beacon.heard[:MAX_HEARD]] or None,
        "hears_all": beacon.hears_all or None,
        "seen": beacon.seen,
        "others": [as_text(a) for a in beacon.others[:MAX_OTHERS]] or None,
    }
    said = {key: value for key, value in said.items() if value is not None}
    return _compact(said).encode() if said else b""


@functools.lru_cache(maxsize=2048)
def parse_body(data: bytes) -> Beacon:
    """Return the beacon that a body describes, its header's fields empty.

    Cached: a thousand hosts say the same thing every few seconds.
    """
    body = _object(data)
    cidr = ipaddress.ip_network(_text(body, "cidr", 50))
    state = _text(body, "state", 8)
    if state not in (CLAIMING, HELD):
        raise ValueError("unknown state")
    return Beacon(
        host="",
        name="".join(c if c.isprintable() else "?" for c in _text(body, "name", 64)),
        boot="",
        seq=0,
        cidr=cidr,
        vni=_whole(body, "vni", 1, 2**24 - 1),
        port=_whole(body, "port", 1, 65534),
        state=state,
        address=_overlay_address(body, "address", cidr),
        mac=_unicast_mac(body),
        nics=tuple(_nic(nic, cidr) for nic in _few(body["nics"], MAX_NICS)),
        claims=_overlay_address(body, "claims", cidr),
        interval=_seconds(body, "interval"),
    )


def parse_directed(data: bytes, cidr: IPNetwork) -> Directed:
    """Return what is said to one host only."""
    if not data:
        return Directed()
    body = _object(data)
    hears_all = body.get("hears_all", False)
    if not isinstance(hears_all, bool):
        raise ValueError("hears_all")
    return Directed(
        yours=_overlay_address(body, "yours", cidr),
        heard=_each(body.get("heard", []), MAX_PER_NIC, _link_local),
        hears_all=hears_all,
        seen=_whole(body, "seen", 0, 2**63) if "seen" in body else None,
        others=tuple(
            address
            for address in _each(body.get("others", []), MAX_PER_NIC, _ip)
            if carries_vxlan(address, cidr)
        ),
    )


def _packed(beacon: Beacon, nics: list[BeaconNic]) -> bytes:
    body: dict[str, Any] = {
        "name": beacon.name.encode("ascii", "replace").decode()[:64],
        "cidr": str(beacon.cidr),
        "vni": beacon.vni,
        "port": beacon.port,
        "state": beacon.state,
        "mac": beacon.mac,
        "interval": beacon.interval,
        "nics": [_packed_nic(nic) for nic in nics],
    }
    if beacon.address:
        body["address"] = str(beacon.address)
    if beacon.claims:
        body["claims"] = str(beacon.claims)
    return json.dumps(body, separators=(",", ":")).encode()


def _packed_nic(nic: BeaconNic) -> dict[str, Any]:
    addresses = {"v4": nic.v4, "ll": nic.ll, "v6": nic.v6}
    lists = {key: [str(a) for a in value] for key, value in addresses.items() if value}
    return {"name": nic.name, "mtu": nic.mtu, **lists}


def _object(data: bytes) -> dict[str, Any]:
    body = json.loads(data)
    if not isinstance(body, dict):
        raise ValueError("not an object")
    return body


def _nic(nic: Any, cidr: IPNetwork) -> BeaconNic:
    if not isinstance(nic, dict):
        raise ValueError("nic")
    v4 = _each(nic.get("v4", []), MAX_PER_NIC, lambda text: ipaddress.IPv4Address(_short(text)))
    v6 = _each(nic.get("v6", []), MAX_PER_NIC, lambda text: ipaddress.IPv6Address(_short(text)))
    return BeaconNic(
        name=_text(nic, "name", 15),
        mtu=_whole(nic, "mtu", 0, 2**32),
        # An address that can't be used is no reason to lose the host: it may have others.
        v4=tuple(address for address in v4 if carries_vxlan(address, cidr)),
        ll=_each(nic.get("ll", []), MAX_PER_NIC, _link_local),
        v6=tuple(address for address in v6 if carries_vxlan(address, cidr)),
    )


def _few(items: Any, most: int) -> list[Any]:
    if not isinstance(items, list) or len(items) > most:
        raise ValueError("not a short list")
    return items


def _each(items: Any, most: int, parse: Callable[[Any], _Item]) -> tuple[_Item, ...]:
    return tuple(parse(item) for item in _few(items, most))


def _link_local(text: Any) -> ipaddress.IPv6Address:
    address = ipaddress.IPv6Address(_short(text))
    if not address.is_link_local or address.scope_id:
        raise ValueError("not a link-local address")
    return address


def _ip(text: Any) -> IPAddress:
    return ipaddress.ip_address(_short(text))


def _overlay_address(body: dict[str, Any], key: str, cidr: IPNetwork) -> IPAddress | None:
    if key not in body:
        return None
    address = ipaddress.ip_address(_text(body, key, 50))
    if address not in cidr:
        raise ValueError(f"{key} outside the range")
    return address


def _unicast_mac(body: dict[str, Any]) -> str:
    mac = _text(body, "mac", 17)
    if not _MAC.fullmatch(mac) or int(mac[:2], 16) & 1 or mac == "00:00:00:00:00:00":
        raise ValueError("mac")
    return mac


def _short(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 50:
        raise ValueError("not text")  # ipaddress would take a number for an address
    return value


def _text(body: dict[str, Any], key: str, longest: int) -> str:
    value = body[key]
    if not isinstance(value, str) or len(value) > longest:
        raise ValueError(key)
    return value


def _whole(body: dict[str, Any], key: str, low: int, high: int) -> int:
    value = body[key]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(key)
    return value


def _seconds(body: dict[str, Any], key: str) -> float:
    value = body[key]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(key)
    if not _MIN_INTERVAL <= value <= _MAX_INTERVAL:  # false for NaN too
        raise ValueError(key)
    return float(value)
