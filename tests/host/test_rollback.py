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
_PATIENT = "--lost-after 20"
"""On a busy machine networkd and a lease take more than some seconds."""

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
    # The network may be there before all that the manager's unit starts has ended.
    wait_until(f"{unit} again", lambda: host.run(f"systemctl is-active {unit}").strip() == "active",
               30, evidence=host.evidence)  # fmt: skip


def _problem(host: Machine) -> str:
    return host.try_run("edge-overlay status")[1]


def _told(host: Machine, words: str, *, no_more: bool = False) -> None:
    """Wait until status says it, or says it no more: it is told after it is on the disk."""
    wait_until(f"{words!r} in status", lambda: (words in _problem(host)) is not no_more, 20,
               evidence=lambda: _problem(host))  # fmt: skip


@pytest.mark.parametrize("manager", [NETPLAN, IFUPDOWN], ids=str)
def test_a_lost_target_and_a_silent_operator(make: Make, manager: Manager) -> None:
    host = make(manager)
    addresses, tree = host.addresses(), host.tree()

    start(host, f"--target {TARGET} {_PATIENT} --confirm-within 300")
    host.wait_for_state("waiting")
    _told(host, "waits for confirmation")
    with host.without(TARGET):
        host.wait_for_state("rolled-back")
    as_before(host, addresses, tree, manager.unit)
    assert TARGET in host.state()["reason"]
    _told(host, "taken back")

    start(host, f"{_PATIENT} --confirm-within 3")
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
    start(host, f"{_PATIENT} --confirm-within 300")
    host.wait_for_state("waiting")
    with host.port(during, after):
        host.wait_for_state("rolled-back")
    as_before(host, addresses, tree, manager.unit)
    assert f"the gateway {ROUTER} doesn't answer" in host.state()["reason"]


def test_a_server_that_gives_another_address(make: Make) -> None:
    host = make(IFUPDOWN)
    tree = host.tree()
    host.site.reserve(host.mac, "10.77.0.49")
    said = host.try_run(f"edge-overlay host prepare --yes --no-confirm {_PATIENT} </dev/null")[1]
    assert "10.77.0.49/24 by DHCP, another address" in said
    assert host.state()["state"] == "rolled-back"
    host.wait_for_network()
    assert host.tree() == tree
    wait_until("the manager's unit", lambda: host.run(
        f"systemctl is-active {IFUPDOWN.unit}").strip() == "active", 30)  # fmt: skip
    _told(host, "another address")


def test_enter_confirms(make: Make) -> None:
    host = make(STATIC)
    inside, outside = pty.openpty()
    words = ["docker", "exec", "-it", str(host.container.id), "edge-overlay", "host", "prepare",
             *_PATIENT.split()]  # fmt: skip
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
    start(host, f"{_PATIENT} --confirm-within 120")
    host.wait_for_state("waiting")
    host.run("kill -9 $(pgrep -f '[h]ost prepare')")
    host.run("edge-overlay host confirm")
    assert host.state()["state"] == "done"
    assert host.addresses() == addresses
    assert host.ready()
    _told(host, "waits for confirmation", no_more=True)


def test_a_reboot_before_the_confirmation(make: Make) -> None:
    host = make(NM)
    addresses, tree = host.addresses(), host.tree()
    start(host, f"{_PATIENT} --confirm-within 120")
    host.wait_for_state("waiting")
    host.reboot()
    host.wait_for_state("rolled-back")
    as_before(host, addresses, tree, NM.unit)
    assert "restarted" in host.state()["reason"]
