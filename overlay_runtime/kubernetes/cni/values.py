"""Values for a CNI, of the templates in `usr/lib/edge-overlay/cni`.

`pack`: Palette's packs, as on its page about the overlay. `helm`: the projects' own charts. `rke2`:
a HelmChartConfig for the chart that RKE2 brings along.
"""

from __future__ import annotations

from pathlib import Path

from overlay_runtime import BRIDGE
from overlay_runtime.address import IPNetwork
from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.kernel.model import OVERHEAD
from overlay_runtime.kubernetes.cni.ports import ELSEWHERE, clash
from overlay_runtime.kubernetes.template import Scalar, fill, library

PACK, HELM, RKE2 = "pack", "helm", "rke2"
FORMS = (PACK, HELM, RKE2)
CANAL = "canal"
CNIS = ("calico", "flannel", "cilium", CANAL)

USUAL_MTU = 1430
"""Of scbr-100 where the physical NICs have 1500 bytes: those that must be told an MTU get it."""

_WIREGUARD = {4: 60, 6: 80}
_IPIP = 20
"""Bytes that an encapsulation adds (felix/dataplane/linux/int_dataplane.go), by IP version of the
nodes' addresses."""

_FLANNEL_TAKES = 50
"""What flannel subtracts, of either version (pkg/backend/vxlan, encapOverhead)."""


def values(
    cni: str,
    form: str,
    mtu: int | None = None,
    *,
    overlay: OverlayConfig | None = None,
    pods: IPNetwork | None = None,
    templates: Path | None = None,
) -> str:
    """Return values for `cni` in one of FORMS, as YAML with comments.

    `mtu`: bytes that fit scbr-100, where it is to be written down; without it CNIs find out, and
    those that can't get USUAL_MTU. `overlay` tells the IP version and port of the overlay, `pods`
    Calico's pool. Raises ValueError for a form that a CNI does not have.
    """
    if cni not in CNIS or form not in FORMS or (cni == CANAL and form != RKE2):
        raise ValueError(f"there are no values of {cni} in the form {form}")
    place = (templates or library()) / "cni"
    config = overlay or OverlayConfig()
    known = _known(cni, form, mtu, config)
    pools = fill(_read(place, "calico-pools"), {"pods": str(pods)}) if pods else ""
    if form == PACK and cni == "cilium":
        text = _without_comment(fill(_read(place, "cilium-helm"), known))
        return fill(_read(place, "cilium-pack"), {}, {"values": text})
    if form != RKE2:
        return fill(_read(place, f"{cni}-{form}"), known, {"pools": pools})
    name = f"{cni}-rke2" if cni in (CANAL, "calico") else f"{cni}-helm"
    text = _without_comment(fill(_read(place, name), known, {"pools": pools}))
    return fill(_read(place, "helmchartconfig"), {"chart": f"rke2-{cni}"}, {"values": text})


def _known(cni: str, form: str, mtu: int | None, config: OverlayConfig) -> dict[str, Scalar]:
    version = config.cidr.version
    by_name = version == 4 and (form == PACK or cni == CANAL)
    method = f"interface={BRIDGE}" if by_name else (
        "NodeInternalIP" if cni == "calico" and form != PACK else "kubernetes-internal-ip"
    )  # fmt: skip
    told = mtu if mtu is not None else config.mtu
    if told is None and (cni == CANAL or (cni == "flannel" and version == 6)):
        told = USUAL_MTU
    return {
        "interface": BRIDGE,
        "iface": f"--iface={BRIDGE}",
        "pattern": f"^{BRIDGE}$",
        "method4": method if version == 4 else None,
        "method6": method if version == 6 else None,
        "underlay": "ipv6" if version == 6 else None,
        "port": _port(cni, form, config),
        **_mtus(cni, told, version),
    }


def _mtus(cni: str, mtu: int | None, version: int) -> dict[str, Scalar]:
    names = ("mtu", "pod_mtu", "ipip_mtu", "vxlan_mtu", "wireguard_mtu", "vxlan_mtu6",
             "wireguard_mtu6")  # fmt: skip
    known: dict[str, Scalar] = dict.fromkeys(names)
    if mtu is None:
        return known
    vxlan, wireguard = mtu - OVERHEAD[version], mtu - _WIREGUARD[version]
    # flannel takes 50 off whatever the version: what IPv6 adds more is taken off before.
    known["mtu"] = mtu if cni == "cilium" else vxlan + _FLANNEL_TAKES
    known["pod_mtu"] = wireguard
    if cni == CANAL:
        known["vxlan_mtu"] = vxlan
    elif version == 4:
        known |= {"ipip_mtu": str(mtu - _IPIP), "vxlan_mtu": str(vxlan),
                  "wireguard_mtu": str(wireguard)}  # fmt: skip
    else:
        known |= {"vxlan_mtu6": str(vxlan), "wireguard_mtu6": str(wireguard)}
    return known


def _port(cni: str, form: str, config: OverlayConfig) -> Scalar:
    if not clash(cni, config.port, form):
        return None
    return str(ELSEWHERE) if cni == "calico" and form == PACK else ELSEWHERE


def _read(place: Path, name: str) -> str:
    return (place / f"{name}.yaml").read_text()


def _without_comment(text: str) -> str:
    """Leave out the first line if it is a comment: it says which chart the values are for."""
    first, _, rest = text.partition("\n")
    return rest if first.startswith("#") else text
