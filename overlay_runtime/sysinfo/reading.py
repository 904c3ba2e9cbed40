"""Files of /sys, /proc and /etc, read as sysinfo's util.go does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

_TRIMMED = " \r\n\t\0\uffff"


def slurp(path: Path) -> str:
    """Return a file's text without spaces around it; empty if it can't be read."""
    try:
        return path.read_bytes().decode("utf-8", "replace").strip(_TRIMMED)
    except (OSError, ValueError):
        return ""


def lines(path: Path) -> list[str]:
    """Return a file's lines; none if it can't be read."""
    try:
        data = path.read_bytes()
    except (OSError, ValueError):
        return []
    return [line.removesuffix("\r") for line in data.decode("utf-8", "replace").split("\n")]


def link(path: Path) -> str:
    """Return where a symlink points to; empty if it is none."""
    try:
        return str(path.readlink())
    except (OSError, ValueError):
        return ""


def names(path: Path) -> list[str]:
    """Return the names in a directory, sorted; none if it can't be read."""
    try:
        return sorted(entry.name for entry in path.iterdir())
    except (OSError, ValueError):
        return []


def number(text: str) -> int:
    """Return a whole number without a sign (strconv.ParseUint); 0 if it is none."""
    return min(int(text), (1 << 64) - 1) if text.isascii() and text.isdigit() else 0


def kept(**fields: str | int) -> dict[str, Any]:
    """Make a block of `.Values`: what is empty or 0 is left out, numbers are floats."""
    return {
        name: value if isinstance(value, str) else float(value)
        for name, value in fields.items()
        if value
    }
