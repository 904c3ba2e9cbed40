"""YAML files with places for values: those of `image-templates/edge/usr/lib/edge-overlay`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from overlay_runtime.paths import find_paths

Scalar = str | int | None

_PLACE = re.compile(r"\$([a-z0-9_]+)")
_PART = re.compile(r"( *)\$([a-z0-9_]+)")


def library() -> Path:
    """Return where the host has the files that lie beside the runtime."""
    return find_paths().library


def fill(text: str, values: Mapping[str, Scalar], parts: Mapping[str, str] | None = None) -> str:
    """Put values into a template, each where `$name` stands.

    Text is quoted as YAML and JSON have it, so that no value becomes another type or more than a
    value. A line that names a value which is None is left out, with the comment right above it.
    Where `$name` stands alone on a line, the lines of `parts` take its place as they are, indented
    as far. Raises KeyError for an unknown name.
    """
    lines: list[str] = []
    for line in text.splitlines():
        part = _PART.fullmatch(line)
        names = [] if part or _is_comment(line) else _PLACE.findall(line)
        if part:
            lines += [part[1] + one for one in (parts or {})[part[2]].splitlines()]
        elif any(values[name] is None for name in names):
            while lines and _is_comment(lines[-1]):
                lines.pop()
        elif names:
            lines.append(_PLACE.sub(lambda found: _written(values[found[1]]), line))
        else:
            lines.append(line)
    return "\n".join(lines) + "\n"


def _is_comment(line: str) -> bool:
    return line.lstrip().startswith("#")


def _written(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
