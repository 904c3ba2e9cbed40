"""RKE2's CNI: it is a Helm chart, and takes the NIC from a HelmChartConfig alone.

Left alone, canal takes the NIC with the default route: pods would be reached by physical addresses.
Servers all write the same manifest, as it is an object of the cluster: what differs from host to
host, such as the MTU that one has just now, is not in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from overlay_runtime.config.cluster import RKE2
from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.kubernetes import cni
from overlay_runtime.kubernetes.model import (
    HEADER,
    Contradiction,
    Detected,
    File,
    Overlay,
    Setting,
    below,
)
from overlay_runtime.kubernetes.rancher import Said

MANIFESTS = "/var/lib/rancher/rke2/server/manifests"
NAME = "edge-overlay-cni.yaml"

_DEFAULT = "canal"
_LONGEST = 1 << 20
_MANIFESTS_READ = 64
_NAMED_BY = {
    "canal": (("flannel", "iface"), ("calico", "ipAutoDetectionMethod")),
    "flannel": (("flannel", "args"),),
    "calico": (("installation", "calicoNetwork"),),
    "cilium": (("devices",),),
}
"""Where a chart's values tell the NIC or address; a chart that is told nothing there chooses."""


def plan(
    root: Path, config: OverlayConfig, detected: Detected, overlay: Overlay, user: Said
) -> tuple[list[File], list[Contradiction], list[str]]:
    """Return the manifest, if there is to be one of ours, what contradicts it, and notes."""
    if detected.distribution != RKE2 or not detected.server:
        return [], [], []
    name = next((one for one in user.values.get("cni", []) if one != "multus"), _DEFAULT)
    if name not in cni.CNIS:
        return [], [], [f"cni: {name}: it has to be told to use {overlay.interface}"]
    others = list(_others(root, f"rke2-{name}"))
    for path, values in others:
        if _told(values, name):
            return [], [], [f"cni: {path} configures rke2-{name}: ours is not written"]
        return [], [Contradiction(path, f"rke2-{name} is not told which NIC to use",
                                  overlay.interface, "take over what `edge-build cni-values "
                                  f"{name} --form rke2` prints")], []  # fmt: skip
    text = cni.values(name, RKE2, overlay=config)
    why = "Pods' packets go through the overlay, and fit it."
    return [File(f"{MANIFESTS}/{NAME}", f"# {HEADER}\n{text}",
                 (Setting(f"rke2-{name}", overlay.interface, why),))], [], []  # fmt: skip


def _told(values: dict[str, Any], name: str) -> bool:
    """Whether values say anything about the NIC. What exactly is the user's business."""
    for path in _NAMED_BY[name]:
        found: Any = values
        for key in path:
            found = found.get(key) if isinstance(found, dict) else None
        if found:
            return True
    return False


def _others(root: Path, chart: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The user's own HelmChartConfigs of a chart: the place, and the values in it."""
    for path in sorted(below(root, MANIFESTS).glob("*.y*ml"))[:_MANIFESTS_READ]:
        if path.name != NAME:
            for document in _documents(path):
                metadata, spec = document.get("metadata"), document.get("spec")
                named = isinstance(metadata, dict) and metadata.get("name") == chart
                if document.get("kind") == "HelmChartConfig" and named:
                    content = spec.get("valuesContent") if isinstance(spec, dict) else ""
                    values = next(_parsed(str(content or "")), {})
                    yield f"{MANIFESTS}/{path.name}", values


def _documents(path: Path) -> Iterator[dict[str, Any]]:
    try:
        if path.is_file() and path.stat().st_size <= _LONGEST:
            yield from _parsed(path.read_text(errors="replace"))
    except OSError:
        return


def _parsed(text: str) -> Iterator[dict[str, Any]]:
    """The documents of a text, as far as they are mappings."""
    try:
        for document in yaml.load_all(text, Loader=yaml.BaseLoader):
            if isinstance(document, dict):
                yield document
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return
