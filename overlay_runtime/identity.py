"""Who this host is: from its hardware, so that a host without a disk is the same after a reboot."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from overlay_runtime.errors import OverlayError

IDENTITY_ENV = "EDGE_OVERLAY_IDENTITY"

_PLACEHOLDER_UUIDS = {
    "00000000-0000-0000-0000-000000000000",
    "ffffffff-ffff-ffff-ffff-ffffffffffff",
    "03000200-0400-0500-0006-000700080009",  # AMI's sample, shipped on whole series of boards
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "11111111-2222-3333-4444-555555555555",
}
_PLACEHOLDER_SERIALS = {
    "", "0", "none", "n/a", "na", "unknown", "default string", "not specified", "not applicable",
    "to be filled by o.e.m.", "system serial number", "base board serial number", "123456789",
    "0123456789", "invalid", "serial number", "oem", "not available",
}  # fmt: skip


@dataclass(frozen=True)
class Identity:
    """A host's identity. `text` is stored and seeds everything; `source` says where it is from."""

    text: str
    source: str

    @property
    def host_id(self) -> str:
        """16 hex digits that name this host in beacons and in status. Reveals no serial number."""
        return hashlib.sha256(f"edge-overlay host v1\n{self.text}".encode()).hexdigest()[:16]

    def mac(self, link: str) -> str:
        """Return the MAC address of one of our links: locally administered, unicast, stable."""
        digest = hashlib.sha256(f"edge-overlay mac v1\n{self.text}\n{link}".encode()).digest()
        octets = bytes([digest[0] & 0xFC | 0x02]) + digest[1:6]
        return ":".join(f"{octet:02x}" for octet in octets)


def find_identity(root: Path = Path("/"), override: str | None = None) -> Identity:
    """Find this host's identity; `override` or the environment's EDGE_OVERLAY_IDENTITY win.

    Order: DMI's product UUID, serial numbers, the permanent MAC of a physical NIC, machine-id. In a
    container DMI is the machine's, the same for all containers, so it isn't asked there.
    Raises OverlayError if the host has none of them.
    """
    chosen = override or os.environ.get(IDENTITY_ENV)
    if chosen:
        return Identity(f"given:{chosen}", "given")
    finders = [_machine_id, _container_mac] if in_container(root) else [
        _product_uuid, _serials, _physical_mac, _machine_id
    ]  # fmt: skip
    for finder in finders:
        found = finder(root)
        if found:
            return found
    raise OverlayError(
        "this host has no identity: no DMI data, no physical NIC, no machine-id",
        f"set {IDENTITY_ENV} in the service's environment",
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip().strip("\0")
    except OSError:
        return ""


def in_container(root: Path) -> bool:
    """Tell whether this is a container, by the signs that systemd-detect-virt(1) looks for."""
    return bool(
        os.environ.get("container")  # noqa: SIM112 (systemd spells it so)
        or _read(root / "run/systemd/container")
        or (root / ".dockerenv").exists()
    )


def _product_uuid(root: Path) -> Identity | None:
    uuid = _read(root / "sys/class/dmi/id/product_uuid").lower()
    whole = re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", uuid)
    if not whole or uuid in _PLACEHOLDER_UUIDS or len(set(uuid.replace("-", ""))) < 3:
        return None
    return Identity(f"uuid:{uuid}", "DMI product UUID")


def _serials(root: Path) -> Identity | None:
    for serial, name in (
        ("product_serial", "product_name"),
        ("board_serial", "board_name"),
        ("chassis_serial", "chassis_vendor"),
    ):
        value = _read(root / "sys/class/dmi/id" / serial)
        if value.lower() not in _PLACEHOLDER_SERIALS and len(set(value)) > 2:
            # The name goes with it: two makers may well number from the same start.
            vendor = _read(root / "sys/class/dmi/id" / name)
            return Identity(f"serial:{vendor}:{value}", f"DMI {serial.replace('_', ' ')}")
    return None


def _physical_mac(root: Path) -> Identity | None:
    """The lowest burnt-in address: sorted by the address, as names change with the slot."""
    macs = []
    for link in sorted((root / "sys/class/net").glob("*")):
        # 0 is NET_ADDR_PERM: neither random nor set by someone; `device` means real hardware.
        if (link / "device").exists() and _read(link / "addr_assign_type") == "0":
            macs.append(_read(link / "address").lower())
    macs = [mac for mac in macs if re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", mac)]
    macs = [mac for mac in macs if mac != "00:00:00:00:00:00"]
    return Identity(f"mac:{min(macs)}", "NIC's permanent MAC address") if macs else None


def _container_mac(root: Path) -> Identity | None:
    mac = _read(root / "sys/class/net/eth0/address").lower()
    return Identity(f"mac:{mac}", "MAC address of eth0") if mac else None


def _machine_id(root: Path) -> Identity | None:
    text = _read(root / "etc/machine-id").lower()
    if not re.fullmatch(r"[0-9a-f]{32}", text) or len(set(text)) < 3:
        return None
    return Identity(f"machine-id:{text}", "machine-id")
