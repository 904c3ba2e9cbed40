"""What is in the kernel, as plain values: links, addresses, forwarding entries. Pure.

Names follow iproute2's: `bridge fdb` and `ip neighbour` show the same things.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field

FLOOD_MAC = "00:00:00:00:00:00"
"""VXLAN's entry for frames without a destination of their own: broadcast, multicast, unknown."""

ADDRESS_PROTOCOL = 97
"""IFA_PROTO of addresses that this program set (Linux ≥ 5.18): so it removes no other's."""


ROUTE_PROTOCOL = 97
"""The same for routes (RTA_PROTOCOL): a number that rt_protos of iproute2 gives to nobody."""

ROUTE_METRIC = 4096
"""Metric of the route to the overlay: higher than those that physical networks get (0 from the
kernel, 100-700 from NetworkManager, 1024 from networkd and RAs). Where the ranges meet, the host's
own network must win: without it there is no overlay either."""

OVERHEAD = {4: 50, 6: 70}
"""Bytes that VXLAN adds to a packet, by the IP version outside: Ethernet 14 + VXLAN 8 + UDP 8, and
IPv4 20 or IPv6 40."""


@dataclass(frozen=True)
class Vxlan:
    """What makes one VXLAN device differ from another."""

    vni: int
    port: int
    learning: bool
    bound: bool
    """Tied to a NIC, a group or a local address: it would vanish or go silent with that."""


@dataclass(frozen=True)
class BridgePort:
    """Settings of a link as a port of a bridge."""

    isolated: bool
    learning: bool
    neigh_suppress: bool


@dataclass(frozen=True)
class Link:
    """A network interface. `kind` is rtnetlink's, "" for hardware; `mtu` is in bytes."""

    index: int
    name: str
    kind: str
    mac: str
    mtu: int
    up: bool
    carrier: bool
    loopback: bool = False
    ethernet: bool = True
    master: int | None = None
    vxlan: Vxlan | None = None
    port: BridgePort | None = None
    stp: bool = False
    mcast_snooping: bool = False


@dataclass(frozen=True)
class LinkAddress:
    """An IP address on a link. `usable` is false while duplicate detection runs or after it failed.

    `protocol` is IFA_PROTO: who set it.
    """

    index: int
    interface: ipaddress.IPv4Interface | ipaddress.IPv6Interface
    usable: bool = True
    protocol: int = 0


@dataclass(frozen=True, order=True)
class Remote:
    """Where VXLAN packets go: an address, and for a link-local one the NIC's ifindex."""

    address: str
    via: int | None = None


@dataclass
class Forwarding:
    """All that decides where frames on the overlay go."""

    flood: set[tuple[str, Remote]] = field(default_factory=set)
    """(VXLAN device, remote): gets a copy of every broadcast."""
    unicast: dict[tuple[str, str], Remote] = field(default_factory=dict)
    """(VXLAN device, MAC) → remote."""
    ports: dict[str, str] = field(default_factory=dict)
    """MAC → VXLAN device: the bridge's static entries."""
    neighbours: dict[str, str] = field(default_factory=dict)
    """Overlay address → MAC: permanent entries on the bridge."""
