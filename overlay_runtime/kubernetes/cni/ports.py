"""UDP ports of CNIs' own VXLAN.

They travel across the overlay, from one overlay address to another, while the overlay's own packets
travel between physical addresses. Where both have one port, Calico drops the overlay's packets (its
rules accept VXLAN from its nodes' addresses alone) and our firewall drops Calico's.
"""

from __future__ import annotations

from overlay_runtime.config.keys import OverlayConfig

ELSEWHERE = OverlayConfig.port
"""Free on a host whose overlay was given another port."""

_CALICO, _FLANNEL = 4789, 8472
_PORTS = {
    "calico": _CALICO,  # felix/config/config_params.go, VXLANPort
    "flannel": _FLANNEL,  # the kernel's own default, pkg/backend/vxlan
    "cilium": _FLANNEL,  # pkg/defaults, TunnelPortVXLAN
    "canal": _FLANNEL,
}
_RKE2 = {"flannel": _CALICO}  # rke2-charts, rke2-flannel, backendPort


def default_port(cni: str, form: str = "helm") -> int:
    """Return the port that a CNI uses unless told otherwise."""
    return _RKE2.get(cni, _PORTS[cni]) if form == "rke2" else _PORTS[cni]


def clash(cni: str, overlay_port: int, form: str = "helm") -> bool:
    """Whether a CNI's port is one of the overlay's: that of its packets, or that of its beacons
    right after it."""
    return default_port(cni, form) in (overlay_port, overlay_port + 1)
