"""Kubernetes' units, as their files say: what they run, and whether they are started at boot."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from overlay_runtime.kubernetes.reading import text_of

_FOLDERS = (
    "etc/systemd/system",
    "run/systemd/system",
    "usr/local/lib/systemd/system",
    "usr/lib/systemd/system",
    "lib/systemd/system",
)
"""systemd.unit(5), from the strongest to the weakest."""

OURS = "50-edge-overlay.conf"


def fragment(root: Path, unit: str) -> Path | None:
    """Return the unit's file, or None if there is no such unit. A masked one is none."""
    for folder in _FOLDERS:
        path = root / folder / unit
        if path.is_symlink() and str(path.readlink()) == "/dev/null":
            return None
        if path.is_file():
            return path
    return None


def enabled(root: Path, unit: str) -> bool:
    """Return whether a target wants the unit: `systemctl enable` makes such a link."""
    etc = root / "etc/systemd/system"
    return any(True for kind in ("wants", "requires") for _ in etc.glob(f"*.{kind}/{unit}"))


def drop_ins(root: Path, unit: str) -> list[Path]:
    """Return the unit's drop-ins in the order in which they count; ours are left out."""
    found: dict[str, Path] = {}
    for folder in reversed(_FOLDERS):
        for path in (root / folder / f"{unit}.d").glob("*.conf"):
            found[path.name] = path
    return [found[name] for name in sorted(found) if name != OURS]


def command(root: Path, unit: str) -> list[str]:
    """Return the words of the unit's ExecStart=, or [] if there is none to be read."""
    words: list[str] = []
    for path in (fragment(root, unit), *drop_ins(root, unit)):
        for name, value in assignments(path):
            if name == "ExecStart":
                words = split(value)
    return words


def flags(words: list[str]) -> dict[str, list[str]]:
    """Return what a command line says by flags, `--name value` or `--name=value`.

    A flag without a value is "true". Short flags and what stands before the flags are left out.
    """
    found: dict[str, list[str]] = {}
    for at, word in enumerate(words):
        name, equals, value = word.lstrip("-").partition("=")
        if not word.startswith("--") or not name:
            continue
        if not equals:
            after = words[at + 1] if at + 1 < len(words) else ""
            value = "true" if not after or after.startswith("-") else after
        found.setdefault(name, []).append(value)
    return found


def assignments(path: Path | None) -> list[tuple[str, str]]:
    """Return the assignments of a unit's file, in their order."""
    if path is None:
        return []
    joined = re.sub(r"\\\n", " ", text_of(path))
    pairs = [line.partition("=") for line in joined.splitlines()]
    return [(name.strip(), value.strip()) for name, sign, value in pairs if sign]


def split(text: str) -> list[str]:
    """Return the words of a value, without quotes and ExecStart='s prefixes."""
    try:
        return shlex.split(text.lstrip("-+!:@|"))
    except ValueError:
        return text.split()
