"""What a host says about itself in a beacon, as plain values. Pure."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from overlay_runtime.address import IPAddress, IPNetwork

CLAIMING, HELD = "claiming", "held"

INTERVAL = 10.0
"""Seconds between a host's beacons when nothing changes and the segment isn't crowded."""


@dataclass(frozen=True, slots=True)
class BeaconNic:
    """A physical NIC as its host describes it: where VXLAN packets to that host may be sent.

    `ll` are link-local IPv6 addresses, good on the same segment; `v6` global ones.
    """

    name: str
    mtu: int
    v4: tuple[ipaddress.IPv4Address, ...]
    ll: tuple[ipaddress.IPv6Address, ...]
    v6: tuple[ipaddress.IPv6Address, ...] = ()

    @property
    def routed(self) -> tuple[IPAddress, ...]:
        """The addresses that routers know: IPv4, then global IPv6."""
        return (*self.v4, *self.v6)


@dataclass(frozen=True, slots=True)
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
    claims: IPAddress | None = None
    """Another overlay address, which the host would like to move to."""
    interval: float = INTERVAL
    """Seconds until the sender's next regular beacon: how long its silence means nothing."""
    to_all: bool = False
    """This copy was sent by broadcast or multicast, not to one host."""
    ask: bool = False
    """The sender doesn't trust the receiver's boot yet: answer, with my boot as echo."""
    echo: str | None = None
    """The boot nonce of the host that this beacon is for. What follows is only said to that one."""
    yours: IPAddress | None = None
    """The overlay address that the sender remembers for the receiver."""
    heard: tuple[ipaddress.IPv6Address, ...] = ()
    """The receiver's link-local addresses that the sender heard lately: the receiver can't see by
    itself whether what it sends arrives."""
    hears_all: bool = False
    """The sender lately heard what the receiver sends by broadcast or multicast."""
    seen: int | None = None
    """The highest `seq` of the receiver's present boot that the sender has seen."""
    key: int = 0
    """Which of the receiver's secrets it was signed with: 0 the present, 1 the previous one. Not on
    the wire."""
    others: tuple[IPAddress, ...] = ()
    """Physical addresses of some other hosts, which the receiver's broadcasts may not reach."""
