"""Which distribution is on this host, and which part the host has.

What is named in user-data counts; else programs, units and configuration. Kairos's images have
k3s's units for servers and for agents alike: its keys `k3s:` and `k3s-agent:` tell which is meant
(github.com/kairos-io/provider-kairos, internal/provider/config), and Palette's and Kairos's other
providers have the key `cluster:` with a `role`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overlay_runtime.config.cluster import AGENT, AUTO, K3S, KUBEADM, NONE, RKE2, Cluster
from overlay_runtime.kubernetes import units
from overlay_runtime.kubernetes.model import Detected

SERVER_UNITS = {K3S: "k3s.service", RKE2: "rke2-server.service"}
AGENT_UNITS = {K3S: "k3s-agent.service", RKE2: "rke2-agent.service"}
KUBELET = "kubelet.service"
UNITS = {
    K3S: (SERVER_UNITS[K3S], AGENT_UNITS[K3S]),
    RKE2: (SERVER_UNITS[RKE2], AGENT_UNITS[RKE2]),
    KUBEADM: (KUBELET,),
}

OURS = "90-edge-overlay.yaml"
"""Our drop-in for k3s and RKE2: after the user's, so that what is appended meets what they have."""

_PROGRAMS = {
    K3S: ("usr/local/bin/k3s", "usr/bin/k3s", "opt/bin/k3s"),
    RKE2: ("usr/local/bin/rke2", "usr/bin/rke2", "opt/rke2/bin/rke2"),
    KUBEADM: ("usr/bin/kubeadm", "usr/local/bin/kubeadm", "opt/bin/kubeadm"),
}
_CONFIGURATION = {
    K3S: ("etc/rancher/k3s/config.yaml", "etc/rancher/k3s/config.yaml.d/*.y*ml"),
    RKE2: ("etc/rancher/rke2/config.yaml", "etc/rancher/rke2/config.yaml.d/*.y*ml"),
    KUBEADM: ("etc/kubernetes/kubelet.conf", "opt/kubeadm/*.yaml"),
}
_SET_UP = {
    K3S: ("var/lib/rancher/k3s/server/db", "var/lib/rancher/k3s/agent/kubelet.kubeconfig"),
    RKE2: ("var/lib/rancher/rke2/server/db", "var/lib/rancher/rke2/agent/kubelet.kubeconfig"),
    KUBEADM: ("etc/kubernetes/kubelet.conf",),
}
_API_SERVER = "etc/kubernetes/manifests/kube-apiserver.yaml"
_PALETTE = "opt/spectrocloud"


@dataclass(frozen=True)
class _Found:
    evidence: list[str]
    enabled: list[str]


def detect(
    root: Path, cluster: Cluster, kairos: Mapping[str, Any], starting: str | None = None,
    started_last: Mapping[str, str] | None = None,
) -> Detected:  # fmt: skip
    """Look what is there. `starting`: the unit that is being started, which tells for sure;
    `started_last`: by distribution, the one that was started last."""
    found = {name: _look(root, name, kairos) for name in UNITS}
    present = [name for name, one in found.items() if one.evidence]
    palette = "stylus" in kairos or (root / _PALETTE).exists()
    chosen = cluster.distribution
    if starting:
        chosen = next((name for name, all_of in UNITS.items() if starting in all_of), chosen)
    if chosen in (AUTO, NONE):
        started = [name for name in present if found[name].enabled]
        only = started if len(started) == 1 else present
        chosen = only[0] if len(only) == 1 else ""
    several = tuple(present) if not chosen and len(present) > 1 else ()
    evidence = tuple(text for name in present for text in found[name].evidence)
    if not chosen:
        return Detected(None, None, evidence, several, palette, dict(kairos))
    last = (started_last or {}).get(chosen)
    server = _is_server(root, chosen, found[chosen], cluster, kairos, starting, last)
    return Detected(chosen, server, evidence, several, palette, dict(kairos))


def set_up(root: Path, distribution: str) -> str | None:
    """Return a path that says that Kubernetes was set up on this host, or None."""
    paths = (path for path in _SET_UP[distribution] if (root / path).exists())
    return next((f"/{path}" for path in paths), None)


def controls(root: Path) -> bool:
    """Return whether kubeadm has made this host a control plane."""
    return (root / _API_SERVER).exists()


def _look(root: Path, name: str, kairos: Mapping[str, Any]) -> _Found:
    evidence = [f"the program /{path}" for path in _PROGRAMS[name] if (root / path).exists()]
    there = [unit for unit in UNITS[name] if units.fragment(root, unit)]
    evidence += [f"the unit {unit}" for unit in there]
    started = [unit for unit in there if units.enabled(root, unit)]
    for pattern in _CONFIGURATION[name]:
        paths = [path for path in sorted(root.glob(pattern)) if path.name != OURS]
        evidence += [f"the file /{path.relative_to(root)}" for path in paths]
    if name == K3S:
        for key in ("k3s", "k3s-agent"):
            if _enabled(kairos.get(key)):
                evidence.append(f"Kairos's key `{key}`")
                started.append(SERVER_UNITS[K3S] if key == "k3s" else AGENT_UNITS[K3S])
    return _Found(evidence, started)


def _enabled(block: Any) -> bool:
    return isinstance(block, dict) and str(block.get("enabled")).lower() == "true"


def _is_server(
    root: Path, name: str, found: _Found, cluster: Cluster, kairos: Mapping[str, Any],
    starting: str | None, last: str | None,
) -> bool | None:  # fmt: skip
    if name == KUBEADM and (controls(root) or set_up(root, name)):
        return controls(root)
    for known in (starting, *found.enabled[: len(found.enabled) == 1], last):
        if name != KUBEADM and known in UNITS[name]:
            return known == SERVER_UNITS[name]
    if cluster.role:
        return cluster.role != AGENT
    role = _provider_role(kairos)
    if role:
        return role != "worker"
    there = [unit for unit in UNITS[name] if units.fragment(root, unit)]
    return there[0] == SERVER_UNITS[name] if name != KUBEADM and len(there) == 1 else None


def _provider_role(kairos: Mapping[str, Any]) -> str | None:
    """Of the key `cluster`: init, controlplane or worker (kairos-sdk, clusterplugin)."""
    block = kairos.get("cluster")
    role = block.get("role") if isinstance(block, dict) else None
    return role if role in ("init", "controlplane", "worker") else None
