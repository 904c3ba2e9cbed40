"""What may happen to a host. Each trouble is a generator: it yields seconds to wait, and leaves the
host on a working network with a running agent when it ends."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from overlay_runtime import BRIDGE, VXLAN4, VXLAN6
from tests.netns.lab import Host, Lab

Trouble = Iterator[float]


@dataclass
class Site:
    """The hosts and their physical addresses, which somebody else's network gives out."""

    lab: Lab
    random: random.Random
    addresses: dict[str, str] = field(default_factory=dict)
    """Host's name → its IPv4 address."""
    network: str = "10.1"
    """The first half of the addresses that are given out at present."""

    def free_address(self) -> str:
        """Return an address that nobody has."""
        while True:
            found = f"{self.network}.{self.random.randrange(256)}.{self.random.randrange(1, 255)}"
            if found not in self.addresses.values():
                return found

    def take(self, host: Host, address: str) -> None:
        """Give a host its only IPv4 address."""
        self.addresses[host.name] = address
        host.ip("address", "add", f"{address}/16", "dev", "eth0")

    def withdraw(self, host: Host) -> None:
        """Take all its IPv4 addresses from a host."""
        host.ip("-4", "address", "flush", "dev", "eth0")


def _renumber(site: Site, host: Host) -> Trouble:
    """Another address, perhaps after a while without."""
    site.withdraw(host)
    yield site.random.choice((0.0, 0.0, 0.5, 5.0))
    site.take(host, site.free_address())


def _unplug(site: Site, host: Host) -> Trouble:
    """No carrier for a while."""
    site.lab.switch(host, "down")
    yield site.random.uniform(0.2, 15.0)
    site.lab.switch(host, "up")


def _flap(site: Site, host: Host) -> Trouble:
    """A bad cable."""
    for _ in range(5):
        yield from _unplug_for(site, host, site.random.uniform(0.05, 0.6))
        yield site.random.uniform(0.05, 0.6)


def _unplug_for(site: Site, host: Host, seconds: float) -> Trouble:
    site.lab.switch(host, "down")
    yield seconds
    site.lab.switch(host, "up")


def _deaf(site: Site, host: Host) -> Trouble:
    """A switch that drops broadcast and multicast to one port."""
    site.lab.switch_port(host, "bcast_flood", "off", "mcast_flood", "off")
    yield site.random.uniform(5.0, 25.0)
    site.lab.switch_port(host, "bcast_flood", "on", "mcast_flood", "on")


def _kill(site: Site, host: Host) -> Trouble:
    """The agent is killed; systemd would start it again."""
    host.stop(signal.SIGKILL)
    yield site.random.uniform(0.1, 3.0)
    host.restart()


def _stop(site: Site, host: Host) -> Trouble:
    """The agent is stopped for a while, and renumbered meanwhile."""
    host.stop()
    yield site.random.uniform(1.0, 10.0)
    site.withdraw(host)
    site.take(host, site.free_address())
    yield site.random.uniform(0.1, 5.0)
    host.restart()


def _reboot(site: Site, host: Host) -> Trouble:
    """Nothing is left but the disk; another address afterwards."""
    host.stop(signal.SIGKILL)
    for link in (BRIDGE, VXLAN4, VXLAN6):
        host.ip("link", "delete", link)
    site.withdraw(host)
    yield site.random.uniform(1.0, 8.0)
    host.restart()
    yield site.random.uniform(0.0, 3.0)
    site.take(host, site.free_address())


def _damage(site: Site, host: Host) -> Trouble:
    """Somebody deletes what is ours in the kernel."""
    words = site.random.choice(
        (
            ("link", "delete", BRIDGE),
            ("link", "delete", VXLAN6),
            ("link", "set", VXLAN6, "nomaster"),
            ("link", "set", BRIDGE, "down"),
            ("neighbour", "flush", "dev", BRIDGE, "nud", "all"),
            ("address", "flush", "dev", BRIDGE),
        )
    )
    host.ip(*words)
    yield 0.1


def _other_card(site: Site, host: Host) -> Trouble:
    """The NIC is replaced: another MAC address, so another link-local address too."""
    mac = f"02:5c:{site.random.randrange(256):02x}:{site.random.randrange(256):02x}:00:01"
    host.ip("link", "set", "eth0", "down")
    yield site.random.uniform(0.1, 2.0)
    host.ip("link", "set", "eth0", "address", mac)
    host.ip("link", "set", "eth0", "up")
    site.withdraw(host)
    site.take(host, site.free_address())


def swap(site: Site, one: Host, other: Host) -> Trouble:
    """Two hosts get each other's addresses."""
    first, second = site.addresses[one.name], site.addresses[other.name]
    site.withdraw(one)
    site.withdraw(other)
    yield site.random.choice((0.0, 1.0))
    site.take(one, second)
    site.take(other, first)


def renumber_all(site: Site, hosts: Iterable[Host]) -> None:
    """Everybody gets an address of another range, as fast as this machine can."""
    site.network = "10.66" if site.network == "10.1" else "10.1"
    for host in hosts:
        site.withdraw(host)
        site.take(host, site.free_address())


TROUBLES: dict[str, Callable[[Site, Host], Trouble]] = {
    "renumbered": _renumber, "unplugged": _unplug, "flapping": _flap, "deaf": _deaf,
    "killed": _kill, "stopped": _stop, "rebooted": _reboot, "damaged": _damage,
    "another card": _other_card,
}  # fmt: skip
"""What may happen to one host, by name."""
