"""Bridges, bonds and VLANs as the kernel has them, and the systemd.netdev(5) files that make them
anew at the next boot. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overlay_runtime.errors import HostError
from overlay_runtime.host.nics import LiveNic

KINDS = ("bridge", "bond", "vlan")


def netdev(nic: LiveNic) -> str:
    """Return the .netdev file of a link of `KINDS`. Raises HostError for settings that ports would
    have to have, too: VLAN filtering of a bridge, ARP monitoring of a bond."""
    make = {"bridge": _bridge, "bond": _bond, "vlan": _vlan}[nic.kind]
    section = make(nic.name, nic.details)
    head = [("Name", nic.name), ("Kind", nic.kind)]
    if nic.kind != "vlan":  # a VLAN has its parent's
        head.append(("MACAddress", nic.mac))
    text = "# Written by `edge-overlay host prepare`, from what the kernel has.\n[NetDev]\n"
    return f"{text}{_lines(head)}\n[{_SECTIONS[nic.kind]}]\n{_lines(section)}"


_SECTIONS = {"bridge": "Bridge", "bond": "Bond", "vlan": "VLAN"}
_BY_HAND = "make it with systemd-networkd by hand (systemd.netdev(5)), then repeat"


def _bridge(name: str, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    if data.get("vlan_filtering"):
        raise HostError(f"the bridge {name} filters VLANs: that can't be carried over", _BY_HAND)
    times = {"ForwardDelaySec": "forward_delay", "HelloTimeSec": "hello_time",
             "MaxAgeSec": "max_age", "AgeingTimeSec": "ageing_time"}  # fmt: skip
    found = [("STP", "yes" if data.get("stp_state") else "no")]
    # In hundredths of a second (USER_HZ).
    found += [(key, f"{data[of] * 10}ms") for key, of in times.items() if of in data]
    if "priority" in data:
        found.append(("Priority", str(data["priority"])))
    if "mcast_snooping" in data:
        found.append(("MulticastSnooping", "yes" if data["mcast_snooping"] else "no"))
    return found


def _bond(name: str, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    if data.get("arp_interval"):
        raise HostError(f"the bond {name} watches by ARP: that can't be carried over", _BY_HAND)
    found = [("Mode", str(data["mode"]))]
    for key, of in (("MIIMonitorSec", "miimon"), ("UpDelaySec", "updelay"),
                    ("DownDelaySec", "downdelay")):  # fmt: skip
        if data.get(of):
            found.append((key, f"{data[of]}ms"))
    if data["mode"] in ("balance-xor", "802.3ad", "balance-tlb") and data.get("xmit_hash_policy"):
        found.append(("TransmitHashPolicy", str(data["xmit_hash_policy"])))
    if data["mode"] == "802.3ad" and data.get("ad_lacp_rate"):
        found.append(("LACPTransmitRate", str(data["ad_lacp_rate"])))
    if data.get("primary_reselect"):
        found.append(("PrimaryReselectPolicy", str(data["primary_reselect"])))
    return found


def _vlan(_name: str, data: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [("Id", str(data["id"])), ("Protocol", str(data.get("protocol", "802.1Q")).lower())]


def _lines(pairs: list[tuple[str, str]]) -> str:
    return "".join(f"{key}={value}\n" for key, value in pairs)
