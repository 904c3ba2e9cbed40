"""What goes wrong in the middle is taken back, whoever dies."""

from __future__ import annotations

import os
import pty
import subprocess

import pytest

from tests.host.conftest import Make
from tests.host.lab import ROUTER, TARGET, Machine
from tests.host.managers import MANAGERS, Manager
from tests.vm.harness.waiting import wait_until

NETPLAN, IFUPDOWN, STATIC, NM = MANAGERS[0], MANAGERS[4], MANAGERS[6], MANAGERS[7]
_IN_BACKGROUND = "setsid edge-overlay host prepare --yes {} </dev/null >/tmp/prepare.log 2>&1 &"


def start(host: Machine, options: str) -> None:
    before = host.state().get("identity")
    host.run(_IN_BACKGROUND.format(options))
    wait_until("the transaction", lambda: host.state().get("identity", before) != before, 30,
               evidence=lambda: host.try_run("cat /tmp/prepare.log")[1])  # fmt: skip


def as_before(host: Machine, addresses: list[str], tree: list[str], unit: str) -> None:
    host.wait_for_network()
    assert host.addresses() == addresses
    assert host.tree() == tree
    assert host.run(f"systemctl is-active {unit}").strip() == "active"


def _problem(host: Machine) -> str:
    return host.try_run("edge-overlay status")[1]


@pytest.mark.parametrize("manager", [NETPLAN, IFUPDOWN], ids=str)
def test_a_lost_target_and_a_silent_operator(make: Make, manager: Manager) -> None:
    host = make(manager)
    addresses, tree = host.addresses(), host.tree()

    start(host, f"--target {TARGET} --lost-after 5 --confirm-within 300")
    host.wait_for_state("waiting")
    assert "waits for confirmation" in _problem(host)
    with host.without(TARGET):
        host.wait_for_state("rolled-back")
    as_before(host, addresses, tree, manager.unit)
    assert TARGET in host.state()["reason"]
    assert "taken back" in _problem(host)

    start(host, "--lost-after 10 --confirm-within 3")
    host.wait_for_state("rolled-back")
    as_before(host, addresses, tree, manager.unit)
    assert "nobody confirmed" in host.state()["reason"]


@pytest.mark.parametrize(
    ("manager", "during", "after"),
    [(NETPLAN, "down", "up"), (STATIC, "nomaster", "master br0")],
    ids=["no-carrier", "another-segment"],
)
def test_a_lost_gateway(make: Make, manager: Manager, during: str, after: str) -> None:
    host = make(manager)
    addresses, tree = host.addresses(), host.tree()
    start(host, "--lost-after 5 --confirm-within 300")
    host.wait_for_state("waiting")
    with host.port(during, after):
        host.wait_for_state("rolled-back")
    as_before(host, addresses, tree, manager.unit)
    assert f"the gateway {ROUTER} doesn't answer" in host.state()["reason"]


def test_a_server_that_gives_another_address(make: Make) -> None:
    host = make(IFUPDOWN)
    tree = host.tree()
    host.site.reserve(host.mac, "10.77.0.49")
    said = host.try_run("edge-overlay host prepare --yes --no-confirm --lost-after 5 </dev/null")[1]
    assert "10.77.0.49/24 by DHCP, another address" in said
    assert host.state()["state"] == "rolled-back"
    host.wait_for_network()
    assert host.tree() == tree
    assert host.run(f"systemctl is-active {IFUPDOWN.unit}").strip() == "active"
    assert "another address" in _problem(host)


def test_enter_confirms(make: Make) -> None:
    host = make(STATIC)
    inside, outside = pty.openpty()
    words = ["docker", "exec", "-it", str(host.container.id), "edge-overlay", "host", "prepare",
             "--lost-after", "10"]  # fmt: skip
    process = subprocess.Popen(words, stdin=outside, stdout=outside, stderr=outside)
    try:
        os.write(inside, b"y\n")
        host.wait_for_state("waiting")
        assert process.poll() is None
        os.write(inside, b"\n")
        assert process.wait(30) == 0
        assert host.state()["state"] == "done"
        assert b"Do this? [y/N]" in os.read(inside, 1 << 16)
    finally:
        process.kill()
        process.wait()
        os.close(inside)
        os.close(outside)


def test_confirmation_and_a_lost_session(make: Make) -> None:
    host = make(IFUPDOWN)
    addresses = host.addresses()
    start(host, "--lost-after 10 --confirm-within 120")
    host.wait_for_state("waiting")
    host.run("kill -9 $(pgrep -f '[h]ost prepare')")
    host.run("edge-overlay host confirm")
    assert host.state()["state"] == "done"
    assert host.addresses() == addresses
    assert host.ready()
    assert "waits for confirmation" not in _problem(host)


def test_a_reboot_before_the_confirmation(make: Make) -> None:
    host = make(NM)
    addresses, tree = host.addresses(), host.tree()
    start(host, "--lost-after 10 --confirm-within 120")
    host.wait_for_state("waiting")
    host.reboot()
    host.wait_for_state("rolled-back")
    as_before(host, addresses, tree, NM.unit)
    assert "restarted" in host.state()["reason"]
