"""How a table of keys is written: dataclasses whose fields carry their check, words and shape.

A field whose type is such a dataclass itself is a block of its own (`block`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from overlay_runtime.config.checks import Check

TEXTS = {"type": "array", "items": {"type": "string"}, "uniqueItems": True}


def about(check: Check, expected: str, help: str, **shape: Any) -> dict[str, Any]:
    """Describe a key. `shape` is what JSON Schema can say of it; text without one."""
    shape = shape or {"type": "string"}
    return {"check": check, "expected": expected, "help": help, "shape": shape}


def block(table: type[Any], help: str) -> dict[str, Any]:
    """Describe a key with keys of its own, those of the dataclass `table`."""
    return {"block": table, "expected": "keys and values", "help": help}


@dataclass(frozen=True)
class Setting:
    """A key of the block, for documents and for `edge-build --help`."""

    name: str
    default: object
    expected: str
    help: str


def settings_of(table: type[Any], before: str = "") -> Iterator[Setting]:
    """Return the keys of a table and of its blocks, with dots: `kubernetes.role`."""
    for item in dataclasses.fields(table):
        name, meta = before + written(item.name), item.metadata
        if "block" in meta:
            yield from settings_of(meta["block"], f"{name}.")
        else:
            yield Setting(name, item.default, meta["expected"], meta["help"])


def written(name: str) -> str:
    """Return a field's name as users write it."""
    return name.replace("_", "-")
