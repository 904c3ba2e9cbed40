"""RKE2's CNI: a chart that RKE2 brings along, told of the overlay by a HelmChartConfig.

RKE2 has no `flannel-iface`. Left alone, canal, its default, takes the NIC of the default route, so
that pods would talk through the physical network (docs.rke2.io, "Network Options").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from overlay_runtime.config.cluster import Cluster
from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.kubernetes import cni
from overlay_runtime.kubernetes.model import HEADER, Contradiction, File, Overlay, Setting
from overlay_runtime.kubernetes.rancher_config import Said
from overlay_runtime.kubernetes.reading import text_of

FOLDER = "var/lib/rancher/rke2/server/manifests"
_DEFAULT = "canal"
_LEADS_THERE = re.compile(r"scbr-100|NodeInternalIP|kubernetes-internal-ip", re.IGNORECASE)


def chosen(cluster: Cluster, said: Said) -> str | None:
    """Return RKE2's CNI: as configured, as named in user-data, or its default; None: not ours."""
    names = [name for text in said.values.get("cni", ()) for name in text.split(",")]
    names = [name for name in names if name != "multus"] or [cluster.cni or _DEFAULT]
    return names[0] if names[0] in cni.CNIS else None


def plan(
    root: Path, cluster: Cluster, config: OverlayConfig, overlay: Overlay, said: Said
) -> tuple[list[File], list[Contradiction]]:
    """Return the HelmChartConfig for a server, or what contradicts in one of somebody else's."""
    name = chosen(cluster, said)
    if name is None:
        return [], []
    ours = f"edge-overlay-{name}.yaml"
    others = list(_others(root, name, ours))
    if others:
        return [], [one for path, text in others for one in _checked(path, text, name, overlay)]
    text = f"# {HEADER}\n{cni.values(name, 'rke2', overlay=config)}"
    setting = Setting(f"HelmChartConfig rke2-{name}", overlay.interface,
                      "The pods' packets go through the overlay.")  # fmt: skip
    return [File(f"/{FOLDER}/{ours}", text, (setting,))], []


def _others(root: Path, name: str, ours: str) -> Iterator[tuple[str, str]]:
    """Two for one chart would fight."""
    for path in sorted((root / FOLDER).glob("*.y*ml")):
        text = text_of(path) if path.name != ours else ""
        if "HelmChartConfig" in text and re.search(rf"name:\s*[\"']?rke2-{name}\b", text):
            yield f"/{FOLDER}/{path.name}", text


def _checked(path: str, text: str, name: str, overlay: Overlay) -> Iterator[Contradiction]:
    if name != "cilium" and not _LEADS_THERE.search(text):
        yield Contradiction(path, f"rke2-{name} is not told of {overlay.interface}",
                            f"what `edge-build cni-values {name} --form rke2` says",
                            "add it")  # fmt: skip
