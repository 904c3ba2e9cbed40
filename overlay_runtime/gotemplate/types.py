"""Which values a parameter of a Go type takes: validateType and the constants of exec.go."""

from __future__ import annotations

from typing import Any

from overlay_runtime.gotemplate.values import (
    NOTHING,
    GoError,
    Int64,
    NilMap,
    Slice,
    StringMap,
    Struct,
    Uint64,
    type_of,
)

_NAMES = {
    "map": "map[string]interface {}",
    "float64": "float64",
    "strings": "[]string",
    "time": "time.Time",
    "version": "*semver.Version",
    "duration": "time.Duration",
}
_SPOKEN = {"int": "integer", "int64": "integer", "uint64": "unsigned integer", "float64": "float"}
_INTS = (-(1 << 63), (1 << 63) - 1)


def accepted(value: Any, kind: str) -> Any:
    """Return the value for a parameter. Raises GoError where Go does."""
    if kind == "value":
        return value
    if kind == "any":
        return None if value is NOTHING else value
    if value is NOTHING and kind in ("map", "strings", "version"):
        return {"map": NilMap(), "strings": Slice(of="string", nil=True)}.get(kind)
    if value is NOTHING:
        raise GoError(f"invalid value; expected {_NAMES.get(kind, kind)}")
    if value is None:
        raise GoError(
            f"wrong type for value; expected {_NAMES.get(kind, kind)}; got interface {{}}"
        )
    if not _is(value, kind):
        raise GoError(
            f"wrong type for value; expected {_NAMES.get(kind, kind)}; got {type_of(value)}"
        )
    return value


def _is(value: Any, kind: str) -> bool:
    if kind == "map":
        return isinstance(value, dict) and not isinstance(value, StringMap | Struct)
    return type_of(value) == _NAMES.get(kind, kind)


def constant(value: str | int | float | bool | None, kind: str) -> Any:
    """Return a constant for a parameter: a number takes the parameter's type."""
    if value is None:
        if kind in ("any", "value"):
            return None if kind == "any" else NOTHING
        if kind in ("map", "strings", "version"):
            return accepted(NOTHING, kind)
        raise GoError(f"cannot assign nil to {_NAMES.get(kind, kind)}")
    if kind in ("any", "value"):
        if type(value) is int and not _INTS[0] <= value <= _INTS[1]:
            raise GoError(f"{value} overflows int")
        return value
    number = not isinstance(value, bool | str)
    if kind in ("int", "int64") and number and value == int(value):
        if _INTS[0] <= value <= _INTS[1]:
            return int(value) if kind == "int" else Int64(value)
    elif kind == "uint64" and number and value == int(value) and value >= 0:
        return Uint64(value)
    elif kind == "float64" and number:
        return float(value)
    elif kind == type_of(value):
        return value
    if kind in ("string", "bool") or kind in _SPOKEN:
        raise GoError(f"expected {_SPOKEN.get(kind, kind)}; found {_written(value)}")
    raise GoError(f"can't handle {_written(value)} for arg of type {_NAMES.get(kind, kind)}")


def _written(value: str | int | float | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f'"{value}"' if isinstance(value, str) else str(value)
