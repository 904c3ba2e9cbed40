"""Checks of the way across the overlay, by probes (`probe.py`)."""

from __future__ import annotations

from typing import Any

from overlay_runtime import OUR_LINKS
from overlay_runtime.doctor.filters import blocking_rules
from overlay_runtime.doctor.model import Host, Result, Verdict, named, unknown_without_agent, who
from overlay_runtime.doctor.ports import holders
from overlay_runtime.table import kubernetes_mtu


def vxlan_port_blocked(host: Host) -> Result:
    """Do packets get across the overlay to hosts whose beacons come?"""
    if answer := unknown_without_agent(host):
        return answer
    port = host.overlay["port"]
    others = _other_vxlans(host, port)
    missing = OUR_LINKS - {x.get("ifname") for x in host.links if "UP" in x.get("flags", ())}
    if others and missing:
        return Result(
            "fault", f"another VXLAN device of this host uses UDP port {port}: {named(others)}; "
            f"{named(sorted(missing))} can't be used",
            "two can't share one: set another `port` on every host, or another for that one "
            "(Calico: vxlanPort; flannel: Backend.Port)",
        )  # fmt: skip
    if missing and (process := named([f"{n} ({p})" for p, n in holders(host, port).items()])):
        return Result("fault", f"UDP port {port} is taken by {process}; {named(sorted(missing))} "
                      "can't be used", "end that process, or set another `port` on every "
                      "host")  # fmt: skip
    peers = _probed(host)
    silent = [who(p) for p in peers if host.probes and not host.probes[p["id"]].small]
    # Packets that get across tell more than rules do, which others may come before.
    blocking = blocking_rules(host, port, some=bool(silent)) if silent or not peers else []
    if blocking:
        across = f"; no packet gets across to {named(silent)}" if silent else ""
        return Result(
            "fault", f"a packet filter of this host drops UDP port {port}: {blocking[0]}{across}",
            f"allow UDP port {port} in and out",
        )  # fmt: skip
    if host.probes is None or not peers:
        return Result("unknown", host.why_no_probes or "no other host is heard")
    if not silent:
        return Result("ok", f"packets get across to {len(peers)} of {len(peers)} hosts probed")
    remedy = (
        f"allow UDP port {port} between the hosts, beside {port + 1} of the beacons: firewalls, "
        "security groups, the hosts' own filters; or the host doesn't answer pings on scbr-100"
    )
    return Result("fault", f"beacons come, but no packet gets across to {named(silent)}", remedy)


def path_mtu(host: Host) -> Result:
    """Does a packet of full size get across to each host?"""
    if answer := unknown_without_agent(host):
        return answer
    peers = [p for p in _probed(host) if host.probes and host.probes[p["id"]].small]
    mtu = host.overlay.get("mtu")
    if not peers or host.probes is None or not mtu:
        return Result("unknown", host.why_no_probes or "no host answers probes")
    narrow = [(p, host.probes[p["id"]].largest) for p in peers]
    narrow = [(p, largest) for p, largest in narrow if largest < mtu]
    if not narrow:
        return Result("ok", f"packets of {mtu} bytes get across to {len(peers)} hosts")
    texts = [f"{who(p)} {largest} bytes" for p, largest in narrow]
    least = min(largest for _, largest in narrow)
    known = all(_known_to_agent(p, largest) for p, largest in narrow)
    verdict: Verdict = "warning" if known else "fault"
    adapts = "the overlay keeps to it by itself; " if known else ""
    use = min(least, kubernetes_mtu(host.status) or least)
    return Result(
        verdict, f"of {mtu} bytes too few get across: {named(texts)}",
        f"{adapts}raise the MTU on the switches and VLANs between, or set `mtu: {use}` on every "
        "host, and the CNI's MTU accordingly",
    )  # fmt: skip


def _known_to_agent(peer: dict[str, Any], largest: int) -> bool:
    over = 50 if peer["transport"] == "ipv4" else 70
    known = peer.get("path_mtu")
    return known is not None and known - over <= largest


def _probed(host: Host) -> list[dict[str, Any]]:
    return [p for p in host.up_peers if host.probes and p["id"] in host.probes]


def _other_vxlans(host: Host, port: int) -> list[str]:
    found = []
    for link in host.links:
        info = link.get("linkinfo") or {}
        data = info.get("info_data") or {}
        if info.get("info_kind") == "vxlan" and data.get("port") == port:
            found.append(str(link.get("ifname")))
    return [name for name in found if name not in OUR_LINKS]
