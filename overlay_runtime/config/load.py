"""What the agent reads at its start: the user-data that `gather` chose, or the embedded one."""

from __future__ import annotations

import json
import traceback
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
        path = paths.embedded
        origin = sources["origin"] = sources["overlay"] = str(path)
    sources = {"overlay": origin, **sources}
    found = tuple(map(str, sources["problems"]))
    if not path.exists():
        note = f"there is no user-data: neither {paths.user_data} nor {paths.embedded}"
        notes = [*sources["notes"], note]
        return Loaded(None, "", found, {**sources, "overlay": None, "notes": notes})
    data = parse_user_data(read_text(path, origin), origin)
    return Loaded(data.overlay, origin, found, sources)


def fault_of(error: Exception) -> str:
    """Describe an error that nobody foresaw, for the journal and for status.

    By its kind and its place only: its message may quote user-data, and so the secret.
    """
    frames = traceback.extract_tb(error.__traceback__)
    way = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-6:]))
    return f"a fault of edge-overlay itself: {type(error).__name__} at {way}; please report it"


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
    """Return what `gather` wrote, as far as it can be read; `notes` and `problems` are lists."""
    try:
        written = json.loads(path.read_bytes())
    except (OSError, ValueError):
        written = {}
    found = written if isinstance(written, dict) else {}
    lists = {k: v if isinstance(v := found.get(k), list) else [] for k in ("notes", "problems")}
    return {**found, **lists}
