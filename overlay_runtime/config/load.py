"""What the agent reads at its start: the user-data that `gather` chose, or the embedded one."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overlay_runtime.config.schema import OverlayConfig, parse_user_data
from overlay_runtime.errors import ConfigError, Position, Problem
from overlay_runtime.paths import Paths


@dataclass(frozen=True)
class Loaded:
    """The overlay block and where it is from. `config` is None if there is no such block."""

    config: OverlayConfig | None
    origin: str
    problems: tuple[str, ...] = ()
    """What `gather` found wrong about other sources, in words."""
    sources: dict[str, Any] = field(default_factory=dict)


def load(paths: Paths) -> Loaded:
    """Read the overlay block. Raises ConfigError, whose places are in the file of origin."""
    sources = _sources(paths.sources)
    path, origin = paths.user_data, str(sources.get("origin", paths.user_data))
    if not path.exists():
        path, origin, sources = paths.embedded, str(paths.embedded), {}
    sources = {"overlay": origin, "notes": [], **sources}
    if not path.exists():
        note = f"there is no user-data: neither {paths.user_data} nor {paths.embedded}"
        return Loaded(None, "", (), {**sources, "overlay": None, "notes": [note]})
    data = parse_user_data(read_text(path, origin), origin)
    return Loaded(data.overlay, origin, tuple(sources.get("problems", ())), sources)


def read_text(path: Path, origin: str) -> str:
    """Read a text file; what can't be read is a ConfigError that names `origin`."""
    try:
        return decode_text(path.read_bytes(), origin)
    except OSError as error:
        problem = Problem(Position(origin, 1, 1), f"can't be read: {error.strerror}", "", "")
        raise ConfigError([problem]) from None


def decode_text(data: bytes, origin: str) -> str:
    """Decode UTF-8; bytes that aren't are a ConfigError with their place in `origin`."""
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        at = Position(origin, before.count(b"\n") + 1, error.start - before.rfind(b"\n"))
        problem = Problem(at, "bytes that are not UTF-8 text", "UTF-8", "save the file as UTF-8")
        raise ConfigError([problem]) from None


def _sources(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
