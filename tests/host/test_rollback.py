"""What goes wrong in the middle is taken back, whoever dies."""

from __future__ import annotations

import pytest

from tests.host.conftest import Make
from tests.host.lab import TARGET, Machine
from tests.host.managers import MANAGERS, Manager
from tests.vm.harness.waiting import wait_until

NETPLAN, IFUPDOWN, NM = MANAGERS[0], MANAGERS[4], MANAGERS[7]
_IN_BACKGROUND = "setsid edge-overlay host prepare --yes {} </dev/null >/tmp/prepare.log 2>&1 &"

# Stands before the real systemctl in the path: kills the worker at its call number N.
_TRAP = """#!/bin/sh
if tr '\\0' ' ' </proc/$PPID/cmdline | grep -q "host work" && [ -f /root/kill-at ]; then
    calls=$(($(cat /root/calls 2>/dev/null || echo 0) + 1))
    echo $calls >/root/calls
    if [ $calls = "$(cat /root/kill-at)" ]; then
        rm /root/kill-at
        echo "$*" >/root/killed-at
        kill -9 $PPID
        sleep 5
    fi
fi
exec /usr/bin/systemctl "$@"
"""


def _start(host: Machine, options: str) -> None:
    before = host.state().get("identity")
    host.run(_IN_BACKGROUND.format(options))
    wait_until("the transaction", lambda: host.state().get("identity", before) != before, 30,
               evidence=host.evidence)  # fmt: skip


def _as_before(host: Machine, addresses: list[str], tree: list[str], unit: str) -> None:
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

    _start(host, f"--target {TARGET} --lost-after 5 --confirm-within 300")
    host.wait_for_state("waiting")
    assert "waits for confirmation" in _problem(host)
    host.site.drop(TARGET)
    try:
        host.wait_for_state("rolled-back")
    finally:
        host.site.restore()
    _as_before(host, addresses, tree, manager.unit)
    assert TARGET in host.state()["reason"]
    assert "taken back" in _problem(host)

    _start(host, "--lost-after 10 --confirm-within 3")
    host.wait_for_state("rolled-back")
    _as_before(host, addresses, tree, manager.unit)
    assert "nobody confirmed" in host.state()["reason"]


def test_confirmation_and_a_lost_session(make: Make) -> None:
    host = make(IFUPDOWN)
    addresses = host.addresses()
    _start(host, "--lost-after 10 --confirm-within 120")
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
    _start(host, "--lost-after 10 --confirm-within 120")
    host.wait_for_state("waiting")
    host.reboot()
    host.wait_for_state("rolled-back")
    _as_before(host, addresses, tree, NM.unit)
    assert "restarted" in host.state()["reason"]


def test_killed_at_each_step(make: Make) -> None:
    host = make(IFUPDOWN)
    addresses, tree = host.addresses(), host.tree()
    host.write("/usr/local/sbin/systemctl", _TRAP, 0o755)
    seen = []
    for number in range(1, 20):
        host.run(f"rm -f /root/calls /root/killed-at; echo {number} >/root/kill-at")
        _start(host, "--lost-after 10 --confirm-within 2")
        wait_until("the end of the transaction", lambda: _ended(host), 60, evidence=host.evidence)
        _as_before(host, addresses, tree, IFUPDOWN.unit)
        if host.try_run("test -f /root/killed-at")[0] != 0:
            break
        seen.append(host.run("cat /root/killed-at").strip())
    assert {"daemon-reload", "restart systemd-networkd.service"} <= set(seen)
    # And in the way back as well, which is then gone again from its start.
    assert "start networking.service" in seen, seen


def _ended(host: Machine) -> bool:
    state = host.state().get("state") == "rolled-back"
    return state and host.try_run("test -e /var/lib/edge-overlay/host/pending")[0] != 0
