"""netplan: its YAML files, and what its generator made of them in /run for networkd."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from overlay_runtime.errors import HostError
from overlay_runtime.host.transaction import Wanted

CONFIG, BACKUP = "etc/netplan", "etc/netplan/backup"
_GENERATED = "run/systemd/network"
_STRANGE = {"netplan-wpa-": "Wi-Fi or 802.1X", "netplan-sriov": "SR-IOV", "netplan-ovs-":
            "Open vSwitch"}  # fmt: skip


def yaml_files(root: Path) -> list[Path]:
    """Return netplan's files in /etc, sorted."""
    return sorted((root / CONFIG).glob("*.yaml"))


def refuse_strange(root: Path) -> None:
    """Raise HostError for what netplan does by other means than networkd or NetworkManager."""
    for unit in sorted((root / "run/systemd/system").glob("netplan-*.service")):
        for start, what in _STRANGE.items():
            if unit.name.startswith(start) and unit.name != "netplan-ovs-cleanup.service":
                raise HostError(
                    f"netplan has {what} in use ({unit.name}): that can't be carried over",
                    "take it out of /etc/netplan and do it by hand (wpa_supplicant(8), "
                    "systemd.link(5)), then `netplan apply` and repeat",
                )


def moved(root: Path) -> list[Wanted]:
    """Return the moves of the YAML files to the backup directory, whatever lies there already."""
    wanted = []
    for path in yaml_files(root):
        found = path.stat()
        target = root / BACKUP / path.name
        number = 0
        while target.exists():
            number += 1
            target = root / BACKUP / f"{path.name}.{number}"
        owner: dict[str, Any] = {
            "mode": found.st_mode & 0o7777,
            "uid": found.st_uid,
            "gid": found.st_gid,
        }
        wanted.append(Wanted(target, path.read_bytes(), mtime=found.st_mtime_ns, **owner))
        wanted.append(Wanted(path))
    return wanted


def generated(root: Path) -> list[Path]:
    """Return what the generator wrote for networkd and udev, sorted."""
    places = (_GENERATED, "run/udev/rules.d")
    found = {path for place in places for path in (root / place).glob("*netplan*")}
    # 90-netplan.rules only tells NetworkManager what isn't its own.
    found = {path for path in found if path.name != "90-netplan.rules"}
    inside = {path for directory in found for path in directory.rglob("*")}
    return sorted(path for path in found | inside if path.is_file())


def taken_over(root: Path) -> list[Wanted]:
    """Return the generated files under the same names in /etc: the exact truth, kept.

    The same name counts before that in /run, so that networkd sees no difference.
    """
    wanted = []
    for path in generated(root):
        found = path.stat()
        inner = path.relative_to(root / "run")
        owner: dict[str, Any] = {
            "mode": found.st_mode & 0o7777,
            "uid": found.st_uid,
            "gid": found.st_gid,
        }
        wanted.append(Wanted(root / "etc" / inner, path.read_bytes(), **owner))
    return wanted
