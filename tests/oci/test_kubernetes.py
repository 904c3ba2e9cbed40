"""Kubernetes' units on a whole host: real systemd, the real agent, the drop-ins of the image.

k3s, RKE2 and the kubelet's own work are not the matter here, and the first two are in no package
registry: a small program stands in for them (`distributions/k3s`) which reads the same files in the
same order, binds to the address that they say, and tells systemd when it is ready. The units are
as their packages have them.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.types import IPAMConfig, IPAMPool

from tests.oci.conftest import OciImage
from tests.oci.host import Host, host
from tests.vm.harness.waiting import wait_until

pytestmark = [pytest.mark.oci, pytest.mark.timeout(400, func_only=True)]

FILES = Path(__file__).parent / "distributions"
USER_DATA = "/usr/lib/edge-overlay/user-data"
DROP_IN = "/etc/rancher/k3s/config.yaml.d/90-edge-overlay.yaml"
POD = "/var/lib/rancher/k3s/agent/pod-manifests/edge-overlay-kube-vip.yaml"
VIP_UNIT = "edge-overlay-vip.service"
SUBNET = "10.94.0.0/24"
_LIMIT_S = 60


@pytest.fixture(scope="module")
def one(daemon: docker.DockerClient, oci_image: OciImage) -> Iterator[Host]:
    name = f"edge-test-kube-{os.getpid()}"
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet=SUBNET)])
    network = daemon.networks.create(name, driver="bridge", ipam=pool)
    try:
        with host(name, oci_image.tag, network) as made:
            until(made, "the overlay", lambda: made.overlay().get("state") == "up")
            made.run(f"cp {USER_DATA} /root/user-data")
            yield made
    finally:
        network.remove()


@pytest.fixture
def edge(one: Host) -> Iterator[Host]:
    """The host as after its installation: no Kubernetes yet, the overlay up."""
    yield one
    one.run(
        "systemctl stop edge-overlay-kubernetes.path edge-overlay-kubernetes.service;"
        "systemctl stop k3s rke2-server kubelet 2>/dev/null; systemctl reset-failed;"
        "rm -rf /etc/rancher /var/lib/rancher /etc/kubernetes /usr/local/bin/k3s"
        " /usr/local/bin/rke2 /usr/bin/kubelet /usr/bin/kubeadm"
        " /etc/default/kubelet /run/edge-overlay/kubernetes/*.env"
        " /run/edge-overlay/kubernetes/*.yaml"
        " /var/lib/edge-overlay/kubernetes.json /usr/lib/systemd/system/kubelet.service.d/10-*"
        " /run/edge-overlay/notices/kubernetes.json;"
        "for unit in k3s rke2-server kubelet; do rm -f /etc/systemd/system/$unit.service;"
        " rm -rf /etc/systemd/system/$unit.service.d; done; systemctl daemon-reload;"
        f"cp /root/user-data {USER_DATA}; systemctl restart edge-overlay-gather edge-overlay;"
        "systemctl start edge-overlay-kubernetes.path"
    )
    until(one, "the overlay", lambda: one.overlay().get("state") == "up")


def until(edge: Host, what: str, probe: Any, limit: float = _LIMIT_S) -> Any:
    def evidence() -> str:
        said = edge.try_run("systemctl status --no-pager k3s kubelet edge-overlay-kubernetes.path;"
                            "journalctl --no-pager -n 30 -u 'edge-overlay*'")[1]  # fmt: skip
        return edge.evidence() + said

    return wait_until(what, probe, limit, evidence=evidence)


def put(edge: Host, path: str, text: str, mode: str = "644") -> None:
    edge.run(f"mkdir -p $(dirname {path}); cat > {path} <<'EOF-OF-FILE'\n{text}EOF-OF-FILE\n"
             f"chmod {mode} {path}")  # fmt: skip


def install(edge: Host, unit: str = "k3s", program: str = "k3s") -> None:
    """As the distribution's installer does: nothing starts yet."""
    put(edge, f"/usr/local/bin/{program}", (FILES / "k3s").read_text(), "755")
    text = (FILES / "k3s.service").read_text().replace("NAME", program)
    put(edge, f"/etc/systemd/system/{unit}.service", text)
    edge.run(f"systemctl daemon-reload; systemctl enable --quiet {unit}")


def address(edge: Host) -> str:
    return str(edge.overlay()["overlay"]["address"])


def heard(edge: Host, program: str = "k3s") -> dict[str, Any]:
    """What the stand-in read of its configuration."""
    return dict(json.loads(edge.run(f"cat /run/{program}.json")))


def active(edge: Host, unit: str = "k3s") -> str:
    return edge.try_run(f"systemctl is-active {unit}")[1].strip()


def wait_for_a_look(edge: Host) -> None:
    """systemd does not watch while the service runs; after 5 minutes the timer would see it."""
    until(edge, "the end of a look",
          lambda: active(edge, "edge-overlay-kubernetes.service") == "inactive")  # fmt: skip


def kubernetes_block(edge: Host, block: str) -> None:
    """Give user-data a `kubernetes:` block, as a change of user-data and a reboot would."""
    edge.run(f"sed -i 's/^overlay:$/overlay:\\n  kubernetes: {block}/' {USER_DATA};"
             "systemctl restart edge-overlay-gather edge-overlay")  # fmt: skip
    until(edge, "the overlay", lambda: edge.overlay().get("state") == "up")


def test_a_first_start_is_on_the_overlay(edge: Host) -> None:
    install(edge)
    edge.run("systemctl start k3s")
    own, vip = address(edge), edge.overlay()["overlay"]["vip"]
    assert heard(edge) == {
        "command": "server", "node-ip": own, "advertise-address": own, "tls-san": [vip],
        "flannel-iface": "scbr-100",
    }  # fmt: skip
    assert edge.run(f"stat -c %a {DROP_IN} {POD}").split() == ["600", "600"]
    told = json.loads(edge.run("edge-overlay kubernetes --json"))
    assert (told["distribution"], told["control_plane"]) == ("k3s", True)
    assert told["contradictions"] == [] and told["restart_needed"] == []


def test_the_users_own_list_goes_on(edge: Host) -> None:
    install(edge)
    put(edge, "/etc/rancher/k3s/config.yaml", "tls-san: [a.example]\ntoken: x\n")
    edge.run("systemctl start k3s")
    assert heard(edge)["tls-san"] == ["a.example", edge.overlay()["overlay"]["vip"]]


def test_never_before_the_address_and_by_itself_when_it_comes(edge: Host) -> None:
    """The whole of it: it waits, says why, gives up in time, is tried again, and comes up."""
    install(edge)
    edge.run("systemctl stop edge-overlay; ip link delete scbr-100; rm -f /run/k3s.json;"
             "journalctl --rotate --quiet; systemctl start k3s --no-block")  # fmt: skip
    until(edge, "its wait", lambda: "waits for the overlay" in edge.try_run(
        "systemctl status --no-pager k3s")[1])  # fmt: skip
    assert active(edge) == "activating"
    until(edge, "the reason", lambda: "edge-overlay.service is not running" in edge.try_run(
        "systemctl status --no-pager k3s")[1])  # fmt: skip
    until(edge, "its end", lambda: "does not start without the overlay" in edge.try_run(
        "journalctl --no-pager -u k3s")[1], 90)  # fmt: skip
    until(edge, "another try", lambda: edge.try_run(
        "systemctl show -P NRestarts k3s")[1].strip() not in ("", "0"))  # fmt: skip
    assert active(edge) == "activating"
    assert edge.try_run("test -e /run/k3s.json")[0] != 0, "it was not started"
    edge.run("systemctl start edge-overlay")
    until(edge, "k3s", lambda: active(edge) == "active")
    assert heard(edge)["node-ip"] == address(edge)


@pytest.mark.parametrize("how", ["no block", "none"])
def test_without_an_overlay_nothing_changes(edge: Host, how: str) -> None:
    install(edge)
    if how == "none":
        kubernetes_block(edge, "{distribution: none}")
        edge.run("systemctl stop edge-overlay")
    else:
        put(edge, USER_DATA, "#cloud-config\nhostname: x\n")
        edge.run("systemctl restart edge-overlay-gather edge-overlay")
    edge.run("timeout 20 systemctl start k3s")
    assert heard(edge) == {"command": "server"}
    found = edge.try_run("find /etc/rancher /etc/kubernetes /var/lib/rancher -name '*edge*'")[1]
    assert "edge-overlay" not in found, "nothing of ours lies there"


def test_who_deletes_it_gets_it_back_and_k3s_is_not_restarted(edge: Host) -> None:
    install(edge)
    edge.run("systemctl start k3s")
    pid = edge.run("systemctl show -P MainPID k3s")
    content = edge.run(f"cat {DROP_IN}")
    assert active(edge, "edge-overlay-kubernetes.timer") == "active"
    for path in (DROP_IN, POD):
        wait_for_a_look(edge)
        edge.run(f"rm {path}")
        until(edge, f"{path} again", lambda path=path: edge.try_run(f"test -e {path}")[0] == 0)
    assert edge.run(f"cat {DROP_IN}") == content
    wait_for_a_look(edge)
    put(edge, "/etc/rancher/k3s/config.yaml", "flannel-iface: eth0\n")
    until(edge, "the contradiction in status",
          lambda: "flannel-iface: eth0" in edge.try_run("edge-overlay status")[1])  # fmt: skip
    assert "flannel-iface" not in edge.run(f"cat {DROP_IN}"), "the user's own counts"
    status = edge.try_run("edge-overlay status")[1]
    assert "k3s.service runs with what" in status, status
    assert "kubernetes" in edge.try_run("edge-overlay doctor kubernetes")[1]
    assert edge.try_run("edge-overlay doctor kubernetes")[0] == 1
    assert edge.run("systemctl show -P MainPID k3s") == pid, "nothing of ours restarts it"
    edge.run("rm /etc/rancher/k3s/config.yaml; systemctl restart k3s")
    until(edge, "a status without problems",
          lambda: "flannel-iface" not in edge.try_run("edge-overlay status")[1])  # fmt: skip
    edge.run("systemctl start edge-overlay-kubernetes")
    assert "runs with what" not in edge.try_run("edge-overlay status")[1]


def test_the_watch_of_the_vip_lives_as_long_as_its_settings(edge: Host) -> None:
    """What it does is in the kubernetes tier; the stand-in has no API server, and no kubeconfig."""
    install(edge)
    edge.run("systemctl start k3s")
    until(edge, "the watch", lambda: active(edge, VIP_UNIT) == "active")
    first = edge.run(f"systemctl show -P MainPID {VIP_UNIT}")
    log = f"journalctl --no-pager -o cat _SYSTEMD_UNIT={VIP_UNIT}"
    until(edge, "its patience", lambda: "not renewed for 4 s" in edge.run(log))
    for block, patience in (
        ("{lease-duration: 9, renew-deadline: 6}", "7"),
        ("{fast-failover: false}", ""),
    ):
        edge.run(f"cp /root/user-data {USER_DATA}")
        kubernetes_block(edge, f"{{kube-vip: {block}}}")
        edge.run("systemctl start edge-overlay-kubernetes")
        if patience:
            until(edge, "the new patience", lambda at=patience: f"for {at} s" in edge.run(log))
            until(edge, "the watch", lambda: active(edge, VIP_UNIT) == "active")
            assert edge.run(f"systemctl show -P MainPID {VIP_UNIT}") != first
        else:
            until(edge, "its end", lambda: active(edge, VIP_UNIT) == "inactive")
    said = edge.run(log)
    assert "can't be watched" not in said, "before Kubernetes has made a kubeconfig it just waits"
    assert edge.run(f"systemctl show -P Result -P NRestarts {VIP_UNIT}").split() == ["success", "0"]
    assert "VIP moves" not in edge.try_run("edge-overlay status")[1]


def test_a_cluster_of_before_starts_as_it_was(edge: Host) -> None:
    """The agent comes to a host on which k3s has run for long; then the overlay fails, too."""
    edge.run("mkdir -p /var/lib/rancher/k3s/server/db; systemctl stop edge-overlay")
    install(edge)
    edge.run("timeout 20 systemctl start k3s")
    assert heard(edge) == {"command": "server"}
    edge.run("systemctl start edge-overlay edge-overlay-kubernetes")
    assert edge.try_run(f"test -e {DROP_IN}")[0] != 0
    until(edge, "a word in status", lambda: "was set up on this host before" in edge.try_run(
        "edge-overlay status")[1])  # fmt: skip
    assert active(edge) == "active"


def test_rke2(edge: Host) -> None:
    install(edge, "rke2-server", "rke2")
    kubernetes_block(edge, "{role: server}")
    edge.run("systemctl start rke2-server")
    vip = edge.overlay()["overlay"]["vip"]
    assert heard(edge, "rke2") == {
        "command": "server", "node-ip": address(edge), "advertise-address": address(edge),
        "tls-san": [vip], "server": f"https://{vip}:9345",
    }  # fmt: skip


def test_the_kubelet_keeps_what_the_user_gives_it(edge: Host) -> None:
    put(edge, "/usr/bin/kubelet", "#!/bin/sh\necho \"$@\" > /run/kubelet.args\nexec sleep 1000\n",
        "755")  # fmt: skip
    put(edge, "/usr/bin/kubeadm", "#!/bin/sh\n", "755")
    put(edge, "/etc/systemd/system/kubelet.service", (FILES / "kubelet.service").read_text())
    put(edge, "/usr/lib/systemd/system/kubelet.service.d/10-kubeadm.conf",
        (FILES / "10-kubeadm.conf").read_text())  # fmt: skip
    put(edge, "/etc/default/kubelet", 'KUBELET_EXTRA_ARGS="--v=2 --node-labels=a=b"\n')
    edge.run("systemctl daemon-reload; systemctl start kubelet")
    until(edge, "the kubelet", lambda: edge.try_run("test -s /run/kubelet.args")[0] == 0)
    said = edge.run("cat /run/kubelet.args").split()
    assert said == ["--v=2", "--node-labels=a=b", f"--node-ip={address(edge)}"]
    put(edge, "/etc/default/kubelet", "KUBELET_EXTRA_ARGS=--v=3\n")
    edge.run("rm /run/kubelet.args; systemctl restart kubelet")
    until(edge, "the kubelet", lambda: edge.try_run("test -s /run/kubelet.args")[0] == 0)
    assert edge.run("cat /run/kubelet.args").split() == ["--v=3", f"--node-ip={address(edge)}"]


def test_a_runtime_that_fails_keeps_no_cluster_down(edge: Host) -> None:
    """While its Python is being upgraded, say; the kernel goes on forwarding."""
    install(edge)
    own = address(edge)
    edge.run("systemctl start k3s; systemctl stop k3s; mv /usr/bin/edge-overlay /usr/bin/kept")
    put(edge, "/usr/bin/edge-overlay", "#!/bin/sh\nexit 1\n", "755")
    try:
        edge.run("rm /run/k3s.json; systemctl start k3s")
        assert heard(edge)["node-ip"] == own
        assert "starts with what was written before" in edge.run("systemctl status k3s")
        edge.run("systemctl stop k3s edge-overlay; ip link delete scbr-100")
        assert edge.try_run("systemctl start k3s")[0] != 0, "without the overlay it must not"
    finally:
        edge.run("mv /usr/bin/kept /usr/bin/edge-overlay")


def test_a_unit_with_a_sandbox_of_its_own_is_told_all_the_same(edge: Host) -> None:
    install(edge)
    put(edge, "/etc/systemd/system/k3s.service.d/hardened.conf",
        "[Service]\nUser=nobody\nProtectSystem=strict\nPrivateTmp=yes\n")  # fmt: skip
    edge.run("systemctl daemon-reload; systemctl start k3s --no-block")
    until(edge, "our file", lambda: edge.try_run(f"test -s {DROP_IN}")[0] == 0)


def test_a_start_takes_little_longer(edge: Host) -> None:
    """What a cluster that is well pays for it at each start: the best of three, as other tests
    have the processors besides, and without docker(1)'s own time."""
    install(edge)
    took = []
    for _ in range(3):
        wait = "edge-overlay kubernetes wait --unit k3s.service >/dev/null 2>&1 || exit 1"
        said = edge.run(f"cut -d' ' -f1 /proc/uptime; {wait}; cut -d' ' -f1 /proc/uptime")
        began, ended = map(float, said.split())
        took.append(ended - began)
    assert min(took) < 5.0, took
