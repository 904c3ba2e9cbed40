"""Kubernetes, kube-vip, flannel and CNI plugins, built from their Go modules, each with its sum.

They are built once a machine (eight minutes of one processor, with what is fetched) into the
cache of edge-build, with what is left of the processors: other tiers go on meanwhile.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.yip.toolchain import GO

KUBERNETES = "v1.34.4"
_HERE = Path(__file__).parent
_PLUGINS = "github.com/containernetworking/plugins/plugins"
_VERSION = "k8s.io/component-base/version"
_FLAGS = [
    "-trimpath", "-ldflags",
    f"-s -w -X {_VERSION}.gitVersion={KUBERNETES} -X {_VERSION}.gitMajor=1 "
    f"-X {_VERSION}.gitMinor=34",
]  # fmt: skip
_BUILDS = (
    ("programs", "", (
        "github.com/flannel-io/flannel", "github.com/kube-vip/kube-vip",
        *(f"k8s.io/kubernetes/cmd/{name}" for name in (
            "kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler",
            "kubeadm", "kubectl", "kubelet",
        )),
    )),
    ("programs", "cni", (
        f"{_PLUGINS}/main/bridge", f"{_PLUGINS}/main/loopback", f"{_PLUGINS}/ipam/host-local",
        f"{_PLUGINS}/meta/portmap",
    )),
    # Its own repository can't be had as a module; this is where the plugin was before.
    ("flannel-cni", "cni", (f"{_PLUGINS}/meta/flannel",)),
    # That of Debian 12 doesn't know the flags that kubeadm gives it.
    ("etcd-server", "etcd", ("go.etcd.io/etcd/server/v3",)),
)  # fmt: skip
_PAUSE = ("k8s.io/kubernetes", "build/pause/linux/pause.c")
_MANIFEST = ("github.com/flannel-io/flannel", "Documentation/kube-flannel.yml")
_LIMIT_S = 1800.0


@dataclass(frozen=True)
class Programs:
    """Where the programs are."""

    directory: Path

    def __truediv__(self, name: str) -> Path:
        return self.directory / name

    @property
    def cni(self) -> Path:
        """CNI_PATH: the plugins."""
        return self.directory / "cni"

    @property
    def etcd(self) -> Path:
        """etcd as kubeadm's image of this version has it; elsewhere it is Debian's."""
        return self.directory / "etcd" / "server"

    @property
    def flannel_manifest(self) -> Path:
        """What flannel's page has for `kubectl apply`."""
        return self.directory / "kube-flannel.yml"


def programs() -> Programs:
    """Return the programs, built if they aren't there. Raises CalledProcessError."""
    cache = Path(os.environ.get("EDGE_BUILD_CACHE_DIR") or Path.home() / ".cache/edge-build")
    cache.mkdir(parents=True, exist_ok=True)
    ready = cache / f"kubernetes-programs-{_key()}"
    with (cache / "kubernetes-programs.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another process may build them now
        if not ready.exists():
            with tempfile.TemporaryDirectory(dir=cache, prefix="work-") as scratch:
                for module, place, packages in _BUILDS:
                    _build(_HERE / module, Path(scratch) / "made" / place, packages)
                _from_sources(Path(scratch) / "made")
                shutil.move(Path(scratch) / "made", ready)
    return Programs(ready)


def _key() -> str:
    """What the programs are made of."""
    digest = hashlib.sha256(repr((_FLAGS, _BUILDS, _PAUSE, _MANIFEST)).encode())
    for module in sorted({module for module, _, _ in _BUILDS}):
        for name in ("go.mod", "go.sum"):
            digest.update((_HERE / module / name).read_bytes())
    digest.update(subprocess.check_output([GO, "version"], timeout=30))
    return digest.hexdigest()[:24]


def _build(module: Path, output: Path, packages: tuple[str, ...]) -> None:
    output.mkdir(parents=True, exist_ok=True)
    subprocess.run(
        ["chrt", "--idle", "0", "nice", "-n", "19",
         GO, "build", *_FLAGS, "-o", f"{output}/", *packages],
        cwd=module, check=True, timeout=_LIMIT_S, env=_environment(),
    )  # fmt: skip


def _from_sources(output: Path) -> None:
    """Add what is no Go in these modules: the program of a pod's first container, a manifest."""
    subprocess.run(["gcc", "-Os", "-static", "-o", output / "pause", "-DVERSION=0",
                    _source(*_PAUSE)], check=True, timeout=60)  # fmt: skip
    shutil.copyfile(_source(*_MANIFEST), output / "kube-flannel.yml")


def _source(module: str, path: str) -> Path:
    said = subprocess.check_output(
        [GO, "list", "-m", "-f", "{{.Dir}}", module], cwd=_HERE / "programs", text=True,
        timeout=60, env=_environment(),
    )  # fmt: skip
    return Path(said.strip()) / path


def _environment() -> dict[str, str]:
    # flannel has a part in C
    return {**os.environ, "CGO_ENABLED": "1", "GOFLAGS": "-mod=readonly", "GOSUMDB": "off",
            "GOTOOLCHAIN": "local"}  # fmt: skip


if __name__ == "__main__":
    print(programs().directory)
