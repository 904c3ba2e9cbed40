"""Volumes with user-data: an ISO or a stick labelled `cidata`, as cloud-init's NoCloud defines."""

from __future__ import annotations

import contextlib
import logging
import os
import pickle
import select
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from overlay_runtime.config.load import fault_of

log = logging.getLogger(__name__)

FILES = ("user-data", "meta-data", "network-config", "vendor-data")
"""What is taken from a volume; everything else on it is none of our business."""

CIDATA = "cidata:/user-data"
_LABELS = ("cidata", "CIDATA")
_OPTIONS = "ro,nosuid,nodev,noexec"
_FILE_SYSTEMS = ("iso9660", "vfat")
_LONGEST = 4 << 20
_PATIENCE = 40.0
"""Seconds for everything that touches discs: a CD needs 20 to spin up. Less than TimeoutStartSec in
edge-overlay-gather.service."""


@dataclass(frozen=True)
class Volume:
    """A volume's files: name → content. Empty with `fault` if it could not be read."""

    device: str
    files: dict[str, bytes]
    fault: str | None = None
    origin: str = CIDATA
    """How messages call its user-data."""


def find_volume(root: Path = Path("/")) -> Volume | None:
    """Return the cidata volume, or None if there is none. Never raises: a boot must go on.

    A disc that hangs leaves who touches it in a sleep from which no signal wakes (state D), and
    whoever waits for that process sleeps as long. So a child does all that touches discs, and is
    given up when it takes too long.
    """
    try:
        reader, writer = os.pipe()
        child = os.fork()
    except OSError as error:
        return Volume("cidata", {}, str(error))
    if child == 0:
        _be_the_child(root, writer)
    os.close(writer)
    answer = _receive(reader)
    os.close(reader)
    if answer is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        os.waitpid(child, os.WNOHANG)
        return Volume("cidata", {}, f"no answer within {_PATIENCE:.0f} s")
    os.waitpid(child, 0)
    if not answer:
        return Volume("cidata", {}, "its reader died")
    volume: Volume | None = pickle.loads(answer)  # from our own child
    return volume


def _be_the_child(root: Path, writer: int) -> None:
    """Look for the volume, send what is found, and end without any of the parent's clean-up."""
    try:
        os.setpgid(0, 0)  # so that mount(8) can be killed with it
        with os.fdopen(writer, "wb") as pipe:
            pickle.dump(_find(root), pipe)
    except Exception as error:  # noqa: BLE001 # the parent must never go on in the child
        log.error("%s", fault_of(error))
    finally:
        os._exit(0)


def _receive(reader: int) -> bytes | None:
    """Return all that comes until the other end is closed; None if that takes too long."""
    deadline = time.monotonic() + _PATIENCE
    parts: list[bytes] = []
    while select.select([reader], [], [], max(0.0, deadline - time.monotonic()))[0]:
        part = os.read(reader, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
    return None


def _find(root: Path) -> Volume | None:
    """Look twice: if there is none at first, udev may not be through with the devices yet."""
    device = _device(root)
    if device is None and root == Path("/"):
        _run("udevadm", "settle", "--timeout=10")
        device = _device(root)
    if device is None:
        return None
    log.info("user-data volume found: device=%s", device)
    try:
        return _read(device, root)
    except OSError as error:  # a scratched disc, a stick pulled out, a full /run
        return Volume(str(device), {}, str(error))


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
    mount_point = tempfile.mkdtemp(prefix="edge-overlay-cidata.", dir=run)
    try:
        fault = _mount(device, mount_point)
        if fault:
            return Volume(str(device), {}, fault)
        try:
            return Volume(str(device), _copy(Path(mount_point)))
        finally:
            _run("umount", "--lazy", mount_point)
    finally:
        with contextlib.suppress(OSError):  # files that were read count more than a tidy /run
            Path(mount_point).rmdir()


def _mount(device: Path, mount_point: str) -> str | None:
    """Mount with the file systems that may be there, and no other: each is code in the kernel."""
    faults = []
    for kind in _FILE_SYSTEMS:
        command = ("mount", "-t", kind, "-o", _OPTIONS, str(device), mount_point)
        done = subprocess.run(command, capture_output=True, text=True, errors="replace")
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
    with contextlib.suppress(OSError):
        return subprocess.run(arguments, capture_output=True, text=True, errors="replace").stdout
    return ""
