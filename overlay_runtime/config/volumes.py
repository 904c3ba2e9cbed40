"""Volumes with user-data: an ISO or a stick labelled `cidata`, as cloud-init's NoCloud defines."""

from __future__ import annotations

import contextlib
import logging
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

FILES = ("user-data", "meta-data", "network-config", "vendor-data")
"""What is taken from a volume; everything else on it is none of our business."""

_LABELS = ("cidata", "CIDATA")
_OPTIONS = "ro,nosuid,nodev,noexec"
_FILE_SYSTEMS = ("iso9660", "vfat")
_LONGEST = 4 << 20
_TIMEOUT = 15.0


@dataclass(frozen=True)
class Volume:
    """A volume's files: name → content. Empty with `fault` if it could not be read."""

    device: str
    files: dict[str, bytes]
    fault: str | None = None


def find_volume(root: Path = Path("/")) -> Volume | None:
    """Return the cidata volume, or None if there is none. Never raises: a boot must go on.

    Looks twice: if there is none at first, udev may not be through with the devices yet.
    """
    device = _device(root)
    if device is None and root == Path("/"):
        _run("udevadm", "settle", "--timeout=10")
        device = _device(root)
    if device is None:
        return None
    log.info("user-data volume found: device=%s", device)
    return _read(device, root)


def _device(root: Path) -> Path | None:
    for label in _LABELS:
        link = root / "dev/disk/by-label" / label
        if link.exists():
            return link.resolve()
    if root != Path("/"):
        return None
    for label in _LABELS:  # without udev (a container, an early boot) there are no such links
        found = _run("blkid", "-t", f"LABEL={label}", "-o", "device").split()
        if found:
            return Path(sorted(found)[0])
    return None


def _read(device: Path, root: Path) -> Volume:
    if device.is_dir():  # a tree in the place of a volume, for tests
        return Volume(str(device), _copy(device))
    run = root / "run"
    run.mkdir(exist_ok=True)
    # A directory of root's own; the unit has PrivateMounts=yes, so nobody else sees the mount.
    with tempfile.TemporaryDirectory(prefix="edge-overlay-cidata.", dir=run) as mount_point:
        fault = _mount(device, mount_point)
        if fault:
            return Volume(str(device), {}, fault)
        try:
            return Volume(str(device), _copy(Path(mount_point)))
        except OSError as error:  # a scratched disc, a stick pulled out
            return Volume(str(device), {}, str(error))
        finally:
            _run("umount", "--lazy", mount_point)


def _mount(device: Path, mount_point: str) -> str | None:
    """Mount with the file systems that may be there, and no other: each is code in the kernel."""
    faults = []
    for kind in _FILE_SYSTEMS:
        command = ("mount", "-t", kind, "-o", _OPTIONS, str(device), mount_point)
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if done.returncode == 0:
            return None
        words = (done.stderr.strip() or "mount failed").splitlines()[0]
        faults.append(f"{kind}: {words}")
    return "; ".join(faults)


def _copy(directory: Path) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for entry in sorted(directory.iterdir()):
        # vfat has no case, and some tools write USER-DATA.
        name = entry.name.lower().rstrip(".")
        if name in FILES and not entry.is_symlink() and entry.is_file():
            with entry.open("rb") as file:
                files.setdefault(name, file.read(_LONGEST))
    return files


def _run(*command: str | Path) -> str:
    arguments: Sequence[str] = [str(part) for part in command]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=_TIMEOUT)
        return done.stdout
    return ""
