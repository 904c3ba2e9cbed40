"""What the kernel knows of the hardware: CPU, disks and NICs."""

from __future__ import annotations

import os
import re
import socket
import struct
from array import array
from fcntl import ioctl
from pathlib import Path
from typing import Any

from overlay_runtime.sysinfo.reading import kept, lines, link, names, number, slurp

_SIOCETHTOOL = 0x8946
_GSET = 1
_PORTS = ("tp", "aui", "mii", "fibre", "bnc")
_SPEEDS = (
    (0x78000000, 56000),
    (0x07800000, 40000),
    (0x00600000, 20000),
    (0x001C1000, 10000),
    (0x00008000, 2500),
    (0x00020030, 1000),
    (0x0000000C, 100),
    (0x00000003, 10),
)
"""ETHTOOL's bits of supported modes, and the fastest one's Mbit/s."""


def cpu(root: Path, speed: int) -> dict[str, Any]:
    """Return `.Values.cpu`: speed in MHz, cache in KB, the number of sockets, cores and threads."""
    vendor, model, cache, socket_ = "", "", 0, ""
    sockets: set[str] = set()
    cores: set[tuple[str, str]] = set()
    for line in lines(root / "proc/cpuinfo"):
        key, _, value = line.partition("\t: ")
        key = key.rstrip("\t")
        if key == "physical id":
            socket_ = value
            sockets.add(value)
        elif key == "core id":
            cores.add((socket_, value))
        elif key == "vendor_id":
            vendor = vendor or value
        elif key == "model name":
            model = model or re.sub(" +", " ", value).replace("- ", "-", 1)
        elif key == "cache size" and not cache and value.endswith(" KB"):
            cache = number(value.removesuffix(" KB"))
    return kept(
        vendor=vendor,
        model=model,
        speed=speed,
        cache=cache,
        cpus=len(sockets),
        cores=len(cores),
        threads=len(os.sched_getaffinity(0)),
    )


def storage(root: Path) -> list[Any]:
    """Return `.Values.storage`: the disks, size in GB; no floppies, CD drives, virtual devices."""
    found = []
    for name in names(root / "sys/block"):
        at = root / "sys/block" / name
        target = link(at)
        if not target or target.startswith(("../devices/virtual/", "../devices/platform/floppy")):
            continue
        if slurp(at / "device/type") == "5":
            continue
        vendor = slurp(at / "device/vendor")
        found.append(
            kept(
                name=name,
                driver=os.path.basename(link(at / "device/driver")),  # noqa: PTH119
                vendor="" if vendor.startswith("0x") else vendor,
                model=slurp(at / "device/model"),
                serial=_serial(root, name, slurp(at / "dev")),
                size=number(slurp(at / "size")) // 1953125,
            )
        )
    return found


def _serial(root: Path, name: str, device: str) -> str:
    """The serial number in udev's database."""
    files = [root / "dev/.udev/db" / f"block:{name}"]
    if device:
        files.insert(0, root / "run/udev/data" / f"b{device}")
    for file in files:
        if file.is_file():
            for line in lines(file):
                key, _, value = line.partition("=")
                if key == "E:ID_SERIAL_SHORT" and "=" not in value:
                    return value
            return ""
    return ""


def network(root: Path) -> list[Any]:
    """Return `.Values.network`: the NICs that are no virtual devices, speed in Mbit/s."""
    found = []
    for name in names(root / "sys/class/net"):
        at = root / "sys/class/net" / name
        target = link(at)
        if not target or target.startswith("../../devices/virtual/"):
            continue
        modes = _modes(name)
        found.append(
            kept(
                name=name,
                driver=os.path.basename(link(at / "device/driver")),  # noqa: PTH119
                macaddress=slurp(at / "address"),
                port="/".join(p for bit, p in enumerate(_PORTS, 7) if modes >> bit & 1),
                speed=next((speed for bits, speed in _SPEEDS if modes & bits), 0),
            )
        )
    return found


def _modes(name: str) -> int:
    """What a NIC supports: `supported` of struct ethtool_cmd (linux/ethtool.h); 0: unknown."""
    command = array("B", struct.pack("I40x", _GSET))
    request = struct.pack("16sP", name.encode()[:15], command.buffer_info()[0])
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            ioctl(sock, _SIOCETHTOOL, request)
    except OSError:
        return 0
    return int.from_bytes(command.tobytes()[4:8], "little")
