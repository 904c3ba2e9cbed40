"""YAML files with places for values: those of `image-templates/edge/usr/lib/edge-overlay`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from overlay_runtime.paths import find_paths

Scalar = str | int | None

_PLACE = re.compile(r"\$([a-z0-9_]+)")
_PART = re.compile(r"^( *)\$([a-z0-9_]+)$", re.MULTILINE)


def library() -> Path:
    """Return where the host has the files that lie beside the runtime."""
    return find_paths().library


def fill(text: str, values: Mapping[str, Scalar], parts: Mapping[str, str] | None = None) -> str:
    """Put values into a template, each where `$name` stands.

    Text is quoted as YAML and JSON have it, so that no value becomes another type or more than a
    value. A line that names a value which is None is left out. Where `$name` stands alone on a
    line, lines of `parts` take its place, indented as far. Raises KeyError for an unknown name.
    """
    lines = []
    for line in _PART.sub(lambda found: _indented(found, parts or {}), text).splitlines():
        named = [] if line.lstrip().startswith("#") else _PLACE.findall(line)
        if all(values[name] is not None for name in named):
            lines.append(_PLACE.sub(lambda found: _written(values[found[1]]), line)
                         if named else line)  # fmt: skip
    return "\n".join(lines) + "\n"


def _indented(found: re.Match[str], parts: Mapping[str, str]) -> str:
    lines = parts[found[2]].splitlines()
    return "\n".join(found[1] + line if line else line for line in lines)


def _written(value: Scalar) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else str(value)
