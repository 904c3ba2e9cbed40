"""What edge-overlay wrote for Kubernetes: kept, so that it can be mended and taken away again."""

from __future__ import annotations

import json
import logging
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

from overlay_runtime.files import write_atomic
from overlay_runtime.paths import Paths

log = logging.getLogger(__name__)

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


def load(paths: Paths) -> Record:
    """Read the record; an empty one if there is none that can be read."""
    try:
        found = json.loads((paths.state_dir / _NAME).read_bytes())
    except (OSError, ValueError):
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
