"""kube-vip: where its manifest lies, whose it is, and whether one of ours is to be there.

The VIP must live somewhere: on a control plane a manifest is written unless the user, Kairos's key
`kubevip` or Palette has one. Somebody else's is checked, never overwritten, and ours is not put
beside it: two of them would fight for the VIP.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from overlay_runtime import OUR_LINKS
from overlay_runtime.config.cluster import DAEMONSET, INIT, K3S, KUBEADM, RKE2, Cluster
from overlay_runtime.kubernetes import kubevip
from overlay_runtime.kubernetes.detect import controls
from overlay_runtime.kubernetes.model import Contradiction, Detected, File, Overlay, Setting

NAME = "edge-overlay-kube-vip.yaml"

STATIC_PODS = {
    K3S: "/var/lib/rancher/k3s/agent/pod-manifests",
    RKE2: "/var/lib/rancher/rke2/agent/pod-manifests",
    KUBEADM: "/etc/kubernetes/manifests",
}
DAEMONSETS = {
    K3S: "/var/lib/rancher/k3s/server/manifests",
    RKE2: "/var/lib/rancher/rke2/server/manifests",
}
_KUBECONFIGS = {
    K3S: "/etc/rancher/k3s/k3s.yaml",
    RKE2: "/etc/rancher/rke2/rke2.yaml",
    KUBEADM: "/etc/kubernetes/admin.conf",
}
_SUPER_ADMIN = "/etc/kubernetes/super-admin.conf"
"""kubeadm's since 1.29: until `kubeadm init` is over, admin.conf has no rights yet."""

_SIGN = "kube-vip"
_LONGEST = 1 << 20


def plan(
    root: Path, cluster: Cluster, detected: Detected, overlay: Overlay
) -> tuple[list[File], list[Contradiction], list[str]]:
    """Return the manifest, if there is to be one of ours, what contradicts it, and notes."""
    others = list(_others(root, detected))
    found = [one for path in others for one in _checked(root, path, overlay)]
    found += _kairos(detected, overlay)
    name, settings = str(detected.distribution), cluster.kube_vip
    if not detected.server or settings.enabled is False:
        return [], found, []
    if others:
        return [], found, [f"kube-vip: {others[0]} is somebody else's: ours is not written"]
    if settings.enabled is None:
        if detected.palette:
            return [], found, ["kube-vip: left to Palette, whose profile has it"]
        if _enabled_by_kairos(detected):
            return [], found, ["kube-vip: left to Kairos's key `kubevip`"]
    daemonset = settings.mode == DAEMONSET
    if daemonset and name not in DAEMONSETS:
        return [], found, ["kube-vip: kubeadm applies no manifest by itself: `edge-overlay kubernetes "
                           "daemonset | kubectl apply -f -`"]  # fmt: skip
    if name == KUBEADM and not (controls(root) or cluster.role == INIT):
        # `kubeadm join` refuses to start when there is something in the directory (preflight,
        # DirAvailable).
        return [], found, ["kube-vip: written when this host has joined as a control plane"]
    folder = (DAEMONSETS if daemonset else STATIC_PODS)[name]
    text = manifest(root, cluster, detected, overlay)
    return [File(f"{folder}/{NAME}", text, (
        Setting("vip_interface", overlay.interface, "The VIP is an address of the overlay."),
        Setting("address", str(overlay.vip), "The cluster's VIP."),
        Setting("vip_servicesinterface", services_interface(root, cluster) or "",
                "LoadBalancer addresses are announced on the physical network."),
        Setting("vip_leaseduration", str(settings.lease_duration), "As in user-data."),
    ))], found, []  # fmt: skip


def manifest(root: Path, cluster: Cluster, detected: Detected, overlay: Overlay) -> str:
    """Return our manifest in the form that user-data asks for."""
    settings, name = cluster.kube_vip, str(detected.distribution)
    kubeconfig = _KUBECONFIGS[name]
    if name == KUBEADM and cluster.role == INIT and settings.mode != DAEMONSET:
        kubeconfig = _SUPER_ADMIN
    render = kubevip.daemonset if settings.mode == DAEMONSET else kubevip.static_pod
    return render(settings, overlay.vip, kubeconfig=Path(kubeconfig),
                  services_interface=services_interface(root, cluster))  # fmt: skip


def services_interface(root: Path, cluster: Cluster) -> str | None:
    """Return where LoadBalancer addresses are announced: as told, or the default route's NIC."""
    return cluster.kube_vip.services_interface or default_nic(root)


def default_nic(root: Path) -> str | None:
    """Return the NIC of the default route with the lowest metric, IPv4's or else IPv6's."""
    best: list[tuple[int, str]] = []
    for line in _text(root / "proc/net/route").splitlines()[1:]:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000":
            best.append((int(fields[6]), fields[0]))
    if not best:
        for line in _text(root / "proc/net/ipv6_route").splitlines():
            fields = line.split()
            if len(fields) == 10 and set(fields[0]) == {"0"} and fields[1] == "00":
                best.append((int(fields[5], 16), fields[9]))
    names = [name for _, name in sorted(best) if name not in (*OUR_LINKS, "lo")]
    return names[0] if names else None


def _others(root: Path, detected: Detected) -> Iterator[str]:
    name = str(detected.distribution)
    for folder in (STATIC_PODS[name], DAEMONSETS.get(name)):
        for path in sorted((root / folder.lstrip("/")).glob("*.y*ml")) if folder else ():
            if path.name != NAME and _runs_kube_vip(_text(path)):
                yield f"/{path.relative_to(root)}"


def _runs_kube_vip(text: str) -> bool:
    """Whether it starts kube-vip: Kairos's kubevipmanifest.yaml has its rights alone."""
    return _SIGN in text and ("vip_interface" in text or "image:" in text)


def _checked(root: Path, path: str, overlay: Overlay) -> Iterator[Contradiction]:
    for problem in kubevip.problems(_text(root / path.lstrip("/")), overlay.vip):
        yield Contradiction(path, problem.found, problem.expected, problem.remedy)


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


def _text(path: Path) -> str:
    try:
        return path.read_bytes()[:_LONGEST].decode("utf-8", errors="replace") if path.is_file() else ""
    except OSError:
        return ""
