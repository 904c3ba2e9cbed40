"""What hosts that talk to each other cost the segment and themselves when nothing happens."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.costs import cpu_seconds
from benchmarks.figures import spread, table
from benchmarks.lab import Host, Lab, LabError
from tests.netns.namespaces import enlarge_neighbour_tables

_MEASURED_S = 60.0
_SETTLE_S = 45.0
_PATIENCE_S = 180.0


@dataclass(frozen=True)
class Quiet:
    """`hosts` real ones: packets and bytes a second that they sent together, Ethernet headers
    included; percent of one processor that each took."""

    hosts: int
    packets: float
    bytes: float
    cpu: Sequence[float]


def segment(lab: Lab, counts: Sequence[int], say: Callable[[str], None]) -> str:
    """Start more and more real hosts, and measure each time when all know all."""
    enlarge_neighbour_tables()
    hosts: list[Host] = []
    found = []
    for count in counts:
        while len(hosts) < count:
            host = lab.host(len(hosts) + 1, ipv6=True)
            host.plug(f"10.1.{len(hosts) >> 8}.{(len(hosts) & 255) + 1}")
            host.start_agent()
            hosts.append(host)
        _wait_for_all(hosts)
        time.sleep(_SETTLE_S)
        found.append(_measured(lab, hosts))
        say(f"{count} hosts: {found[-1]}")
    rows = [
        [str(q.hosts), f"{q.packets:.1f}", f"{q.bytes / 1000:.1f}", f"{q.bytes / q.packets:.0f}",
         spread(q.cpu, 2)]
        for q in found
    ]  # fmt: skip
    head = ["hosts on a segment", "packets/s", "kB/s", "bytes a packet"]
    return table([*head, "processor of each, %"], rows)


def _measured(lab: Lab, hosts: Sequence[Host]) -> Quiet:
    before, cpu, began = _sent(lab), [cpu_seconds(host.pid) for host in hosts], time.monotonic()
    time.sleep(_MEASURED_S)
    after, took = _sent(lab), time.monotonic() - began
    shares = [
        (cpu_seconds(host.pid) - was) / took * 100 for host, was in zip(hosts, cpu, strict=True)
    ]
    packets, size = (end - start for start, end in zip(before, after, strict=True))
    return Quiet(len(hosts), packets / took, size / took, shares)


def _sent(lab: Lab) -> tuple[int, int]:
    """Return packets and bytes that came into the switch."""
    words = ["ip", "-n", lab.switch, "-s", "-j", "link"]
    told = json.loads(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    ports = [link["stats64"]["rx"] for link in told if link["ifname"].startswith("p")]
    return sum(rx["packets"] for rx in ports), sum(rx["bytes"] for rx in ports)


def _wait_for_all(hosts: Sequence[Host]) -> None:
    deadline = time.monotonic() + _PATIENCE_S
    for host in hosts:
        while (heard := _heard(host)) < len(hosts) - 1:
            if time.monotonic() > deadline:
                raise LabError(f"{host.namespace} hears {heard} of {len(hosts) - 1} hosts")
            time.sleep(0.2)


def _heard(host: Host) -> int:
    return sum(peer["state"] == "up" for peer in host.status()["peers"])
