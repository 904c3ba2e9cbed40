"""What is done to the hosts."""

from __future__ import annotations

import time
from collections.abc import Sequence

from tests.netns.lab import Host, Lab

OLD, NEW = "10.9.0", "172.20.5"
"""Networks of the physical addresses; host n is at .n."""


def three_hosts(lab: Lab, *, ipv6: bool = True) -> list[Host]:
    """Three hosts on one segment, their overlay up."""
    hosts = [
        lab.host(f"h{number}", f"{OLD}.{number}/24", ipv6=ipv6).start() for number in (1, 2, 3)
    ]
    lab.all_up(30)
    return hosts


def renumber_all(hosts: Sequence[Host], without: float) -> None:
    """All physical addresses go, and after `without` seconds there are others."""
    for number, host in enumerate(hosts, 1):
        host.ip("address", "del", f"{OLD}.{number}/24", "dev", "eth0")
    time.sleep(without)
    for number, host in enumerate(hosts, 1):
        host.ip("address", "add", f"{NEW}.{number}/24", "dev", "eth0")


def renumber_in_turn(
    hosts: Sequence[Host], without: float, *, same_network: bool = False, pause: float = 1.5
) -> None:
    """One host after the other loses its physical address and gets one in another network (or
    another one in the same: without IPv6 and a router, hosts in two networks don't meet)."""
    for number, host in enumerate(hosts, 1):
        host.ip("address", "del", f"{OLD}.{number}/24", "dev", "eth0")
        time.sleep(without)
        new = f"{OLD}.{number + 100}/24" if same_network else f"{NEW}.{number}/24"
        host.ip("address", "add", new, "dev", "eth0")
        time.sleep(pause)
