"""The files of the agent, laid out as on the host."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from pathlib import Path

from builder import __version__
from builder.bake.layer import RUNTIME_HOME, copy_runtime, set_modes
from builder.templates import TEMPLATES, render_tree

EPOCH = 1767225600
"""Every time in what is made, in seconds since 1970 (2026-01-01): same inputs, same bytes."""

FROM_THE_IMAGE = (
    "usr/bin/edge-overlay",
    "usr/lib/NetworkManager/conf.d/10-edge-overlay.conf",
    "usr/lib/edge-overlay/cni/calico-helm.yaml",
    "usr/lib/edge-overlay/cni/calico-pack.yaml",
    "usr/lib/edge-overlay/cni/calico-pools.yaml",
    "usr/lib/edge-overlay/cni/calico-rke2.yaml",
    "usr/lib/edge-overlay/cni/canal-rke2.yaml",
    "usr/lib/edge-overlay/cni/cilium-helm.yaml",
    "usr/lib/edge-overlay/cni/cilium-pack.yaml",
    "usr/lib/edge-overlay/cni/flannel-helm.yaml",
    "usr/lib/edge-overlay/cni/flannel-pack.yaml",
    "usr/lib/edge-overlay/cni/helmchartconfig.yaml",
    "usr/lib/edge-overlay/firewall.nft",
    "usr/lib/edge-overlay/hold-kubernetes",
    "usr/lib/edge-overlay/kube-vip/container.yaml",
    "usr/lib/edge-overlay/kube-vip/daemonset.yaml",
    "usr/lib/edge-overlay/kube-vip/pod.yaml",
    "usr/lib/edge-overlay/offload",
    "usr/lib/sysctl.d/90-edge-overlay.conf",
    "usr/lib/systemd/network/05-edge-overlay.link",
    "usr/lib/systemd/network/05-edge-overlay.network",
    "usr/lib/systemd/networkd.conf.d/10-edge-overlay.conf",
    "usr/lib/systemd/system/edge-overlay-gather.service",
    "usr/lib/systemd/system/edge-overlay-kubernetes.path",
    "usr/lib/systemd/system/edge-overlay-kubernetes.service",
    "usr/lib/systemd/system/edge-overlay-kubernetes.timer",
    "usr/lib/systemd/system/edge-overlay-vip.path",
    "usr/lib/systemd/system/edge-overlay-vip.service",
    "usr/lib/systemd/system/edge-overlay.service",
    "usr/lib/systemd/system/k3s-agent.service.d/50-edge-overlay.conf",
    "usr/lib/systemd/system/k3s.service.d/50-edge-overlay.conf",
    "usr/lib/systemd/system/kubelet.service.d/50-edge-overlay.conf",
    "usr/lib/systemd/system/rke2-agent.service.d/50-edge-overlay.conf",
    "usr/lib/systemd/system/rke2-server.service.d/50-edge-overlay.conf",
    "usr/lib/udev/rules.d/70-edge-overlay-offload.rules",
    "usr/share/bash-completion/completions/edge-overlay",
    "usr/share/man/man8/edge-overlay.8",
)
"""Of image-templates/edge: what makes sense on a host that already runs. Not what would change the
host's own network or names by being installed: DHCP for all NICs, resolv.conf, resolved's and
cloud-init's settings. `edge-overlay host prepare` does that, and can take it back."""

_COMPRESSED = ("usr/share/man/man8/edge-overlay.8", "usr/share/doc/edge-overlay/changelog")

MARKER = "agent.json"
"""Beside the runtime: says that this host has an owner of its own, and cloud-init another source
(`overlay_runtime/config/sources.py`)."""


def make_tree(root: Path, vendor: Path, user_data: str | None) -> None:
    """Lay all files out below `root`, which is made; modes are set, times are EPOCH."""
    root.mkdir()
    render_tree(TEMPLATES / "agent" / "root", root, {"version": __version__})
    for name in FROM_THE_IMAGE:
        target = root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TEMPLATES / "edge" / name, target)
    for name in _COMPRESSED:
        _compress(root / name)
    home = root / RUNTIME_HOME
    copy_runtime(home / "overlay_runtime")
    shutil.copytree(vendor, home / "vendor")
    (home / MARKER).write_text(json.dumps({"edge-build": __version__}) + "\n")
    set_modes(root)
    if user_data is not None:
        (home / "user-data").write_text(user_data)
        (home / "user-data").chmod(0o600)
    set_times(root)


def _compress(path: Path) -> None:
    """As `gzip -9n` does it: Debian Policy 12.1, 12.7."""
    packed = gzip.compress(path.read_bytes(), 9, mtime=0)
    path.with_name(f"{path.name}.gz").write_bytes(packed)
    path.unlink()


def set_times(root: Path) -> None:
    """Give all that lies in a tree the time EPOCH."""
    for path in (*root.rglob("*"), root):
        os.utime(path, (EPOCH, EPOCH), follow_symlinks=False)
