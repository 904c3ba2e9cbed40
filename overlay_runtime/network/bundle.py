"""A whole configuration: its files, and what must hold on site for it to be right."""

from __future__ import annotations

import hashlib
import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from overlay_runtime.address import IPAddress

PREFIX = "zz-10-edge-"
"""Of networkd's files. The first file that matches a NIC wins, by name: an operator's own in
/etc/systemd/network comes before ours, whatever it is called, and `zz-20-edge-dhcp` after."""

LINK_PREFIX = "10-edge-"
"""Of udev's .link files: before 99-default.link, which matches everything."""

NETWORK_DIR = "systemd/network"
RESOLVED = "systemd/resolved.conf.d/20-edge-network.conf"

_OURS = re.compile(rf"{NETWORK_DIR}/({PREFIX}|{LINK_PREFIX})[^/\s]+(\.d/[^/\s]+\.conf)?")


@dataclass(frozen=True)
class Device:
    """A device of the configuration, and what can be looked at to see whether it is right."""

    name: str
    """As the operator calls it; not the NIC's name if it is matched by something else."""
    where: str
    """file:line:column of its description."""
    gateways: tuple[IPAddress, ...] = ()
    """Default gateways that are written down."""
    static: bool = False
    dhcp: bool = False
    member: bool = False
    """Of a bond or bridge: it has no addresses of its own."""
    optional: bool = False
    """Whether the host may do without it."""

    @property
    def files(self) -> tuple[str, str]:
        """The .network files that apply to it, the second by a changeable MAC address."""
        return f"{PREFIX}{self.name}.network", f"{PREFIX}{self.name}~mac.network"


@dataclass(frozen=True)
class Bundle:
    """A configuration. `files`: text by path below /run. Its repr hides what may be secret."""

    origin: str
    devices: tuple[Device, ...] = ()
    files: Mapping[str, str] = field(default_factory=dict, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables of proxies: a URL may hold a password."""

    @property
    def digest(self) -> str:
        """The same for configurations that do the same, wherever they were read."""
        whole = json.dumps([sorted(self.files.items()), sorted(self.environment.items())])
        return hashlib.sha256(whole.encode()).hexdigest()

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "origin": self.origin,
            "files": dict(self.files),
            "environment": dict(self.environment),
            "devices": [
                {"name": one.name, "where": one.where, "static": one.static, "dhcp": one.dhcp,
                 "member": one.member, "optional": one.optional,
                 "gateways": [str(gateway) for gateway in one.gateways]}
                for one in self.devices
            ],
        }  # fmt: skip


def read_bundle(content: Mapping[str, Any]) -> Bundle:
    """Read what `as_dict` made. Raises KeyError, TypeError or ValueError if it is something else.

    Paths other than those of our own files are a ValueError.
    """
    files = {str(path): str(text) for path, text in dict(content["files"]).items()}
    if not all(path == RESOLVED or _OURS.fullmatch(path) for path in files):
        raise ValueError("a path that is none of ours")
    devices = tuple(
        Device(str(one["name"]), str(one["where"]),
               tuple(ipaddress.ip_address(gateway) for gateway in one["gateways"]),
               bool(one["static"]), bool(one["dhcp"]), bool(one["member"]),
               bool(one.get("optional")))
        for one in content["devices"]
    )  # fmt: skip
    environment = {str(name): str(value) for name, value in dict(content["environment"]).items()}
    return Bundle(str(content["origin"]), devices, files, environment)
