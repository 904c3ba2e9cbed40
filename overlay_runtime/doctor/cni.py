"""A check of the tunnels that a CNI has made: they belong on the overlay, and have to fit it."""

from __future__ import annotations

import ipaddress
from typing import Any

from overlay_runtime import OUR_LINKS
from overlay_runtime.doctor.model import Host, Result, named
from overlay_runtime.kernel.model import OVERHEAD


def cni(host: Host) -> Result:
    """Do the tunnels of the CNI go through the overlay, and do their packets fit it?"""
    tunnels = [link for link in host.links if _is_foreign_vxlan(link)]
    cidr, mtu = host.overlay.get("cidr"), host.overlay.get("mtu")
    if not tunnels:
        return Result("ok", "no VXLAN of a CNI's on this host")
    if not cidr:
        return Result("unknown", "the overlay's range is not known")
    network = ipaddress.ip_network(cidr)
    outside, large = [], []
    for link in tunnels:
        local = _local(link)
        if local is None:
            continue  # Cilium's: each packet says where it goes
        if local not in network:
            outside.append(f"{link['ifname']} uses {local}")
        elif mtu and link.get("mtu", 0) > mtu - OVERHEAD[local.version]:
            large.append(f"{link['ifname']} {link['mtu']}")
    if outside:
        return Result("warning", f"pods' packets pass the overlay by: {named(outside)}",
                      "that address changes with the physical network: see `edge-build "
                      "cni-values`")  # fmt: skip
    if large:
        return Result("warning", f"the MTU is larger than fits: {named(large)}; the overlay's is "
                      f"{mtu}, and VXLAN adds {OVERHEAD[network.version]}",
                      "see `edge-build cni-values --mtu`")  # fmt: skip
    return Result("ok", f"{named([link['ifname'] for link in tunnels])}: on the overlay, and fits")


def _is_foreign_vxlan(link: dict[str, Any]) -> bool:
    kind = (link.get("linkinfo") or {}).get("info_kind")
    return bool(kind == "vxlan" and link.get("ifname") not in OUR_LINKS)


def _local(link: dict[str, Any]) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    data = link["linkinfo"].get("info_data") or {}
    try:
        return ipaddress.ip_address(data.get("local") or data.get("local6") or "")
    except ValueError:
        return None
