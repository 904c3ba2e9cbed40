"""Checks of the machine: its virtual switch, its NICs' drivers, its clock."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

from overlay_runtime.doctor.model import Host, Result, named, patience

_MACHINES = {"VMware": "VMware", "Microsoft Corporation": "Hyper-V", "QEMU": "QEMU",
             "innotek": "VirtualBox", "Xen": "Xen", "Nutanix": "Nutanix"}  # fmt: skip
_OFFLOADS = ("tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation")
_NOT_BEFORE = 1_735_689_600
"""2025-01-01: this program is younger."""


def promiscuous_mode(host: Host) -> Result:
    """Does a virtual switch keep from this machine what is for its NIC's second MAC address?"""
    vendor = host.read("sys/class/dmi/id/sys_vendor") or ""
    machine = next((name for key, name in _MACHINES.items() if vendor.startswith(key)), None)
    if machine is None:
        return Result("ok", "not a virtual machine of a known kind")
    odd = [text for nic in host.nics for text in _other_mac(host, nic)]
    if not odd:
        return Result("ok", f"on {machine}, and each NIC uses the MAC address it was given")
    peers = [p for p in host.up_peers if isinstance(p.get("heard"), dict)]
    by_broadcast = [p for p in peers if _lately(host, p, "broadcast")]
    by_unicast = [p for p in peers if _lately(host, p, "unicast")]
    if not host.running or not by_broadcast:
        return Result("unknown", f"on {machine}, {named(odd)}; no broadcast is heard to judge by")
    if by_unicast:
        return Result("ok", f"on {machine}, {named(odd)}, and unicasts come all the same")
    return Result(
        "fault", f"on {machine}, {named(odd)}; broadcasts are heard, unicasts never",
        "allow promiscuous mode, MAC address changes and forged transmits on the port group (on "
        "Hyper-V: MAC address spoofing), or use the NIC without a bridge",
    )  # fmt: skip


def _lately(host: Host, peer: dict[str, Any], how: str) -> bool:
    at = peer["heard"].get(how)
    return at is not None and host.now - at <= patience(peer)


def _other_mac(host: Host, nic: str) -> list[str]:
    """Tell which hardware below a NIC has another MAC address than the NIC itself."""
    used = host.read(f"sys/class/net/{nic}/address")
    permanent = {
        str(link["ifname"]): str(link.get("permaddr") or link.get("address"))
        for link in host.links
        if "ifname" in link
    }
    return [
        f"{nic} uses {used} over {name}, which was given {permanent[name]}"
        for name in _hardware(host, nic)
        if used and name in permanent and permanent[name] != used
    ]


def _hardware(host: Host, nic: str, depth: int = 4) -> list[str]:
    directory = host.root / "sys/class/net" / nic
    if (directory / "device").exists() or depth == 0:
        return [nic]
    below = sorted(path.name.removeprefix("lower_") for path in directory.glob("lower_*"))
    return [name for lower in below for name in _hardware(host, lower, depth - 1)]


def vmxnet3_offload(host: Host) -> Result:
    """Are the tunnel offloads of VMXNET3, which corrupt VXLAN packets, off?"""
    nics = [
        path.name
        for path in sorted((host.root / "sys/class/net").glob("*"))
        if _driver(path) == "vmxnet3"
    ]
    if not nics:
        return Result("ok", "no VMXNET3 NIC")
    on, dark = [], []
    for nic in nics:
        text = host.tool("ethtool", "--show-features", nic)
        if text is None:
            dark.append(nic)
            continue
        on += [f"{nic}: {f}" for f in _OFFLOADS if re.search(rf"^\s*{f}: on\b", text, re.MULTILINE)]
    if on:
        return Result("fault", f"on: {named(on)}", "run /usr/lib/edge-overlay/offload; it should "
                      "have run at boot: journalctl -t edge-overlay-offload")  # fmt: skip
    if dark:
        return Result("unknown", f"ethtool tells nothing about {named(dark)}")
    return Result("ok", f"off on {named(nics)}")


def _driver(nic: Path) -> str:
    try:
        return (nic / "device/driver").readlink().name
    except OSError:
        return ""


def clock(host: Host) -> Result:
    """Is the time right? The overlay needs no clock; logs and certificates do."""
    shown = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(host.wall))
    built = host.root / "usr/lib/os-release"
    try:
        least = max(_NOT_BEFORE, built.stat().st_mtime)
    except OSError:
        least = _NOT_BEFORE
    remedy = (
        "nothing of the overlay depends on it, but the times in logs are wrong, and TLS may fail: "
        "see that an NTP server can be reached: timedatectl"
    )
    if host.wall < least:
        return Result("warning", f"the clock says {shown}, before this image was made", remedy)
    if (host.root / "run/systemd/timesync").is_dir():
        if (host.root / "run/systemd/timesync/synchronized").exists():
            return Result("ok", f"synchronised, {shown}")
        return Result("warning", f"not synchronised since boot, {shown}", remedy)
    return Result("unknown", f"{shown}; systemd-timesyncd isn't in charge of the clock")
