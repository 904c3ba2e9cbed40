"""kube-vip: where its manifest lies, whose it is, and whether one of ours is to be there.

The VIP must live somewhere: on a control plane a manifest is written unless the user, Kairos's key
`kubevip` or Palette has one. Somebody else's is checked, never overwritten, and ours is not put
beside it: two of them would fight for the VIP.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from overlay_runtime.address import IPNetwork
from overlay_runtime.config.cluster import DAEMONSET, INIT, KUBEADM, MODES, Cluster, KubeVip
from overlay_runtime.kubernetes import kubevip
from overlay_runtime.kubernetes.detect import controls
from overlay_runtime.kubernetes.lease import settings as lease
from overlay_runtime.kubernetes.model import (
    API_PORT,
    HEADER,
    Contradiction,
    Detected,
    File,
    Overlay,
    Setting,
)
from overlay_runtime.kubernetes.reading import text_of

NAME = "edge-overlay-kube-vip.yaml"
"""Not kube-vip.yaml: so the user's own are called."""

WATCH = "/run/edge-overlay/kubernetes/vip.yaml"

_SUPER_ADMIN = "/etc/kubernetes/super-admin.conf"
"""kubeadm's since 1.29: until `kubeadm init` is over, admin.conf has no rights."""

_SIGN = "kube-vip"


def plan(
    root: Path,
    cluster: Cluster,
    detected: Detected,
    overlay: Overlay,
    cidr: IPNetwork,
    port: int = API_PORT,
) -> tuple[list[File], list[Contradiction], list[str]]:
    """Return the manifest, if there is to be one of ours, with what `edge-overlay-vip.service` is
    told; what contradicts it, and notes. `cidr`: the overlay's."""
    others = list(_others(root, detected))
    found = [one for path in others for one in _checked(root, path, overlay)]
    found += _kairos(detected, overlay)
    name = str(detected.distribution)
    settings = cluster.kube_vip.on(name)
    if not detected.server or settings.enabled is False:
        return [], found, []
    if others:
        return [], found, [f"kube-vip: {others[0]} is somebody else's: ours is not written"]
    if settings.enabled is None:
        if detected.palette:
            return [], found, ["kube-vip: left to Palette, whose profile has it"]
        if _enabled_by_kairos(detected):
            return [], found, ["kube-vip: left to Kairos's key `kubevip`"]
    place = kubevip.manifest_path(name, settings.mode)
    told = lease.written(settings, overlay.address, cidr, port, _kubeconfig(root, cluster, name))
    watch = [_watched(settings, told)] if settings.fast_failover else []
    if place is None:
        return watch, found, [
            "kube-vip: kubeadm takes no DaemonSet from a file: `edge-overlay kubernetes daemonset "
            "| kubectl apply -f -`"
        ]  # fmt: skip
    if name == KUBEADM and not (controls(root) or cluster.role == INIT):
        # Older versions of `kubeadm join` refuse to start when something is in the directory
        # (preflight, DirAvailable); and there is no kubeconfig for it before.
        return [], found, ["kube-vip: written when this host has joined as a control plane"]
    text = manifest(root, cluster, name, overlay, port)
    return [File(str(place.with_name(NAME)), text, (
        Setting("vip_interface", overlay.interface, "The VIP is an address of the overlay."),
        Setting("address", str(overlay.vip), "The cluster's VIP."),
        Setting("vip_servicesinterface", settings.services_interface or kubevip.ANY_NIC,
                "LoadBalancer addresses are announced on the physical network."),
        Setting("vip_leaseduration", str(settings.lease),
                "Seconds, as in user-data, or as the distribution's etcd needs it."),
    )), *watch], found, []  # fmt: skip


def _watched(settings: KubeVip, told: str) -> File:
    """What `edge-overlay-vip.service` is told. It runs for as long as this file is there."""
    why = "Then the lease of a host that is gone is given up, for another to have the VIP in time."
    return File(WATCH, told, (Setting("patience", f"{lease.patience(settings):g} s", why),))


def manifest(
    root: Path, cluster: Cluster, distribution: str, overlay: Overlay, port: int = API_PORT
) -> str:
    """Return our manifest in the form that user-data asks for."""
    settings = cluster.kube_vip.on(distribution)
    if settings.mode == DAEMONSET:
        text = kubevip.daemonset(settings, overlay.vip, port=port,
                                 services_interface=settings.services_interface)  # fmt: skip
    else:
        text = kubevip.static_pod(settings, overlay.vip, port=port,
                                  kubeconfig=_kubeconfig(root, cluster, distribution),
                                  services_interface=settings.services_interface)  # fmt: skip
    return f"# {HEADER}\n{text}"


def _kubeconfig(root: Path, cluster: Cluster, distribution: str) -> Path:
    """The administrator's, but where kubeadm makes a cluster: while it does, `admin.conf` has no
    rights yet (Kubernetes ≥ 1.29, kubeadm's changelog and kube-vip#684). There it stays the same
    for as long as it is there: changed later, the VIP would be gone for a moment, for nothing."""
    made_here = distribution == KUBEADM and cluster.role == INIT
    if made_here and (not controls(root) or (root / _SUPER_ADMIN.lstrip("/")).exists()):
        return Path(_SUPER_ADMIN)
    return kubevip.kubeconfig_of(distribution)


def _others(root: Path, detected: Detected) -> Iterator[str]:
    name = str(detected.distribution)
    for mode in MODES:
        place = kubevip.manifest_path(name, mode, root)
        for path in sorted(place.parent.glob("*.y*ml")) if place else ():
            if path.name != NAME and _runs_kube_vip(text_of(path)):
                yield f"/{path.relative_to(root)}"


def _runs_kube_vip(text: str) -> bool:
    """Whether it starts kube-vip: Kairos's kubevipmanifest.yaml has its rights alone."""
    return _SIGN in text and ("vip_interface" in text or "image:" in text)


def _checked(root: Path, path: str, overlay: Overlay) -> Iterator[Contradiction]:
    for problem in kubevip.problems(text_of(root / path.lstrip("/")), overlay.vip, path):
        yield Contradiction(str(problem.position), problem.found, problem.expected, problem.remedy)


def _enabled_by_kairos(detected: Detected) -> bool:
    block = detected.kairos.get("kubevip")
    if not isinstance(block, dict):
        return False
    wanted = str(block.get("enable", "")).lower()
    return wanted == "true" or (wanted == "" and bool(block.get("eip")))


def _kairos(detected: Detected, overlay: Overlay) -> list[Contradiction]:
    block = detected.kairos.get("kubevip")
    if not _enabled_by_kairos(detected) or not isinstance(block, dict):
        return []
    found = []
    for key, expected in (("interface", overlay.interface), ("eip", str(overlay.vip))):
        if block.get(key) != expected:
            shown = block.get(key) or "nothing"
            found.append(Contradiction("Kairos's key `kubevip`", f"{key}: {shown}", expected,
                                       f"write `{key}: {expected}`"))  # fmt: skip
    return found
