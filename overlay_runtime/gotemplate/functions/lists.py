"""sprig's lists (list.go)."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, fmod
from typing import Any

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.functions.numbers import to_int
from overlay_runtime.gotemplate.functions.strings import limited, strings_of
from overlay_runtime.gotemplate.values import (
    GoError,
    Slice,
    equal,
    kind_of,
    raw,
    truth,
)

_NIL = "runtime error: invalid memory address or nil pointer dereference"


def _need(value: Any, message: str) -> list[Any]:
    if isinstance(value, list):
        return value
    if value is None:
        raise GoError(_NIL)
    raise GoError(message.format(kind_of(value)))


def _item(values: list[Any], at: int) -> Any:
    return values[at] if values else None


def _rest(values: Any) -> Any:
    there = _need(values, "Cannot find rest on type {}")
    return there[1:] if there else Slice(nil=True)


def _initial(values: Any) -> Any:
    there = _need(values, "Cannot find initial on type {}")
    return there[:-1] if there else Slice(nil=True)


def _compact(values: Any) -> list[Any]:
    return [item for item in _need(values, "Cannot compact on type {}") if truth(item)]


def _uniq(values: Any) -> list[Any]:
    found: list[Any] = []
    for item in _need(values, "Cannot find uniq on type {}"):
        if not any(equal(item, one) for one in found):
            found.append(item)
    return found


def _without(values: Any, *omitted: Any) -> list[Any]:
    there = _need(values, "Cannot find without on type {}")
    return [item for item in there if not any(equal(item, one) for one in omitted)]


def _has(needle: Any, values: Any) -> bool:
    if values is None:
        return False
    return any(equal(needle, item) for item in _need(values, "Cannot find has on type {}"))


def _slice(values: Any, *indices: Any) -> Any:
    there = _need(values, "list should be type of slice or array but {}")
    if not there:
        return None
    start = to_int(indices[0]) if indices else 0
    end = to_int(indices[1]) if len(indices) > 1 else len(there)
    if not 0 <= start <= end <= len(there):
        raise GoError("reflect.Value.Slice: slice index out of bounds")
    return Slice(there[start:end], there.of) if isinstance(there, Slice) else there[start:end]


def _chunk(size: int, values: Any) -> Slice:
    there = _need(values, "Cannot chunk type {}")
    if size == 0:
        raise GoError("runtime error: makeslice: len out of range")
    count = floor((len(there) - 1) / size) + 1
    if count < 0:
        raise GoError("runtime error: makeslice: len out of range")
    chunks = []
    for number in range(count):
        length = size
        if number == count - 1:
            length = int(fmod(len(there), size)) or size
        if length < 0:
            raise GoError("runtime error: makeslice: len out of range")
        chunks.append(there[number * size : number * size + length])
    return Slice(map(list, chunks), "[]interface {}")


def _concat(*lists: Any) -> Any:
    made: list[Any] = []
    for values in lists:
        made += _need(values, "Cannot concat type {} as list")
    return made if made else Slice(nil=True)


def _sort_alpha(values: Any) -> Slice:
    if not isinstance(values, list):
        return Slice(strings_of(values) if values is not None else ["<nil>"], "string")
    if isinstance(values, Slice) and values.of == "string":
        values.sort(key=raw)  # as Go does: in place
        return values
    return Slice(sorted(strings_of(values), key=raw), "string")


def _join(separator: str, values: Any) -> str:
    parts = strings_of(values)
    limited(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _to_strings(values: Any) -> Slice:
    if isinstance(values, Slice) and values.of == "string":
        return values
    return Slice(strings_of(values), "string")


def _push(values: Any, item: Any) -> list[Any]:
    return [*_need(values, "Cannot push on type {}"), item]


def _prepend(values: Any, item: Any) -> list[Any]:
    return [item, *_need(values, "Cannot prepend on type {}")]


def _list(*values: Any) -> Any:
    return list(values)


def _first(values: Any) -> Any:
    return _item(_need(values, "Cannot find first on type {}"), 0)


def _last(values: Any) -> Any:
    return _item(_need(values, "Cannot find last on type {}"), -1)


def _reverse(values: Any) -> list[Any]:
    return list(reversed(_need(values, "Cannot find reverse on type {}")))


_BOTH: dict[str, tuple[str, Callable[..., Any]]] = {
    "append": ("any any", _push),
    "chunk": ("int any", _chunk),
    "compact": ("any", _compact),
    "first": ("any", _first),
    "has": ("any any", _has),
    "initial": ("any", _initial),
    "last": ("any", _last),
    "prepend": ("any any", _prepend),
    "push": ("any any", _push),
    "rest": ("any", _rest),
    "reverse": ("any", _reverse),
    "slice": ("any any...", _slice),
    "uniq": ("any", _uniq),
    "without": ("any any...", _without),
}
"""These are there as must… too: the other ones panic, and a template sees the same error."""

TABLE = table(
    _BOTH
    | {f"must{name[0].upper()}{name[1:]}": row for name, row in _BOTH.items()}
    | {
        "concat": ("any...", _concat),
        "join": ("string any", _join),
        "list": ("any...", _list),
        "sortAlpha": ("any", _sort_alpha),
        "toStrings": ("any", _to_strings),
        "tuple": ("any...", _list),
    }
)
