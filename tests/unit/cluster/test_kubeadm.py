"""kubeadm: the kubelet's environment, and configurations; a real kubeadm is asked elsewhere."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import yaml

from tests.unit.cluster.host import OWN, VIP, Host

ENVIRONMENT = "run/edge-overlay/kubernetes/kubelet.env"
INIT = "etc/kubernetes/edge-overlay/init.yaml"
PATCH = "etc/kubernetes/edge-overlay/patches/kube-apiserver0+json.json"
UNIT = "kubelet.service"
FLAG = f"--node-ip={OWN}"


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path, "external-names: [edge.example.com]")
    made.write("usr/bin/kubeadm", "")
    made.unit(UNIT)
    return made


def extra(host: Host) -> str:
    assert host.apply().failed == []
    [line] = [text for text in host.read(ENVIRONMENT).splitlines() if not text.startswith("#")]
    [word] = shlex.split(line)  # close enough to systemd's own rules for what is in these tests
    return word.removeprefix("KUBELET_EXTRA_ARGS=")


def wrong(host: Host) -> list[str]:
    return [str(one) for one in host.plan().contradictions]


def test_what_is_written(host: Host) -> None:
    assert extra(host) == FLAG
    init, whole = yaml.safe_load_all(host.read(INIT))
    assert init["localAPIEndpoint"] == {"advertiseAddress": OWN, "bindPort": 6443}
    assert whole["controlPlaneEndpoint"] == f"{VIP}:6443"
    assert whole["apiServer"]["certSANs"] == [VIP, "edge.example.com"]
    assert OWN not in str(whole), "it is kept in the cluster: nothing of one host stands there"
    assert OWN in host.read(PATCH)
    assert wrong(host) == []


def test_a_worker_gets_the_kubelets_address_alone(host: Host, tmp_path: Path) -> None:
    host.user_data("role: agent")
    assert extra(host) == FLAG
    assert not (tmp_path / INIT).exists()


@pytest.mark.parametrize(
    ("path", "text", "result"),
    [
        ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=\n", FLAG),
        ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=--v=2 --cpu-cfs-quota\n",
         f"--v=2 --cpu-cfs-quota {FLAG}"),
        ("etc/default/kubelet", 'KUBELET_EXTRA_ARGS="--node-labels=a=b,c=\\"d\\""\n',
         f'--node-labels=a=b,c="d" {FLAG}'),
        ("etc/sysconfig/kubelet", "KUBELET_EXTRA_ARGS='--v=3'\n", f"--v=3 {FLAG}"),
        ("etc/systemd/system/kubelet.service.d/20-mine.conf",
         '[Service]\nEnvironment="KUBELET_EXTRA_ARGS=--v=4 --x"\n', f"--v=4 --x {FLAG}"),
        ("etc/systemd/system/kubelet.service.d/20-mine.conf",
         "[Service]\nEnvironment='KUBELET_EXTRA_ARGS=--v=4 --x' OTHER=1\n", f"--v=4 --x {FLAG}"),
        ("etc/systemd/system/kubelet.service.d/20-mine.conf",
         '[Service]\nEnvironment="KUBELET_EXTRA_ARGS=--v=4 --x=\\"y z\\""\n',
         f'--v=4 --x="y z" {FLAG}'),
        ("etc/default/kubelet", 'KUBELET_EXTRA_ARGS="--v=2 \\\n--x"\n', f"--v=2 --x {FLAG}"),
        ("etc/default/kubelet", f"KUBELET_EXTRA_ARGS=--node-ip={OWN}\n", f"--node-ip={OWN}"),
        ("etc/default/kubelet", "KUBELET_EXTRA_ARGS=--node-ip=192.0.2.7 --v=2\n",
         "--node-ip=192.0.2.7 --v=2"),
    ],
)  # fmt: skip
def test_what_the_user_gives_the_kubelet_stays(
    host: Host, path: str, text: str, result: str
) -> None:
    host.write(path, text)
    assert extra(host) == result
    assert bool(wrong(host)) is ("192.0.2.7" in text)


def test_what_contradicts(host: Host) -> None:
    host.write(
        "var/lib/kubelet/kubeadm-flags.env",
        'KUBELET_KUBEADM_ARGS="--container-runtime-endpoint=unix:///x --node-ip=192.0.2.7"\n',
    )
    host.write("opt/kubeadm/kubeadm.yaml",
               "kind: InitConfiguration\nlocalAPIEndpoint: {advertiseAddress: 192.0.2.7}\n---\n"
               "kind: ClusterConfiguration\ncontrolPlaneEndpoint: api.example:6443\n")  # fmt: skip
    flags, advertise, endpoint = wrong(host)
    assert flags.startswith("/var/lib/kubelet/kubeadm-flags.env: --node-ip=192.0.2.7; expected")
    assert advertise.startswith("/opt/kubeadm/kubeadm.yaml: advertiseAddress: 192.0.2.7")
    assert "controlPlaneEndpoint: api.example:6443" in endpoint
    assert "--node-ip" not in extra(host), "the flag of before would not count any more"


def test_a_cluster_on_another_address(host: Host) -> None:
    host.write("etc/kubernetes/kubelet.conf", "")
    host.write("etc/kubernetes/manifests/kube-apiserver.yaml",
               "    - --advertise-address=192.0.2.7\n")  # fmt: skip
    host.write("etc/kubernetes/manifests/etcd.yaml",
               "    - --listen-peer-urls=https://192.0.2.7:2380\n")  # fmt: skip
    assert host.apply().written == [], "kubeadm's cluster of before is left as it is"
    found = wrong(host)
    assert "--advertise-address=192.0.2.7" in found[0] and "kubeadm init" in found[0]
    assert "--listen-peer-urls" in found[1]


@pytest.mark.parametrize("file", ["etc/default/kubelet", "opt/kubeadm/x.yaml",
                                  "var/lib/kubelet/kubeadm-flags.env"])  # fmt: skip
@pytest.mark.parametrize(
    "text", ["", "KUBELET_EXTRA_ARGS=\"'", "\x00\n[[", "a: &a [*a]", "--node-ip"]
)
def test_odd_files_break_nothing(host: Host, file: str, text: str) -> None:
    host.write(file, text)
    assert host.apply().failed == []
