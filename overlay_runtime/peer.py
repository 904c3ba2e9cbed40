"""One other host, as this one knows it. Pure.

Times are seconds of CLOCK_BOOTTIME: they go on while the machine sleeps, and setting the clock does
not move them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.model import INTERVAL, Beacon

_BEACONS_MISSED = 3.5
HEARD_FOR = INTERVAL * _BEACONS_MISSED
"""A path counts as working for this long after a beacon came over it: three of its beacons (one
every 10 s ± jitter) may get lost. After it, a peer is shown as lost. A crowd's beacons are rarer,
and each peer tells how rare its own are: see `Peer.patience`."""


@dataclass(frozen=True, slots=True)
class Transport:
    """How packets to a peer travel: IPv6 link-local through a NIC (its ifindex), or routed."""

    remote: IPAddress
    via: int | None = None

    @property
    def name(self) -> str:
        """`ipv6-link-local`, `ipv4` or `ipv6`."""
        if self.remote.version == 4:
            return "ipv4"
        return "ipv6" if self.via is None else "ipv6-link-local"


@dataclass(slots=True)
class Peer:
    """Another host, as its newest trusted beacon describes it."""

    beacon: Beacon
    since: float
    last_seen: float
    heard_ll: dict[tuple[int, ipaddress.IPv6Address], float] = field(default_factory=dict)
    """(ifindex of ours, link-local address of the peer) → when a beacon last came that way."""
    heard_routed: dict[IPAddress, float] = field(default_factory=dict)
    """The same for its other addresses."""
    confirmed: dict[ipaddress.IPv6Address, float] = field(default_factory=dict)
    """Link-local address of ours → when the peer last told that it hears it."""
    transport: Transport | None = None
    transport_since: float = 0.0
    conflict: str | None = None
    yours: IPAddress | None = None
    """The overlay address that the peer remembers for this host."""
    heard_broadcast: float | None = None
    """When one of its beacons last came by broadcast or multicast; the next the same by unicast."""
    heard_unicast: float | None = None
    hears_us: float | None = None
    """When it last told that it hears what we send by broadcast or multicast; None if it last told
    that it doesn't."""
    acted_on: tuple[object, ...] | None = None
    """What of its beacon decides about forwarding, as the kernel has it."""
    path_mtu: int | None = None
    """The largest IP packet, in bytes, that is known to reach it by `transport` (pathmtu.py)."""

    @property
    def id(self) -> str:
        """The peer's host id."""
        return self.beacon.host

    @property
    def address(self) -> IPAddress | None:
        """The overlay address that it holds or claims."""
        return self.beacon.address

    @property
    def patience(self) -> float:
        """For how many seconds its silence means nothing."""
        return _BEACONS_MISSED * self.beacon.interval

    def lost(self, now: float) -> bool:
        """Whether it has been silent for too long to be called alive."""
        return now - self.last_seen > self.patience

    def hears_all(self, now: float) -> bool:
        """Whether we lately heard what it sends by broadcast or multicast. Given up one beacon
        sooner than the peer itself: so there is time to tell it."""
        at = self.heard_broadcast
        return at is not None and now - at <= self.patience - self.beacon.interval

    def deaf(self, now: float) -> bool:
        """Whether it has to be taken that it doesn't hear our broadcasts. It has time to tell: when
        hundreds start in one second, nobody has told anything yet."""
        return self.hears_us is None and now - self.since > INTERVAL

    def heard_lately(self, now: float) -> dict[tuple[int, ipaddress.IPv6Address], float]:
        """Return the part of `heard_ll` that still counts."""
        return {key: at for key, at in self.heard_ll.items() if now - at <= self.patience}

    def routed_lately(self, address: IPAddress, now: float) -> bool:
        """Whether a beacon lately came from this routable address of the peer."""
        return now - self.heard_routed.get(address, float("-inf")) <= self.patience


def physical_addresses(peer: Peer) -> Iterable[IPAddress]:
    """Return a peer's physical addresses, the one in use first."""
    used = peer.transport.remote if peer.transport else None
    listed: list[IPAddress] = []
    for nic in peer.beacon.nics:
        listed += [*nic.v4, *nic.ll, *nic.v6]
    if used in listed:
        listed.remove(used)
        listed.insert(0, used)
    return listed
