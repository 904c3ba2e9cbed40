"""sprig's dictionaries (dict.go, and mergo below it)."""

from __future__ import annotations

from typing import Any

from overlay_runtime.gotemplate.formatting import show
from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.functions.versions import Version, parse
from overlay_runtime.gotemplate.values import (
    GoError,
    NilMap,
    Slice,
    StringMap,
    truth,
    type_of,
)

_DEEPEST = 100


def _dict(*values: Any) -> dict[str, Any]:
    made = {}
    for number in range(0, len(values), 2):
        key = show(values[number])
        made[key] = values[number + 1] if number + 1 < len(values) else ""
    return made


def _set(there: dict[str, Any], key: str, value: Any) -> dict[str, Any]:
    if isinstance(there, NilMap):
        raise GoError("assignment to entry in nil map")
    there[key] = value
    return there


def _unset(there: dict[str, Any], key: str) -> dict[str, Any]:
    there.pop(key, None)
    return there


def _pluck(key: str, *dicts: dict[str, Any]) -> list[Any]:
    return [one[key] for one in dicts if key in one]


def _keys(*dicts: dict[str, Any]) -> Slice:
    return Slice((key for one in dicts for key in one), "string")


def _pick(there: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: there[key] for key in keys if key in there}


def _omit(there: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in there.items() if key not in keys}


def _empty(value: Any) -> bool:
    return not truth(value)


def _merged(into: dict[str, Any], source: dict[str, Any], over: bool, depth: int) -> None:
    """mergo.Merge, or MergeWithOverwrite."""
    if depth > _DEEPEST:
        raise GoError("the dictionaries are nested too deeply")
    for key, value in source.items():
        if value is None or (isinstance(value, Slice) and value.nil and value.of == "?"):
            if over:
                into[key] = None
            continue
        there = into.get(key)
        if isinstance(value, dict) and isinstance(there, dict):
            _merged(there, value, over, depth + 1)
            if not _empty(there):
                continue
        elif isinstance(value, list) and not _empty(there):
            if over:
                into[key] = value
            continue
        if over or key not in into or _empty(there):
            into[key] = value


def _merge_all(over: bool, into: dict[str, Any], sources: tuple[dict[str, Any], ...]) -> Any:
    for source in sources:
        if isinstance(into, NilMap):
            if isinstance(source, NilMap):
                continue
            into = {}
        _merged(into, source, over, 0)
    return into


def _dig(*values: Any) -> Any:
    if len(values) < 3:
        raise GoError("dig needs at least three arguments")
    *keys, default, there = values
    _need_map(there)
    for key in keys:
        if not isinstance(key, str):
            what = "nil" if key is None else type_of(key)
            raise GoError(f"interface conversion: interface {{}} is {what}, not string")
    for number, key in enumerate(keys):
        if key not in there:
            return default
        there = there[key]
        if number < len(keys) - 1:
            _need_map(there)
    return there


def _need_map(value: Any) -> None:
    if not isinstance(value, dict) or isinstance(value, StringMap):
        what = "nil" if value is None else type_of(value)
        raise GoError(
            f"interface conversion: interface {{}} is {what}, not map[string]interface {{}}"
        )


def _copied(value: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise GoError("the value is nested too deeply")
    if isinstance(value, dict):
        copy = type(value)()
        copy.update((key, _copied(item, depth + 1)) for key, item in value.items())
        return copy
    if isinstance(value, Slice):
        return Slice((_copied(item, depth + 1) for item in value), value.of, value.nil)
    if isinstance(value, list):
        return [_copied(item, depth + 1) for item in value]
    if isinstance(value, Version):
        return parse("0.0.0")  # copystructure leaves out what is not exported: all of it
    return value


def _deep_copy(value: Any) -> Any:
    if value is None:
        raise GoError("reflect: call of reflect.Value.Type on zero Value")
    return _copied(value)


TABLE = table(
    {
        "deepCopy": ("any", _deep_copy),
        "dict": ("any...", _dict),
        "dig": ("any...", _dig),
        "get": ("map string", lambda there, key: there.get(key, "")),
        "hasKey": ("map string", lambda there, key: key in there),
        "keys": ("map...", _keys),
        "merge": ("map map...", lambda into, *sources: _merge_all(False, into, sources)),
        "mergeOverwrite": ("map map...", lambda into, *sources: _merge_all(True, into, sources)),
        "mustDeepCopy": ("any", _deep_copy),
        "mustMerge": ("map map...", lambda into, *sources: _merge_all(False, into, sources)),
        "mustMergeOverwrite": (
            "map map...",
            lambda into, *sources: _merge_all(True, into, sources),
        ),
        "omit": ("map string...", _omit),
        "pick": ("map string...", _pick),
        "pluck": ("string map...", _pluck),
        "set": ("map string any", _set),
        "unset": ("map string", _unset),
        "values": ("map", lambda there: list(there.values())),
    }
)
