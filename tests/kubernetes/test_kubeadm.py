"""A real kubeadm takes the configurations, and makes of them what belongs on the overlay."""

from __future__ import annotations

import ipaddress
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from overlay_runtime.config.cluster import Cluster
from overlay_runtime.kubernetes import kubeadm
from overlay_runtime.kubernetes.model import Overlay
from tests.kubernetes.programs import KUBERNETES, Programs

PHYSICAL = "192.0.2.9"
OVERLAYS = [
    Overlay(ipaddress.ip_address("100.64.192.5"), ipaddress.ip_address("100.64.192.1"), "scbr-100"),
    Overlay(ipaddress.ip_address("fd00:1::5"), ipaddress.ip_address("fd00:1::1"), "scbr-100"),
]
CLUSTER = Cluster(role="init", external_names=("edge.example.com", "203.0.113.7"))
# Without it kubeadm asks the internet for the newest version, for ten seconds.
VERSION = f"kubernetesVersion: {KUBERNETES}\n"


def ask(programs: Programs, *words: str | Path) -> str:
    done = subprocess.run([programs / "kubeadm", *words], capture_output=True, text=True,
                          timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def phases(programs: Programs, config: Path, *steps: str) -> dict[str, str]:
    """Run phases of `kubeadm init` in a mount namespace with an /etc/kubernetes of its own; what
    lies there then, by name."""
    runs = [shlex.join([str(programs / "kubeadm"), "init", "phase", *step.split(), "--config",
                        str(config)]) for step in steps]  # fmt: skip
    script = "; ".join([
        "set -e", "mkdir -p /etc/kubernetes", "mount -t tmpfs none /etc/kubernetes",
        *(f"{run} >&2" for run in runs),
        "cd /etc/kubernetes; for file in $(find . -type f); do echo \"=== $file\"; cat $file; done",
        "openssl x509 -in pki/apiserver.crt -noout -text | grep -A1 'Alternative Name'",
    ])  # fmt: skip
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True,
                          text=True, timeout=60, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr
    parts = re.split(r"^=== \./(\S+)\n", done.stdout, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True)) | {"names": done.stdout[-600:]}


@pytest.mark.parametrize("overlay", OVERLAYS, ids=["IPv4", "IPv6"])
@pytest.mark.parametrize("control", [True, False])
def test_it_takes_the_configurations(
    programs: Programs, tmp_path: Path, overlay: Overlay, control: bool
) -> None:
    init, join = tmp_path / "init.yaml", tmp_path / "join.yaml"
    init.write_text(kubeadm.init_configuration(CLUSTER, overlay))
    key = "f" * 64 if control else None
    join.write_text(kubeadm.join_configuration(
        overlay, "abcdef.0123456789abcdef", ["sha256:" + "0" * 64], key, control=control
    ))  # fmt: skip
    for path in (init, join):
        # Strict: an unknown field is an error.
        assert ask(programs, "config", "validate", "--config", path) == "ok\n"


def test_a_field_that_it_does_not_know_is_an_error(programs: Programs, tmp_path: Path) -> None:
    """So that the test before can fail."""
    path = tmp_path / "init.yaml"
    text = kubeadm.init_configuration(CLUSTER, OVERLAYS[0])
    path.write_text(text.replace("certSANs", "certSans2"))
    done = subprocess.run([programs / "kubeadm", "config", "validate", "--config", path],
                          capture_output=True, text=True, timeout=60, check=False)  # fmt: skip
    assert (done.returncode != 0, "certSans2" in done.stderr) == (True, True)


def test_all_of_a_control_plane_is_on_the_overlay(programs: Programs, tmp_path: Path) -> None:
    own, vip = OVERLAYS[0].address, OVERLAYS[0].vip
    config = tmp_path / "init.yaml"
    config.write_text(kubeadm.init_configuration(CLUSTER, OVERLAYS[0]) + VERSION)
    found = phases(programs, config, "certs all", "kubeconfig all", "control-plane all",
                   "etcd local")  # fmt: skip
    etcd, api = found["manifests/etcd.yaml"], found["manifests/kube-apiserver.yaml"]
    assert f"--listen-client-urls=https://127.0.0.1:2379,https://{own}:2379" in etcd
    assert f"--listen-peer-urls=https://{own}:2380" in etcd
    assert f"--initial-advertise-peer-urls=https://{own}:2380" in etcd
    assert f"--advertise-client-urls=https://{own}:2379" in etcd
    assert f"--advertise-address={own}" in api
    assert f"server: https://{vip}:6443" in found["admin.conf"]
    assert f"server: https://{vip}:6443" in found["super-admin.conf"]
    for name in (f"IP Address:{vip}", f"IP Address:{own}", "DNS:edge.example.com", "203.0.113.7"):
        assert name in found["names"]


def test_the_patch_for_a_configuration_of_ones_own(programs: Programs, tmp_path: Path) -> None:
    patches = tmp_path / "patches"
    patches.mkdir()
    files = kubeadm.plan(tmp_path, CLUSTER, OVERLAYS[0], server=True)
    [patch] = [file for file in files if file.path == kubeadm.PATCH]
    (patches / Path(patch.path).name).write_text(patch.content)
    config = tmp_path / "own.yaml"
    config.write_text(
        "apiVersion: kubeadm.k8s.io/v1beta4\nkind: InitConfiguration\n"
        f"localAPIEndpoint: {{advertiseAddress: {PHYSICAL}}}\npatches: {{directory: {patches}}}\n"
        f"---\napiVersion: kubeadm.k8s.io/v1beta4\nkind: ClusterConfiguration\n{VERSION}"
    )
    api = phases(programs, config, "certs all", "control-plane apiserver")
    text = api["manifests/kube-apiserver.yaml"]
    told = re.findall(r"--advertise-address=(\S+)", text)
    assert told[-1] == "100.64.192.5", "the last flag counts"
    assert set(re.findall(r"host: (\S+)", text)) == {"100.64.192.5"}
