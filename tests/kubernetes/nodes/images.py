"""Container images of the programs that are built here, under the names by which kubeadm,
kube-vip's and flannel's manifests ask for them: there is no registry.

Each has two layers: what programs need beside themselves (libc, iptables, a shell), which all
share, and its own.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from overlay_runtime.config.cluster import KubeVip
from tests.kubernetes.programs import KUBERNETES, Programs

PAUSE = "registry.k8s.io/pause:3.10.1"
WEB = "edge.test/web:1"
_PATH = "PATH=/opt/bin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_COMMON = """
set -e
layer=/run/layer
mkdir -p $layer/bin $layer/tmp $layer/usr/sbin $layer/usr/lib/x86_64-linux-gnu
cp /usr/bin/busybox $layer/bin/
for name in sh cat cp echo hostname httpd mkdir sleep; do ln -s busybox $layer/bin/$name; done
tables=/usr/sbin/xtables-nft-multi
cp $tables $layer/usr/sbin/
for name in iptables ip6tables; do
    for kind in '' -save -restore; do ln -s xtables-nft-multi $layer/usr/sbin/$name$kind; done
done
cp -rL /usr/lib/x86_64-linux-gnu/xtables $layer/usr/lib/x86_64-linux-gnu/
libraries=$(ldd $tables /usr/lib/x86_64-linux-gnu/xtables/*.so | grep -o '/lib[^ :]*' | sort -u)
for file in $libraries /lib/x86_64-linux-gnu/libresolv.so.2; do
    mkdir -p $layer$(dirname $file)
    cp -L $file $layer$file
done
exec tar -C $layer -c .
"""


@dataclass(frozen=True)
class Image:
    """An image: its files by their paths, and what it starts without a command."""

    name: str
    files: Mapping[str, Path] = field(default_factory=dict)
    entrypoint: tuple[str, ...] = ()


def of_control_planes(programs: Programs) -> list[Image]:
    """What a control plane has beside those `of_all`."""
    names = ("kube-apiserver", "kube-controller-manager", "kube-scheduler")
    made = [_image(f"{name}:{KUBERNETES}", programs / name) for name in names]
    etcd = Image("registry.k8s.io/etcd:3.6.5-0", {"/usr/local/bin/etcd": programs.etcd})
    vip = Image(KubeVip().image, {"/kube-vip": programs / "kube-vip"}, ("/kube-vip",))
    return [*made, etcd, vip]


def of_all(programs: Programs, flannel: Sequence[str]) -> list[Image]:
    """What every node has; `flannel`: the names in its manifest."""
    files = {"/flannel": programs.cni / "flannel", "/opt/bin/flanneld": programs / "flannel"}
    return [
        Image(PAUSE, {"/pause": programs / "pause"}, ("/pause",)),
        _image(f"kube-proxy:{KUBERNETES}", programs / "kube-proxy"),
        *(Image(name, files) for name in flannel),
        Image(WEB),
    ]


def write_archive(images: Sequence[Image], common: bytes, path: Path) -> None:
    """Write what `docker load` and `ctr images import` take."""
    known: dict[str, str] = {}
    with tarfile.open(path, "w") as archive:
        manifest = []
        for image in images:
            layers = [common, *([_layer(image.files)] if image.files else [])]
            sums = [hashlib.sha256(layer).hexdigest() for layer in layers]
            for total, layer in zip(sums, layers, strict=True):
                if total not in known:
                    known[total] = f"{total}/layer.tar"
                    _add(archive, known[total], layer)
            config = json.dumps({
                "architecture": "amd64", "os": "linux",
                "config": {"Env": [_PATH], "Entrypoint": list(image.entrypoint) or None},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{total}" for total in sums]},
                "history": [{"created_by": "edge-build's tests"} for _ in sums],
            }).encode()  # fmt: skip
            name = f"{hashlib.sha256(config).hexdigest()}.json"
            _add(archive, name, config)
            manifest.append({"Config": name, "RepoTags": [image.name],
                             "Layers": [known[total] for total in sums]})  # fmt: skip
        _add(archive, "manifest.json", json.dumps(manifest).encode())


def common_layer(base: str) -> bytes:
    """The layer that all share, of files of the Docker image `base`."""
    words = ["docker", "run", "--rm", "--network=none", "--tmpfs=/run", base, "sh", "-c", _COMMON]
    return subprocess.run(words, check=True, capture_output=True, timeout=120).stdout


def _image(name: str, program: Path) -> Image:
    return Image(f"registry.k8s.io/{name}", {f"/usr/local/bin/{program.name}": program})


def _layer(files: Mapping[str, Path]) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as layer:
        for path, source in files.items():
            _add(layer, path.lstrip("/"), source.read_bytes(), 0o755)
    return made.getvalue()


def _add(archive: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), mode
    archive.addfile(member, io.BytesIO(data))
