"""kube-vip's manifest: where, for whom, and whose."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from tests.unit.cluster.host import AGENT, K3S, OWN, VIP, Host

NAME = "edge-overlay-kube-vip.yaml"
K3S_PODS = "var/lib/rancher/k3s/agent/pod-manifests"
OTHER = """\
apiVersion: v1
kind: Pod
metadata: {{name: kube-vip, namespace: kube-system}}
spec:
  hostNetwork: true
  containers:
  - name: kube-vip
    image: ghcr.io/kube-vip/kube-vip:v0.8.0
    args: [manager]
    env:
    - {{name: vip_arp, value: "true"}}
    - {{name: cp_enable, value: "true"}}
    - {{name: vip_interface, value: {nic}}}
    - {{name: address, value: {vip}}}
"""


def manifests(root: Path) -> set[str]:
    return {str(path.relative_to(root).parent) for path in root.rglob(NAME)}


@pytest.mark.parametrize(
    ("units", "block", "places"),
    [
        ((K3S,), "", {K3S_PODS}),
        ((K3S,), "kube-vip: {mode: daemonset}", {"var/lib/rancher/k3s/server/manifests"}),
        ((K3S,), "kube-vip: {enabled: false}", set()),
        ((AGENT,), "", set()),
        (("rke2-server.service",), "", {"var/lib/rancher/rke2/agent/pod-manifests"}),
        (("kubelet.service",), "distribution: kubeadm, role: init", {"etc/kubernetes/manifests"}),
        (("kubelet.service",), "distribution: kubeadm, role: server", set()),
        (("kubelet.service",), "distribution: kubeadm", set()),
    ],
)
def test_where_it_is(tmp_path: Path, units: tuple[str, ...], block: str, places: set[str]) -> None:
    host = Host(tmp_path, block)
    for unit in units:
        host.unit(unit)
    host.apply()
    assert manifests(tmp_path) == places


def test_what_it_says(tmp_path: Path) -> None:
    host = Host(tmp_path, "kube-vip: {lease-duration: 30, renew-deadline: 20, retry-period: 4}")
    host.unit(K3S)
    host.write("etc/rancher/k3s/config.yaml", "https-listen-port: 7443\n")
    host.apply()
    pod = yaml.safe_load(host.read(f"{K3S_PODS}/{NAME}"))
    env = {one["name"]: one.get("value") for one in pod["spec"]["containers"][0]["env"]}
    assert (env["vip_interface"], env["address"], env["port"]) == ("scbr-100", VIP, "7443")
    assert (env["vip_leaseduration"], env["vip_renewdeadline"], env["vip_retryperiod"]) == (
        "30", "20", "4",
    )  # fmt: skip
    [volume] = pod["spec"]["volumes"]
    assert volume["hostPath"]["path"] == "/etc/rancher/k3s/k3s.yaml"
    assert OWN not in str(pod), "the same on each control plane"


def test_while_kubeadm_makes_a_cluster_it_uses_the_rights_that_there_are(tmp_path: Path) -> None:
    """And goes on so: to change it in the middle of `kubeadm init` would take its rights away."""
    host = Host(tmp_path, "distribution: kubeadm, role: init")
    host.unit("kubelet.service")
    path = f"etc/kubernetes/manifests/{NAME}"
    host.apply()
    assert "/etc/kubernetes/super-admin.conf" in host.read(path)
    host.write("etc/kubernetes/super-admin.conf", "")
    host.write("etc/kubernetes/manifests/kube-apiserver.yaml", "")
    assert host.apply().written == []
    (tmp_path / "etc/kubernetes/super-admin.conf").unlink()
    host.apply()
    assert "/etc/kubernetes/admin.conf" in host.read(path)


@pytest.mark.parametrize("folder", [K3S_PODS, "var/lib/rancher/k3s/server/manifests"])
@pytest.mark.parametrize(("nic", "vip", "wrong"), [("eth0", VIP, "vip_interface"),
                                                   ("scbr-100", "192.0.2.1", "192.0.2.1"),
                                                   ("scbr-100", VIP, "")])  # fmt: skip
def test_the_users_own_is_checked_and_ours_not_put_beside_it(
    tmp_path: Path, folder: str, nic: str, vip: str, wrong: str
) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.apply()
    assert manifests(tmp_path) == {K3S_PODS}
    text = OTHER.format(nic=nic, vip=vip)
    host.write(f"{folder}/kube-vip.yaml", text)
    host.apply()
    assert manifests(tmp_path) == set(), "two of them would fight for the VIP"
    assert host.read(f"{folder}/kube-vip.yaml") == text
    problems = host.problems()
    assert bool(problems) is bool(wrong)
    assert all(f"/{folder}/kube-vip.yaml" in one for one in problems)
    assert wrong in "".join(problems)
    assert any("somebody else's" in note for note in host.plan().notes)


@pytest.mark.parametrize(
    ("block", "wrong"),
    [
        ("{eip: 100.64.192.1, interface: scbr-100}", []),
        ("{eip: 100.64.192.1}", ["interface: nothing"]),
        ("{eip: 192.0.2.1, interface: eth0}", ["interface: eth0", "eip: 192.0.2.1"]),
        ("{enable: true}", ["interface: nothing", "eip: nothing"]),
    ],
)
def test_kairos_has_one(tmp_path: Path, block: str, wrong: list[str]) -> None:
    host = Host(tmp_path, more=f"kubevip: {block}\n")
    host.unit(K3S)
    host.apply()
    assert manifests(tmp_path) == set()
    found = [str(one) for one in host.plan().contradictions]
    assert [text.split("; ")[0] for text in found] == [
        f"Kairos's key `kubevip`: {w}" for w in wrong
    ]


def test_palette_has_one_unless_the_user_says_otherwise(tmp_path: Path) -> None:
    host = Host(tmp_path, more="stylus: {site: {name: x}}\n")
    host.unit(K3S)
    host.apply()
    assert manifests(tmp_path) == set()
    host.user_data("kube-vip: {enabled: true}", "stylus: {site: {name: x}}\n")
    host.apply()
    assert manifests(tmp_path) == {K3S_PODS}
