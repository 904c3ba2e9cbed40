"""Kubernetes' ranges: where they are read, what wins, and what odd files do."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from overlay_runtime.config.kubernetes import Kubernetes
from overlay_runtime.config.schema import parse_user_data, problems

GOOD = "#cloud-config\noverlay:\n  secret: sixteen characters\n"
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(name: str, text: str) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return put


def _met(root: Path, cidr: str, given: tuple[str, ...] | None = None) -> str | None:
    networks = None if given is None else tuple(map(ipaddress.ip_network, given))
    return Kubernetes(root, networks).overlap(ipaddress.ip_network(cidr))


@pytest.mark.parametrize(
    ("cidr", "words"),
    [
        ("10.42.200.0/24", "10.42.0.0/16, the default range of k3s and rke2 for pods"),
        ("10.43.0.0/24", "10.43.0.0/16, the default range of k3s and rke2 for services"),
        ("10.111.255.0/24", "10.96.0.0/12, the default range of kubeadm for services"),
        ("fd00:42::/64", "fd00:42::/56, the default range of k3s and rke2 for pods"),
        ("10.0.0.0/8", "10.42.0.0/16, the default range of k3s and rke2 for pods"),
    ],
)
def test_without_configuration_all_defaults_count(tmp_path: Path, cidr: str, words: str) -> None:
    assert _met(tmp_path, cidr) == words
    assert _met(tmp_path, cidr, ()) is None
    assert _met(tmp_path, "100.64.192.0/23") is None


def test_what_the_user_wrote_takes_the_place_of_defaults(tmp_path: Path, write: Write) -> None:
    given = ("10.200.0.0/16",)
    assert _met(tmp_path, "10.42.0.0/24", given) is None
    assert _met(tmp_path, "10.200.1.0/24", given) == "10.200.0.0/16, listed in `kubernetes-ranges`"
    write("etc/rancher/k3s/config.yaml", "cluster-cidr: 10.50.0.0/16\n")
    assert "k3s for pods in" in (_met(tmp_path, "10.50.0.0/24", given) or "")


@pytest.mark.parametrize("name", ["k3s", "rke2"])
def test_a_rancher_configuration(tmp_path: Path, write: Write, name: str) -> None:
    config = write(f"etc/rancher/{name}/config.yaml", "token: x\ncluster-cidr: 10.50.0.0/16\n")
    assert _met(tmp_path, "10.50.3.0/24") == (
        f"10.50.0.0/16, the range of {name} for pods in {config}"
    )
    assert _met(tmp_path, "10.42.0.0/24") is None  # not the default any more
    assert f"default range of {name} for services" in (_met(tmp_path, "10.43.0.0/24") or "")
    assert _met(tmp_path, "10.100.0.0/24") is None  # kubeadm is not the distribution here


def test_drop_ins_win_or_add(tmp_path: Path, write: Write) -> None:
    folder = "etc/rancher/rke2"
    write(f"{folder}/config.d/99_userdata.yaml", '{"service-cidr": "10.61.0.0/16"}')
    write(f"{folder}/config.yaml", "cluster-cidr: [10.50.0.0/16, 'fd50::/56']\n")
    write(f"{folder}/config.yaml.d/10-a.yaml", "cluster-cidr: 10.51.0.0/16, fd51::/56\n")
    write(f"{folder}/config.yaml.d/20-b.yml", "cluster-cidr+: 10.52.0.0/16\n")
    for cidr, met in (("10.50.0.0/24", False), ("fd50::/64", False), ("10.51.0.0/24", True),
                      ("fd51::/64", True), ("10.52.0.0/24", True), ("10.61.0.0/24", True),
                      ("10.43.0.0/24", False)):  # fmt: skip
        assert bool(_met(tmp_path, cidr)) is met, cidr


@pytest.mark.parametrize(
    "name",
    ["opt/kubeadm/kubeadm.yaml", "persistent/spectro/opt/kubeadm/kubeadm.yaml",
     "etc/kubernetes/kubeadm-config.yaml"],
)  # fmt: skip
def test_a_kubeadm_configuration(tmp_path: Path, write: Write, name: str) -> None:
    write(name, "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n---\n"
                "apiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\nnetworking:\n"
                '  podSubnet: "10.244.0.0/16,fd44::/56"\n')  # fmt: skip
    assert "kubeadm for pods in" in (_met(tmp_path, "10.244.9.0/24") or "")
    assert "kubeadm for pods in" in (_met(tmp_path, "fd44::/64") or "")
    assert "default range of kubeadm for services" in (_met(tmp_path, "10.100.0.0/24") or "")
    assert _met(tmp_path, "10.42.0.0/24") is None


def test_the_manifests_of_a_running_control_plane(tmp_path: Path, write: Write) -> None:
    write("etc/kubernetes/manifests/kube-controller-manager.yaml",
          "spec:\n  containers:\n  - command:\n    - kube-controller-manager\n"
          "    - --cluster-cidr=10.70.0.0/16\n"
          "    - --service-cluster-ip-range=10.71.0.0/16\n")  # fmt: skip
    assert "kubeadm for pods" in (_met(tmp_path, "10.70.0.0/24") or "")
    assert "kubeadm for services" in (_met(tmp_path, "10.71.0.0/24") or "")
    assert _met(tmp_path, "10.96.0.0/24") is None


ODD = {
    "no YAML": b"a: [",
    "binary": bytes(range(256)),
    "empty": b"",
    "a list": b"- cluster-cidr\n",
    "no network": b"cluster-cidr: everything\n",
    "host bits": b"cluster-cidr: 10.50.0.9/16\n",
    "a mapping as value": b"cluster-cidr: {a: b}\n",
    "tags": b"cluster-cidr: !!timestamp soon\nx: !!python/object/apply:os.abort []\n",
    "an unhashable key": b"? [a]\n: b\n",
    "contains itself": b"cluster-cidr: &a [*a]\n",
    "nested too deeply": b"[" * 5000,
    "laughs": b"a: &a [x,x,x,x,x,x,x,x,x,x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 10))
               for n in range(ord("b"), ord("k")))
    + b"cluster-cidr: *j\n",
    "huge": b"#" * (2 << 20),
}  # fmt: skip


@pytest.mark.timeout(10)
@pytest.mark.parametrize("data", ODD.values(), ids=ODD)
def test_odd_files_are_left_out(tmp_path: Path, write: Write, data: bytes) -> None:
    path = write("etc/rancher/k3s/config.yaml", "")
    path.write_bytes(data)
    found = Kubernetes(tmp_path, None)
    assert found.overlap(ipaddress.ip_network("10.43.0.0/24"))  # services: the default still
    assert all(str(path) in note and len(note) < 300 for note in found.notes)
    assert bool(found.notes) == (data not in (ODD["empty"], ODD["a list"], ODD["host bits"]))


@pytest.mark.timeout(5)
def test_what_is_no_file_is_left_out(tmp_path: Path) -> None:
    folder = tmp_path / "etc/rancher/k3s/config.yaml.d"
    folder.mkdir(parents=True)
    os.mkfifo(folder / "a.yaml")
    (folder / "b.yaml").mkdir()
    (folder / "c.yaml").symlink_to("c.yaml")
    found = Kubernetes(tmp_path, None)
    assert found.overlap(ipaddress.ip_network("10.42.0.0/24"))
    assert len(found.notes) >= 2


def test_files_are_read_again_when_they_change(tmp_path: Path, write: Write) -> None:
    now = 0.0
    found = Kubernetes(tmp_path, None, lambda: now)
    cidr = ipaddress.ip_network("10.50.0.0/24")
    assert found.overlap(cidr) is None
    write("etc/rancher/k3s/config.yaml", "cluster-cidr: 10.50.0.0/16\n")
    assert found.overlap(cidr) is None  # not looked at yet
    now = 6.0
    assert found.overlap(cidr)


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        ("  cidr: 10.42.0.0/24\n", "f:4:9", "10.42.0.0/16, the default range of k3s and rke2"),
        ("  cidr: 10.96.0.0/24\n", "f:4:9", "10.96.0.0/12, the default range of kubeadm"),
        ("  kubernetes-ranges: [100.64.0.0/10]\n", "f:2:1", "listed in `kubernetes-ranges`"),
        ("  kubernetes-ranges: 10.0.0.0/8\n", "f:4:22", "write a list"),
        ("  kubernetes-ranges: [10.0.0.0/8, x]\n", "f:4:35", "no network"),
        ("  kubernetes-ranges: [10.0.0.1/8]\n", "f:4:23", "host bits"),
        ("  kubernetes-ranges: [5]\n", "f:4:23", "the number 5"),
    ],
)
def test_when_an_image_is_built(lines: str, place: str, words: str) -> None:
    [problem] = problems(GOOD + lines, "f")
    assert problem.render().startswith(place), problem.render()
    assert words in problem.render()


def test_a_running_host_still_reads_such_user_data() -> None:
    """Its overlay may have run for years: the agent names it, and goes on."""
    text = GOOD + "  cidr: 10.42.0.0/24\n"
    config = parse_user_data(text, "f").overlay
    assert config
    assert problems(text + "  kubernetes-ranges: []\n", "f") == []
    assert problems(text + "  kubernetes-ranges: [10.50.0.0/16, '2001:cafe:42::/56']\n", "f") == []
