"""The physical side as it was at the last look: NICs, addresses, routes."""

from __future__ import annotations

from collections.abc import Sequence

from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.beacon.model import BeaconNic
from overlay_runtime.kernel.actual import read_addresses, read_links, read_routes
from overlay_runtime.kernel.model import Link, LinkAddress
from overlay_runtime.kernel.netlink import Netlink
from overlay_runtime.underlay import Nic, Route, entrances, find_nics, overlap


class Physical:
    """Looks at the kernel and tells what changed. Times are seconds of CLOCK_BOOTTIME."""

    def __init__(self, netlink: Netlink, patterns: Sequence[str], now: float) -> None:
        """`patterns` are the NICs to use, as configured; none: all."""
        self._netlink = netlink
        self._patterns = patterns
        self.links: list[Link] = []
        self.addresses: list[LinkAddress] = []
        self.routes: list[Route] = []
        self.nics: tuple[Nic, ...] = ()
        self._described: tuple[BeaconNic, ...] = ()
        self._before: tuple[list[Link], list[LinkAddress]] = [], []
        self.overlap: str | None = None
        """What shares addresses with the overlay's range, if anything does."""
        self.reachable = now
        """Since when some NIC has had an address."""
        self.changed = float("-inf")
        """When the NICs or their addresses changed."""

    def look(self, cidr: IPNetwork, now: float) -> bool:
        """Read links and addresses; return whether the NICs in use changed. Raises NetlinkError.

        While peers don't know of that, packets are lost: tell them, then look around.
        """
        self._before = self.links, self.addresses
        self.links = read_links(self._netlink)
        self.addresses = read_addresses(self._netlink)
        nics = find_nics(self.links, self.addresses, self._patterns, cidr)
        moved = nics != self.nics
        if moved:
            if not any(nic.usable for nic in self.nics):
                self.reachable = now
            self.nics, self.changed = nics, now
            self._described = tuple(map(_described, nics))
        return moved

    def look_around(self, cidr: IPNetwork) -> bool:
        """Read the rest; return whether anything changed with or since the last look."""
        before, self.routes = self.routes, read_routes()
        self.overlap = overlap(cidr, self.links, self.addresses, self.routes)
        return (*self._before, before) != (self.links, self.addresses, self.routes)

    def __str__(self) -> str:
        """The NICs in use and their addresses."""
        return "; ".join(_text(nic) for nic in self.nics) or "nothing"

    def described(self) -> tuple[BeaconNic, ...]:
        """Return the NICs in use as a beacon tells them: the same object until they change."""
        return self._described

    def entrances(self) -> frozenset[str]:
        """Return the names of all links of the physical side, in use or not."""
        return entrances(self.links, self._patterns, self.nics)

    def look_at_links(self) -> None:
        """Read the links alone. Raises NetlinkError."""
        self.links = read_links(self._netlink)

    def link(self, name: str) -> Link | None:
        """Return a link by its name."""
        return next((link for link in self.links if link.name == name), None)

    def on_link(self, address: IPAddress) -> list[int]:
        """Return the ifindexes of the NICs whose network an address belongs to."""
        found = []
        for nic in self.nics:
            networks = [i.network for i in nic.v4] + [i.network for i in nic.v6]
            if any(address in network for network in networks):
                found.append(nic.index)
        return found


def _described(nic: Nic) -> BeaconNic:
    v4, v6 = tuple(i.ip for i in nic.v4), tuple(i.ip for i in nic.v6)
    return BeaconNic(nic.name, nic.mtu, v4, nic.ll, v6)


def _text(nic: Nic) -> str:
    return " ".join([nic.name, *map(str, nic.v4), *map(str, nic.ll), *map(str, nic.v6)])
