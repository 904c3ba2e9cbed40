"""The NICs of this host, as far as a description can name them."""

from __future__ import annotations

import fnmatch
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from overlay_runtime import OUR_LINKS

_SYS = Path("/sys/class/net")
_NETIF = Path("/run/systemd/netif")


@dataclass(frozen=True)
class Nic:
    """A NIC of the host, and what networkd says about it."""

    name: str
    mac: str
    driver: str
    carrier: bool
    network_file: str
    """Path of the .network file that networkd uses for it; empty without one."""
    leased: bool
    """Whether a DHCP server gave it an address."""
    routable: bool
    """Whether it has an address beyond the link, whoever gave it."""


def read_nics() -> dict[str, Nic]:
    """Return all NICs but the loopback and the overlay's own links, by name."""
    found = {}
    for index, name in socket.if_nameindex():
        if name == "lo" or name in OUR_LINKS:
            continue
        state = _state(index)
        found[name] = Nic(
            name,
            _text(_SYS / name / "address"),
            _driver(name),
            _text(_SYS / name / "carrier") == "1",
            state.get("NETWORK_FILE", ""),
            (_NETIF / "leases" / str(index)).exists(),
            state.get("OPER_STATE") == "routable",
        )
    return found


def matching(text: str, nics: Mapping[str, Nic]) -> list[Nic]:
    """Return the NICs that the [Match] section of a .network file means (systemd.network(5))."""
    section = text.partition("[Match]")[2].partition("\n[")[0]
    rules = dict(re.findall(r"^(\w+)=(.*)$", section, re.MULTILINE))
    return [nic for nic in nics.values() if _matches(nic, rules)] if rules else []


def _matches(nic: Nic, rules: Mapping[str, str]) -> bool:
    for key, value in rules.items():
        words = value.split()
        if key in ("Name", "OriginalName") and not _any(nic.name, words):
            return False
        if key == "Driver" and not _any(nic.driver, words):
            return False
        macs = [word.lower() for word in words]
        if key in ("PermanentMACAddress", "MACAddress") and nic.mac not in macs:
            return False
    return True


def _any(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _driver(name: str) -> str:
    try:
        return (_SYS / name / "device" / "driver").readlink().name
    except OSError:
        return ""


def _state(index: int) -> dict[str, str]:
    """What networkd writes for sd-network(3): lines KEY=VALUE."""
    lines = _text(_NETIF / "links" / str(index)).splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # carrier of a NIC that is down: EINVAL
        return ""
