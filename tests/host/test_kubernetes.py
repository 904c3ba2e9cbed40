"""The agent comes to a host on which Kubernetes has run for long: nothing of that may notice."""

from __future__ import annotations

import json
from pathlib import Path

from tests.host.conftest import USER_DATA, Make
from tests.host.managers import MANAGERS
from tests.vm.harness.waiting import wait_until

DROP_IN = "/etc/rancher/k3s/config.yaml.d/90-edge-overlay.yaml"
FILES = Path(__file__).parents[1] / "oci" / "distributions"


def test_a_running_k3s_is_neither_restarted_nor_held_back(make: Make) -> None:
    """Installed, given user-data, without an overlay that could come up, and removed again."""
    host = make(MANAGERS[0], package=False)
    host.write("/usr/local/bin/k3s", (FILES / "k3s").read_text(), 0o755)
    unit = (FILES / "k3s.service").read_text().replace("NAME", "k3s")
    host.write("/etc/systemd/system/k3s.service", unit)
    host.run("mkdir -p /var/lib/rancher/k3s/server/db; systemctl daemon-reload;"
             "systemctl enable --now k3s")  # fmt: skip
    pid = host.run("systemctl show -P MainPID k3s")
    make.install(host)
    host.write("/etc/edge-overlay/user-data", USER_DATA, 0o600)
    host.run("systemctl restart edge-overlay-gather edge-overlay")
    wait_until(
        "a word about it",
        lambda: "was set up on this host before" in host.try_run("edge-overlay status")[1],
        60,
        evidence=lambda: host.try_run("edge-overlay status; edge-overlay kubernetes")[1],
    )
    assert host.run("systemctl show -P MainPID k3s") == pid
    assert host.try_run("ls /etc/rancher")[0] != 0, "nothing of ours lies there"
    host.run("systemctl stop edge-overlay; timeout 20 systemctl restart k3s")
    assert '"command": "server"}' in host.run("cat /run/k3s.json")
    pid = host.run("systemctl show -P MainPID k3s")
    # As on a host whose k3s lives on the overlay; an overlay can't come up here.
    host.write(DROP_IN, 'node-ip: "100.64.192.5"\n', 0o600)
    total = host.run(f"sha256sum {DROP_IN} | cut -d' ' -f1").strip()
    host.write("/var/lib/edge-overlay/kubernetes.json", json.dumps({"files": {DROP_IN: total}}))
    host.run("dpkg --remove edge-overlay 2>&1")
    assert host.try_run(f"ls {DROP_IN}")[0] != 0, "k3s could not start with it"
    assert host.run("systemctl show -P MainPID k3s") == pid
    host.run("timeout 20 systemctl restart k3s")
    assert host.try_run("ls /usr/lib/systemd/system/k3s.service.d")[0] != 0
