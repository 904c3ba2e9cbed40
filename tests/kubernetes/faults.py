"""What is done to the hosts."""

from __future__ import annotations

import time
from collections.abc import Sequence

from overlay_runtime.kubernetes.wait import hears_nobody_yet
from overlay_runtime.status import boottime
from tests.netns.lab import Host, Lab

FIRST, SECOND, THIRD = "10.9.0", "172.20.5", "192.168.77"
"""Networks of the physical addresses; host n of the lab is at .n."""


def three_hosts(lab: Lab, *, ipv6: bool = True) -> list[Host]:
    """Three hosts on one segment, their overlay up."""
    hosts = [
        lab.host(f"h{number}", f"{FIRST}.{number}/24", ipv6=ipv6).start() for number in (1, 2, 3)
    ]
    lab.all_up(30)
    return hosts


def renumber_all(hosts: Sequence[Host], network: str, without: float) -> None:
    """All physical addresses go, and after `without` seconds there are others."""
    for host in hosts:
        _take_away(host)
    time.sleep(without)
    for number, host in enumerate(hosts, 1):
        host.ip("address", "add", f"{network}.{number}/24", "dev", "eth0")


def renumber_in_turn(
    hosts: Sequence[Host], network: str, without: float, *, first: int = 1, pause: float = 1.5
) -> None:
    """One host after the other loses its physical address and gets another, from .`first` on."""
    for number, host in enumerate(hosts, first):
        _take_away(host)
        time.sleep(without)
        host.ip("address", "add", f"{network}.{number}/24", "dev", "eth0")
        time.sleep(pause)


def may_start(host: Host) -> bool:
    """Whether Kubernetes' units would be let start on a host that boots: the runtime's own words
    (`edge-overlay kubernetes wait`, which their drop-ins run)."""
    return host.up() and not hears_nobody_yet(host.status(), boottime())


def _take_away(host: Host) -> None:
    host.ip("-4", "address", "flush", "dev", "eth0")
