"""All facts together."""

from __future__ import annotations

import hmac
import secrets
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overlay_runtime.gotemplate.values import Struct
from overlay_runtime.sysinfo import firmware, hardware, software

_VERSION = "1.1.3"
"""Of zcalusic/sysinfo, whose keys these are."""
_LETTERS = "1234567890abcdefghijklmnopqrstuvwxyz"


def values(root: Path = Path("/")) -> dict[str, Any]:
    """Return what yip puts into `.Values` on this host. Takes a few milliseconds, never raises.

    `Random` is new at every call; yip has a new one in every rendering.
    What can't be read is left out, as in yip. Nothing is written (yip copies the machine-id between
    /etc and /var/lib/dbus where one of them lacks it).
    """
    bios = firmware.bios(root)
    memory, speed = firmware.memory(root)
    found = {
        "sysinfo": {"version": _VERSION, "timestamp": _now()},
        "node": software.node(root, bios.get("vendor", "")),
        "os": software.distribution(root),
        "kernel": software.kernel(root),
        "product": firmware.product(root),
        "board": firmware.board(root),
        "chassis": firmware.chassis(root),
        "bios": bios,
        "cpu": hardware.cpu(root, speed),
        "memory": memory,
        "storage": hardware.storage(root),
        "network": hardware.network(root),
    }
    for name in ("storage", "network"):
        if not found[name]:
            del found[name]
    return found | {"Random": _random(), "ProtectedID": _protected(root)}


def hostname_values(root: Path = Path("/")) -> dict[str, Any]:
    """Return what yip's `hostname` sees: the dot itself, not `.Values` (yip's hostname.go).

    It is a struct there, so that another field is an error, and a dict's class here that says so.
    """
    return Struct(
        {
            "UUID": str(uuid.uuid4()),
            "Random": _random(),
            "MachineID": software.machine_id(root) or "",
            "ProtectedID": _protected(root),
        }
    )


def _now() -> str:
    """The time as Go's JSON has it (RFC 3339)."""
    now = datetime.now(UTC).astimezone()
    whole, fraction = now.strftime("%Y-%m-%dT%H:%M:%S"), f"{now.microsecond:06d}".rstrip("0")
    zone = now.strftime("%z")
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:5]}"
    return f"{whole}.{fraction}{zone}" if fraction else whole + zone


def _random() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(32))


def _protected(root: Path) -> str:
    """The machine's id, hashed so that it can be shown (github.com/denisbrodbeck/machineid)."""
    known = software.machine_id(root)
    return "" if known is None else hmac.digest(known.encode(), b"yip", "sha256").hex()
