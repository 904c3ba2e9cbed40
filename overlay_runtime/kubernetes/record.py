"""What edge-overlay wrote for Kubernetes: kept, so that it can be mended and taken away again."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from overlay_runtime.files import write_atomic
from overlay_runtime.paths import Paths

log = logging.getLogger(__name__)

_LONGEST_S = 10.0
_NAME = "kubernetes.json"
_PARTS = ("adopted", "files", "started")


@dataclass
class Record:
    """`adopted`: the distributions that live on the overlay, each with the address that it was
    set up with. `files`: the paths of ours, with the SHA-256 of what was written. `started`: the
    unit of each distribution that was started last."""

    adopted: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    started: dict[str, str] = field(default_factory=dict)


@contextmanager
def alone(paths: Paths, limit: float = _LONGEST_S) -> Iterator[None]:
    """Let nobody else read and write for so long: at a boot the service that keeps the files true
    and the start of Kubernetes come at one moment, and know different things.

    After `limit` seconds, and where nothing can be locked, it goes on all the same.
    """
    try:
        lock = os.open(paths.state_dir, os.O_RDONLY | os.O_DIRECTORY)
    except OSError:
        yield  # nothing was ever recorded, or nothing can be
        return
    try:
        ends = time.monotonic() + limit
        while not _locked(lock) and time.monotonic() < ends:
            time.sleep(0.05)
        yield
    finally:
        os.close(lock)


def _locked(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno != errno.EWOULDBLOCK
    return True


def load(paths: Paths) -> Record:
    """Read the record; an empty one if there is none that can be read."""
    try:
        found = json.loads((paths.state_dir / _NAME).read_bytes())
    except (OSError, ValueError, RecursionError):
        return Record()
    parts = [found.get(key) if isinstance(found, dict) else None for key in _PARTS]
    return Record(*({str(k): str(v) for k, v in part.items()} if isinstance(part, dict) else {}
                    for part in parts))  # fmt: skip


def readable(paths: Paths) -> bool:
    """Return whether this user may read the record: else nothing true can be said."""
    return not paths.state_dir.exists() or os.access(paths.state_dir, os.R_OK | os.X_OK)


def save(paths: Paths, record: Record) -> None:
    """Keep the record. Raises OSError: what can't be recorded must not be written either."""
    path: Path = paths.state_dir / _NAME
    data = json.dumps(asdict(record), indent=1).encode()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        if path.read_bytes() == data:
            return
    except OSError:
        pass
    write_atomic(path, data, 0o600)
