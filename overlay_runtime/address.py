"""Overlay addresses: which are reserved, and the order in which a host tries them. Pure."""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import math
from collections.abc import Iterator

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface


@functools.lru_cache(maxsize=8192)
def as_text(address: IPAddress) -> str:
    """Return `str(address)`, remembered: a cluster's addresses are told over and over."""
    return str(address)


def vip(cidr: IPNetwork) -> IPAddress:
    """Return the cluster's virtual address: the first one after the network's own."""
    return cidr[1]


def reserved(cidr: IPNetwork) -> frozenset[IPAddress]:
    """Return the addresses that no host may have: network, VIP, and the last.

    The last is IPv4's broadcast; IPv6 has none, but the first is its subnet-router anycast
    (RFC 4291, 2.6.1), and one rule for both families is easier to remember.
    """
    return frozenset({cidr[0], cidr[1], cidr[-1]})


def usable(address: IPAddress, cidr: IPNetwork) -> bool:
    """Tell whether a host may have `address` in `cidr`."""
    return address.version == cidr.version and address in cidr and address not in reserved(cidr)


def candidates(identity: str, cidr: IPNetwork) -> Iterator[IPAddress]:
    """Yield every usable address of `cidr` once, in an order that depends on `identity` alone.

    The order is a walk with a start and a stride of its own: two hosts whose first candidates
    collide do not collide again at the second. In a range too large to exhaust the walk goes on for
    as long as the caller asks.
    """
    digest = hashlib.sha256(f"edge-overlay address v1\n{identity}\n{cidr}".encode()).digest()
    count = cidr.num_addresses - 3
    start = int.from_bytes(digest[:16], "big") % count
    stride = int.from_bytes(digest[16:], "big") % count
    while math.gcd(stride, count) != 1:  # only then does the walk meet every address
        stride += 1
    for step in range(count):
        yield cidr[2 + (start + step * stride) % count]
