"""Each manager, by DHCP and statically: handed over, rebooted, given back, rebooted."""

from __future__ import annotations

from typing import Any

import pytest

from tests.host.conftest import USER_DATA, Make
from tests.host.lab import ROUTER, Machine
from tests.host.managers import MANAGERS, MORE, Manager
from tests.vm.harness.waiting import wait_until

_PREPARE = "edge-overlay host prepare --yes --no-confirm --lost-after 20 </dev/null 2>&1"


def _is_well(host: Machine, before: dict[str, Any]) -> None:
    host.wait_for_network()
    wait_until(
        f"{host.name}: all that it had",
        lambda: host.network() == before,
        30,
        evidence=lambda: f"{host.network()} instead of {before}\n{host.evidence()}",
    )
    pings = [f"ping -c1 -W1 -I {link} {gateway}" for gateway, link in before["gateways"]]
    wait_until(f"{host.name}: its gateways",  # an IPv6 address is tentative at first
               lambda: host.try_run(" && ".join(pings))[0] == 0, 30,
               evidence=host.evidence)  # fmt: skip


@pytest.mark.parametrize("manager", [*MANAGERS, *MORE], ids=str)
def test_there_and_back(make: Make, manager: Manager) -> None:
    _there_and_back(make(manager, nics=manager.nics), manager)


@pytest.mark.parametrize("manager", [MANAGERS[4], MANAGERS[6]], ids=str)
def test_debian_12(make: Make, manager: Manager) -> None:
    """systemd 252, which takes DUID types by name alone."""
    _there_and_back(make(manager, "bookworm"), manager)


def _there_and_back(host: Machine, manager: Manager) -> None:
    before, tree = host.network(), host.tree()
    held = before["addresses"][manager.link]
    address = next(one for one in held if "." in one)
    assert (address == host.static) == manager.static
    assert (ROUTER, manager.link) in before["gateways"]
    assert not host.ready()

    said = host.run(f"{_PREPARE} --dry-run")
    assert address.split("/")[0] in said or "unchanged" in said
    assert host.tree() == tree

    host.run(_PREPARE)
    _is_well(host, before)
    assert host.ready(), host.try_run("edge-overlay host check")[1]
    host.reboot()
    _is_well(host, before)
    assert host.ready(), host.try_run("edge-overlay host check")[1]
    assert len(host.gateways()) == 1
    if not manager.static:
        assert host.site.leases()[host.mac] == address.split("/")[0]

    host.run("edge-overlay host undo --yes </dev/null 2>&1")
    _is_well(host, before)
    assert host.tree() == tree
    assert host.run(f"systemctl is-active {manager.unit}").strip() == "active"
    host.reboot()
    _is_well(host, before)
    assert host.run(f"systemctl is-active {manager.unit}").strip() == "active"
    assert host.tree() == tree


def test_two_prepared_hosts_are_on_one_overlay(make: Make) -> None:
    hosts = [make(MANAGERS[4]), make(MANAGERS[0])]
    for host in hosts:
        host.run(_PREPARE)
        host.write("/etc/edge-overlay/user-data", USER_DATA, 0o600)
        host.run("systemctl restart edge-overlay-gather edge-overlay")
    for host, other in (hosts, hosts[::-1]):
        host.run("edge-overlay wait --timeout 60")
        assert not host.try_run("ls -A /var/lib/cloud")[1].startswith("seed")
        address = other.run("edge-overlay wait --timeout 60; edge-overlay address").split()[-1]
        host.run(f"for i in $(seq 40); do ping -c1 -W1 {address} && exit; done; exit 1")
    hosts[0].reboot()
    hosts[0].wait_for_network()
    hosts[0].run("edge-overlay wait --timeout 60")
