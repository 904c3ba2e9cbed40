"""The process that does it is killed at each of its steps. Takes longest, so it starts first."""

from __future__ import annotations

from tests.host.conftest import Make
from tests.host.lab import Machine
from tests.host.managers import MANAGERS
from tests.host.test_rollback import as_before, start
from tests.vm.harness.waiting import wait_until

IFUPDOWN = MANAGERS[4]

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


def test_killed_at_each_step(make: Make) -> None:
    host = make(IFUPDOWN)
    addresses, tree = host.addresses(), host.tree()
    host.write("/usr/local/sbin/systemctl", _TRAP, 0o755)
    seen = []
    for number in range(1, 20):
        host.run(f"rm -f /root/calls /root/killed-at; echo {number} >/root/kill-at")
        start(host, "--lost-after 10 --confirm-within 2")
        wait_until("the end of the transaction", lambda: _ended(host), 120, evidence=host.evidence)
        as_before(host, addresses, tree, IFUPDOWN.unit)
        if host.try_run("test -f /root/killed-at")[0] != 0:
            break
        seen.append(host.run("cat /root/killed-at").strip())
    assert {"daemon-reload", "restart systemd-networkd.service"} <= set(seen)
    # And in the way back as well, which is then gone again from its start.
    assert "start networking.service" in seen, seen


def _ended(host: Machine) -> bool:
    state = host.state().get("state") == "rolled-back"
    return state and host.try_run("test -e /var/lib/edge-overlay/host/pending")[0] != 0
