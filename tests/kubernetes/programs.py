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
        "k8s.io/kubernetes/cmd/kube-apiserver", "k8s.io/kubernetes/cmd/kubeadm",
        "k8s.io/kubernetes/cmd/kubectl",
    )),
    ("programs", "cni", (
        f"{_PLUGINS}/main/bridge", f"{_PLUGINS}/main/loopback", f"{_PLUGINS}/ipam/host-local",
        f"{_PLUGINS}/meta/portmap",
    )),
    # Its own repository can't be had as a module; this is where the plugin was before.
    ("flannel-cni", "cni", (f"{_PLUGINS}/meta/flannel",)),
)  # fmt: skip
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
                shutil.move(Path(scratch) / "made", ready)
    return Programs(ready)


def _key() -> str:
    """What the programs are made of."""
    digest = hashlib.sha256(repr((_FLAGS, _BUILDS)).encode())
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
        cwd=module, check=True, timeout=_LIMIT_S,
        # flannel has a part in C
        env={**os.environ, "CGO_ENABLED": "1", "GOFLAGS": "-mod=readonly", "GOSUMDB": "off",
             "GOTOOLCHAIN": "local"},
    )  # fmt: skip


if __name__ == "__main__":
    print(programs().directory)
