"""What runs: processes, sockets, certificates."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from overlay_runtime.cli import main
from overlay_runtime.doctor import model
from overlay_runtime.doctor.cluster import kubernetes as doctor_check
from overlay_runtime.kubernetes.running import has_address, left_vip, listening, look
from tests.unit.cluster.host import AGENT, DROP_IN, K3S, OWN, VIP, Host

HEADER = "  sl  local_address rem_address   st\n"


def seen(host: Host) -> list[str]:
    return [str(one) for one in look(host.plan(), host.paths).contradictions]


def process(host: Host, number: int, *words: str, link: str = "scbr-100") -> None:
    host.write(f"proc/{number}/cmdline", "\0".join(words) + "\0")
    host.write(f"proc/{number}/net/dev", f"Inter-|   Receive\n    lo: 0 0\n{link}: 0 0\n")


def test_command_lines(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    process(host, 11, "/usr/bin/kubelet", "--node-ip=192.0.2.7")
    process(host, 12, "/usr/bin/kubelet", "--node-ip", f"{OWN},fd00::5")
    process(host, 13, "kube-apiserver", "--advertise-address=192.0.2.7", "--advertise-address", OWN)
    process(host, 14, "etcd", "--initial-advertise-peer-urls=https://192.0.2.7:2380",
            f"--advertise-client-urls=https://{OWN}:2379")  # fmt: skip
    process(host, 15, "/opt/bin/flanneld", "--ip-masq", "--iface=eth0")
    process(host, 16, "sleep", "--node-ip=192.0.2.7")
    host.write("proc/17/cmdline", "")
    process(host, 18, "etcd", "--advertise-client-urls=http://10.42.0.7:2379", link="eth0")
    found = seen(host)
    assert [text.split(";")[0] for text in found] == [
        "the process kubelet (11): --node-ip=192.0.2.7",
        "the process etcd (14): --initial-advertise-peer-urls=https://192.0.2.7:2380",
        "the process flanneld (15): --iface=eth0",
    ]


def test_a_vip_that_nobody_holds(tmp_path: Path) -> None:
    """As `kubeadm reset` leaves it, in tests/kubernetes/test_nodes.py's cluster, on the host whose
    kube-vip had it."""
    host = Host(tmp_path)
    host.write("usr/bin/kubeadm", "")
    host.unit("kubelet.service")

    def found() -> list[str]:
        return [str(one) for one in left_vip(host.plan(), host.root, lambda at: str(at) == VIP)]

    [said] = found()
    assert f"{VIP} is left on it" in said and f"ip address delete {VIP}/32 dev scbr-100" in said
    assert not list(left_vip(host.plan(), host.root, lambda _: False))
    process(host, 11, "/kube-vip", "manager")
    assert not found(), "it is before `kubeadm init` has ended, say"
    host.write("proc/11/cmdline", "sleep\0")
    assert found()
    host.write("etc/kubernetes/kubelet.conf", "")
    assert not found(), "kubelet starts kube-vip again, which takes the VIP off"


def test_where_etcd_listens(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    rows = [("0100007F", 2379), ("05C04064", 2379), ("070200C0", 2380), ("070200C0", 443),
            ("00000000", 2381)]  # fmt: skip
    host.write("proc/net/tcp", HEADER + "".join(
        f"   {n}: {at}:{port:04X} 00000000:0000 0A 0\n" for n, (at, port) in enumerate(rows)
    ))  # fmt: skip
    [found] = seen(host)
    assert "it listens for peers at 192.0.2.7; expected 100.64.192.5" in found


def test_an_etcd_on_an_agent_is_somebody_elses(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(AGENT)
    process(host, 14, "etcd", "--advertise-client-urls=http://192.0.2.7:2379")
    host.write("proc/net/tcp", f"{HEADER}   0: 070200C0:094B 00000000:0000 0A 0\n")
    assert seen(host) == []


def test_this_machine_can_be_read() -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert any(p == port and str(at) == "127.0.0.1" for at, p in listening(Path("/")))
    from ipaddress import ip_address

    assert has_address(ip_address("127.0.0.1"))
    assert not has_address(ip_address("192.0.2.7"))


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (f"IP:{VIP},DNS:edge.example.com", ""),
        (f"IP:{VIP},DNS:other.example.com", "edge.example.com"),
        ("DNS:edge.example.com,IP:100.64.192.10", VIP),
    ],
)
def test_the_certificate(tmp_path: Path, names: str, missing: str) -> None:
    host = Host(tmp_path, "external-names: [edge.example.com]")
    host.unit(K3S)
    path = host.write("var/lib/rancher/k3s/server/tls/serving-kube-apiserver.crt", "")
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-keyout", str(tmp_path / "key"), "-out", str(path), "-subj", "/CN=x",
             "-addext", f"subjectAltName={names}"]  # fmt: skip
    subprocess.run(words, check=True, capture_output=True, timeout=30)
    found = seen(host)
    assert bool(found) is bool(missing)
    if missing:
        assert f"certificate lacks {missing};" in found[0]


def _cli(host: Host, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = main(["kubernetes", *words, "--root", str(host.root)])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Host(tmp_path)
    host.unit(AGENT)
    code, said = _cli(host, capsys)
    assert (code, f"/{DROP_IN}  (not written yet)" in said) == (0, True)
    assert "node-ip = 100.64.192.5\n      The node's address" in said
    assert _cli(host, capsys, "apply")[0] == 0
    code, said = _cli(host, capsys)
    assert "(not written yet)" not in said and "Nothing contradicts it." in said
    host.write("etc/rancher/k3s/config.yaml", "node-ip: 192.0.2.7\n")
    code, said = _cli(host, capsys, "show", "--json")
    told = json.loads(said)
    assert (code, told["distribution"], told["control_plane"]) == (1, "k3s", False)
    [one] = told["contradictions"]
    assert one["where"] == "/etc/rancher/k3s/config.yaml"
    assert told["files"][0]["settings"][0]["key"] == "flannel-iface"


def test_the_command_without_an_overlay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Host(tmp_path)
    host.up(None)
    code, said = _cli(host, capsys, "init-config")
    assert (code, "no Kubernetes is found" in said) == (69, True)
    assert _cli(host, capsys, "wait")[0] == 64
    assert "Nothing is written: no Kubernetes is found on this host." in _cli(host, capsys)[1]


def test_configurations_for_kubeadm(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = Host(tmp_path, "role: server")
    host.write("usr/bin/kubeadm", "")
    assert f"controlPlaneEndpoint: {VIP}:6443" in _cli(host, capsys, "init-config")[1]
    assert _cli(host, capsys, "join-config", "--token", "a.b")[0] == 64
    code, said = _cli(host, capsys, "join-config", "--token", "abcdef.0123456789abcdef",
                      "--ca-cert-hash", "sha256:00", "--certificate-key", "ff")  # fmt: skip
    assert (code, f"advertiseAddress: {OWN}" in said, "certificateKey: ff" in said) == (
        0,
        True,
        True,
    )
    assert "kind: DaemonSet" in _cli(host, capsys, "daemonset")[1]


@pytest.mark.parametrize(
    ("trouble", "verdict", "words"),
    [
        ("", "ok", "k3s is on the overlay"),
        ("deleted", "warning", "not written: /etc/rancher"),
        ("contradicts", "fault", "node-ip: 192.0.2.7"),
        ("before", "warning", "was set up on this host before"),
        ("several", "warning", "name one"),
        ("nothing", "ok", "no Kubernetes"),
        ("down", "unknown", "no overlay address"),
    ],
)
def test_the_doctor(tmp_path: Path, trouble: str, verdict: str, words: str) -> None:
    host = Host(tmp_path)
    if trouble != "nothing":
        host.unit(AGENT)
    if trouble == "several":
        host.unit("rke2-agent.service")
    if trouble == "before":
        host.write("var/lib/rancher/k3s/agent/kubelet.kubeconfig", "")
    host.apply()
    if trouble == "deleted":
        (tmp_path / DROP_IN).unlink()
    if trouble == "contradicts":
        host.write("etc/rancher/k3s/config.yaml", "node-ip: 192.0.2.7\n")
    if trouble == "down":
        host.up(None)
    machine = model.Host({"state": "up"}, 0.0, 0.0, host.paths.state_dir, tmp_path,
                         paths=host.paths)  # fmt: skip
    result = doctor_check(machine)
    assert (result.verdict, words in result.found) == (verdict, True), result
