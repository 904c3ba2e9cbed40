"""What the running system says: the node, the distribution and the kernel."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from overlay_runtime.sysinfo.cpuid import hypervisor
from overlay_runtime.sysinfo.reading import kept, lines, link, slurp

_ZONES = "/usr/share/zoneinfo/"
_VERSION = re.compile(r"[( ]([\d.]+)", re.ASCII)
_RELEASES = {
    "almalinux": ("etc/almalinux-release", re.compile(r"AlmaLinux release ([\d.]+)", re.ASCII)),
    "centos": ("etc/centos-release", re.compile(r"CentOS(?: Linux)? release ([\d.]+)", re.ASCII)),
    "rocky": ("etc/rocky-release", re.compile(r"Rocky Linux release ([\d.]+)", re.ASCII)),
}


def machine_id(root: Path) -> str | None:
    """Return the machine's id, systemd's or else D-Bus's; None where neither file is there."""
    found = [root / "etc/machine-id", root / "var/lib/dbus/machine-id"]
    text = next((text for path in found if (text := slurp(path))), "")
    return text if text or any(path.is_file() for path in found) else None


def node(root: Path, bios_vendor: str) -> dict[str, Any]:
    """Return `.Values.node`."""
    return kept(
        hostname=slurp(root / "proc/sys/kernel/hostname"),
        machineid=machine_id(root) or "",
        hypervisor=hypervisor(slurp(root / "sys/hypervisor/type"), bios_vendor),
        timezone=_timezone(root),
    )


def _timezone(root: Path) -> str:
    target = link(root / "etc/localtime").removeprefix("..")
    if target.startswith(_ZONES):
        return target.removeprefix(_ZONES)
    zone = slurp(root / "etc/timezone")
    if zone:
        return zone
    for line in lines(root / "etc/sysconfig/clock"):
        key, *rest = line.split("=")
        if key == "ZONE" and len(rest) == 1:
            return rest[0].strip('"')
    return ""


def distribution(root: Path) -> dict[str, Any]:
    """Return `.Values.os`. The architecture is known of x86 alone, as in yip."""
    architecture = ""
    if (root / "lib64/ld-linux-x86-64.so.2").exists():
        architecture = "amd64"
    elif (root / "lib/ld-linux.so.2").exists():
        architecture = "i386"
    keys = {"PRETTY_NAME": "", "ID": "", "VERSION_ID": ""}
    for line in lines(root / "etc/os-release"):
        key, equals, value = line.partition("=")
        if equals and key in keys:
            keys[key] = value.strip('"')
    name, vendor, version = keys.values()
    release = _release(root, name, vendor)
    if vendor in ("almalinux", "rocky"):
        version = release.split(".")[0]
    return kept(
        name=name, vendor=vendor, version=version, release=release, architecture=architecture
    )


def _release(root: Path, name: str, vendor: str) -> str:
    found = None
    if vendor == "debian":
        return slurp(root / "etc/debian_version")
    if vendor == "ubuntu":
        found = _VERSION.search(name)
    elif vendor == "rhel":
        found = _VERSION.search(slurp(root / "etc/redhat-release")) or _VERSION.search(name)
    elif vendor in _RELEASES:
        file, pattern = _RELEASES[vendor]
        found = pattern.match(slurp(root / file))
    return found[1] if found else ""


def kernel(root: Path) -> dict[str, Any]:
    """Return `.Values.kernel`."""
    return kept(
        release=slurp(root / "proc/sys/kernel/osrelease"),
        version=slurp(root / "proc/sys/kernel/version"),
        architecture=os.uname().machine,
    )
