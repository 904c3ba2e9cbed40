"""What must be true whenever the troubles are over."""

from __future__ import annotations

import ipaddress
import json
import random
import re
from collections.abc import Sequence
from pathlib import Path

from overlay_runtime import BRIDGE
from overlay_runtime.address import reserved
from overlay_runtime.state import StateStore
from tests.netns.lab import Host
from tests.netns.probe import reaches

_FAULTS = re.compile(r"Traceback|Task exception|never awaited|CRITICAL")


def everybody_knows_everybody(hosts: Sequence[Host]) -> str | None:
    """Return who does not know another host, or not by its present physical addresses, or None.

    A host may be known and its address of before the trouble with it: whoever was deaf when it
    changed hears of it with its next beacon.
    """
    physical = {}
    for host in hosts:
        if not host.up():
            return f"{host.name} is not up: {host.status()['problems']}"
        physical[host.status()["host"]["id"]] = _physical_addresses(host)
    for host in hosts:
        peers = [peer for peer in host.status()["peers"] if peer["state"] == "up"]
        if len(peers) != len(hosts) - 1:
            return f"{host.name} hears {len(peers)} of {len(hosts) - 1} hosts"
        for peer in peers:
            known, has = set(peer["physical"]), physical.get(peer["id"])
            if known != has:
                return f"{host.name} knows {peer['address']} at {known}, it is at {has}"
    return None


def _physical_addresses(host: Host) -> set[str]:
    """Return the addresses that the kernel has on the physical NIC, and may use."""
    (link,) = json.loads(host.ip("-j", "address", "show", "dev", "eth0"))
    return {a["local"] for a in link["addr_info"] if not a.get("tentative")}


def overlay_addresses(host: Host) -> list[str]:
    """Return the IPv4 addresses that the kernel has on the overlay's bridge."""
    (link,) = json.loads(host.ip("-j", "address", "show", "dev", BRIDGE))
    return [a["local"] for a in link["addr_info"] if a["family"] == "inet"]


def addresses_hold(hosts: Sequence[Host], cidr: str, first: dict[str, str]) -> list[str]:
    """Return what is wrong with the hosts' addresses: each must have the one that it had `first`
    (filled in here if it is empty), stored, and nobody else's."""
    found = {host.name: overlay_addresses(host) for host in hosts}
    wrong = [f"{name} has {has}" for name, has in found.items() if len(has) != 1]
    own = {name: has[0] for name, has in found.items() if has}
    if not first:
        first.update(own)
    wrong += [f"{n}: {a} was {first[n]}" for n, a in own.items() if first[n] != a]
    holders: dict[str, str] = {}
    for name, address in own.items():
        if address in holders:
            wrong.append(f"{address}: {holders[address]} and {name}")
        holders[address] = name
    never = {str(address) for address in reserved(ipaddress.ip_network(cidr))}
    wrong += [f"{n} has the reserved {a}" for n, a in own.items() if a in never]
    for host in hosts:
        stored = StateStore(host.directory / "state").load()
        if stored is None or str(stored.address) != own.get(host.name):
            wrong.append(f"{host.name} has {own.get(host.name)}, stored is {stored}")
    return wrong


def pairs_reach(hosts: Sequence[Host], chance: random.Random, count: int) -> list[str]:
    """Return which of `count` random pairs don't reach each other over the overlay."""
    pairs = [chance.sample(list(hosts), 2) for _ in range(count)]
    return [
        f"{one.name} does not reach {other.name}"
        for one, other in pairs
        if not reaches(one.end, other.end)
    ]


def faults_in_logs(hosts: Sequence[Host]) -> list[str]:
    """Return the hosts whose agents wrote of a fault of their own."""
    found = ((host.name, _FAULTS.search(host.log())) for host in hosts)
    return [f"{name}'s log has a {match[0]}" for name, match in found if match]


def memory(hosts: Sequence[Host]) -> list[float]:
    """Return the agents' resident memory, in MiB."""
    found = []
    for host in hosts:
        text = Path(f"/proc/{host.status()['pid']}/smaps_rollup").read_text()
        found.append(int(re.findall(r"^Rss: +(\d+)", text, re.MULTILINE)[0]) / 1024)
    return found
