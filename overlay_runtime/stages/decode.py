"""A step's YAML → plain data, with the types of the schema, as yaml.v3 decodes into Go's structs.

What is not there becomes "", 0, False or empty, as in Go; permissions become None, so that they are
known to be missing. Unknown keys are left out, as there. What has a wrong type is a `Wrong`.
"""

from __future__ import annotations

import re
from typing import Any

from overlay_runtime.config.document import Value
from overlay_runtime.errors import Position
from overlay_runtime.userdata.model import (
    Block,
    Boolean,
    Choice,
    FileMode,
    Kind,
    ListOf,
    MapOf,
    Number,
    Text,
    expected,
)

_TRUE = frozenset(("y", "Y", "yes", "Yes", "YES", "on", "On", "ON"))
_FALSE = frozenset(("n", "N", "no", "No", "NO", "off", "Off", "OFF"))
_WHOLE = re.compile(
    r"(?P<sign>[-+]?)(?:0[xX](?P<hex>[0-9a-fA-F]+)|0[bB](?P<bin>[01]+)|0[oO]?(?P<oct>[0-7]+)"
    r"|(?P<dec>[1-9][0-9]*|0))"
)


class Wrong(Exception):
    """A value of a wrong type. The message holds nothing of the value: it may be a secret."""

    def __init__(self, at: Position, found: str) -> None:
        super().__init__(f"{at}: {found}")
        self.at = at
        self.found = found


def decode(value: Value | None, kind: Kind, path: str = "") -> Any:
    """Return plain data. Raises Wrong."""
    if value is None or value.data is None:
        return _nothing(kind)
    match kind:
        case Block():
            if not isinstance(value.data, dict):
                raise _wrong(value, kind, path)
            known = value.data
            return {
                key.name: decode(known[key.name].value if key.name in known else None, key.kind,
                                 f"{path}.{key.name}" if path else key.name)
                for key in kind.keys
            }  # fmt: skip
        case MapOf():
            if not isinstance(value.data, dict):
                raise _wrong(value, kind, path)
            return {
                name: decode(entry.value, kind.value, f"{path}.…")
                for name, entry in value.data.items()
            }
        case ListOf():
            if not isinstance(value.data, tuple):
                raise _wrong(value, kind, path)
            return [decode(item, kind.item, f"{path}[{n}]") for n, item in enumerate(value.data)]
        case _:
            return _scalar(value, kind, path)


def _scalar(value: Value, kind: Kind, path: str) -> Any:
    if isinstance(value.data, dict | tuple):
        raise _wrong(value, kind, path)
    match kind:
        case Text() | Choice():
            return value.data if isinstance(value.data, str) else value.written
        case Boolean():
            if isinstance(value.data, bool):
                return value.data
            if isinstance(value.data, str) and value.data in _TRUE | _FALSE:
                return value.data in _TRUE
        case Number() | FileMode():
            number = None if value.quoted else whole(value.written)
            low, high = (0, 2**32 - 1) if isinstance(kind, FileMode) else (-(2**63), 2**63 - 1)
            if number is not None and low <= number <= high:
                return number
    raise _wrong(value, kind, path)


def whole(written: str) -> int | None:
    """Return the whole number that yaml.v3 reads, or None: 0644 and 0o644 are octal."""
    text = written.replace("_", "")
    found = _WHOLE.fullmatch(text)
    if found is None or len(text) > 80:
        return _of_float(text)
    for name, base in (("hex", 16), ("bin", 2), ("oct", 8), ("dec", 10)):
        if found[name] is not None:
            number = int(found[name], base)
            return -number if found["sign"] == "-" else number
    return None


def _of_float(text: str) -> int | None:
    """A float without a fraction is taken, too: 1e3."""
    if len(text) > 80 or not re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
                                          text):  # fmt: skip
        return None
    number = float(text)
    return int(number) if abs(number) < 2**63 and number.is_integer() else None


def _nothing(kind: Kind) -> Any:
    match kind:
        case Block():
            return {key.name: _nothing(key.kind) for key in kind.keys}
        case MapOf():
            return {}
        case ListOf():
            return []
        case Boolean():
            return False
        case Number():
            return 0
        case FileMode():
            return None
        case _:
            return ""


def _wrong(value: Value, kind: Kind, path: str) -> Wrong:
    return Wrong(value.position, f"`{path}` is {value.kind()}; expected {expected(kind)}")
