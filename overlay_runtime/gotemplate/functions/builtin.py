"""text/template's own functions (funcs.go), but for `and` and `or`, which the evaluator does."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote_plus

from overlay_runtime.gotemplate.formatting import show, sprint, sprintln
from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.printf import sprintf
from overlay_runtime.gotemplate.text import is_print
from overlay_runtime.gotemplate.values import (
    NOTHING,
    GoError,
    StringMap,
    Struct,
    Uint8,
    is_nil,
    kind_of,
    raw,
    truth,
    type_of,
)

_BASIC = {"int64": "int", "uint8": "uint", "uint64": "uint"}
_HTML = {"\0": "\ufffd", '"': "&#34;", "'": "&#39;", "&": "&amp;", "<": "&lt;", ">": "&gt;"}
_JS = {"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026",
       "=": "\\u003D"}  # fmt: skip


def _basic(value: Any) -> str | None:
    kind = kind_of(value)
    kind = _BASIC.get(kind, kind)
    return kind if kind in ("bool", "int", "uint", "float64", "string") else None


def _eq(one: Any, *others: Any) -> bool:
    if not others:
        raise GoError("missing argument for comparison")
    return any(_same(one, other) for other in others)


def _same(one: Any, other: Any) -> bool:
    kinds = _basic(one), _basic(other)
    absent = (None, NOTHING)
    if kinds[0] != kinds[1]:
        if set(kinds) == {"int", "uint"}:
            return int(one) == int(other)
        if one not in absent and other not in absent:
            raise GoError(f"incompatible types for comparison: {type_of(one)} and {type_of(other)}")
        return False
    if kinds[0] is not None:
        return bool(one == other)
    if one not in absent and other not in absent and kind_of(one) != kind_of(other):
        raise GoError(f"non-comparable types {show(one)}: {type_of(one)}, {type_of(other)}")
    if is_nil(one) or is_nil(other):
        return is_nil(one) == is_nil(other)
    if isinstance(other, list | dict):
        raise GoError(f"non-comparable type {show(other)}: {type_of(other)}")
    return type_of(one) == type_of(other) and bool(one == other)


def _lt(one: Any, other: Any) -> bool:
    kinds = _basic(one), _basic(other)
    if None in kinds:
        raise GoError("invalid type for comparison")
    if kinds[0] != kinds[1] and set(kinds) != {"int", "uint"}:
        raise GoError(f"incompatible types for comparison: {type_of(one)} and {type_of(other)}")
    if kinds[0] == "bool":
        raise GoError("invalid type for comparison")
    if isinstance(one, str):
        return raw(one) < raw(other)
    return bool(one < other)


def _le(one: Any, other: Any) -> bool:
    return _lt(one, other) or _same(one, other)


def _position(value: Any, most: int) -> int:
    if value is None or value is NOTHING:
        raise GoError("cannot index slice/array with nil")
    if isinstance(value, bool) or not isinstance(value, int):
        raise GoError(f"cannot index slice/array with type {type_of(value)}")
    if not 0 <= value <= most:
        raise GoError(f"index out of range: {value}")
    return int(value)


def _index(item: Any, *indexes: Any) -> Any:
    if item is None or item is NOTHING:
        raise GoError("index of untyped nil")
    for index in indexes:
        if item is None:
            raise GoError("index of nil pointer")
        item = _indexed(item, index)
    return item


def _indexed(item: Any, index: Any) -> Any:
    if isinstance(item, str | list):
        whole = raw(item) if isinstance(item, str) else item
        at = _position(index, len(whole))
        if at == len(whole):
            what = "string" if isinstance(item, str) else "slice"
            raise GoError(f"reflect: {what} index out of range")
        return Uint8(whole[at]) if isinstance(whole, bytes) else whole[at]
    if isinstance(item, dict) and not isinstance(item, Struct):
        if index is None or index is NOTHING:
            raise GoError("value is nil; should be of type string")
        if not isinstance(index, str):
            raise GoError(f"value has type {type_of(index)}; should be string")
        return item.get(index, "" if isinstance(item, StringMap) else None)
    raise GoError(f"can't index item of type {type_of(item)}")


def _len(item: Any) -> int:
    if item is None:
        raise GoError("len of nil pointer")
    if item is NOTHING:
        raise GoError("reflect: call of reflect.Value.Type on zero Value")
    if isinstance(item, str):
        return len(raw(item))
    if isinstance(item, list | dict) and not isinstance(item, Struct):
        return len(item)
    raise GoError(f"len of type {type_of(item)}")


def _call(callee: Any, *_: Any) -> Any:
    if callee is None or callee is NOTHING:
        raise GoError("call of nil")
    raise GoError(f"non-function of type {type_of(callee)}")


def _arguments(values: tuple[Any, ...]) -> str:
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return sprint(tuple("<no value>" if value is None else value for value in values))


def _html(*values: Any) -> str:
    return "".join(_HTML.get(char, char) for char in _arguments(values))


def _js(*values: Any) -> str:
    out = []
    for char in _arguments(values):
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            out.append("\\uFFFD" if not is_print("\ufffd") else char)
        elif char in _JS:
            out.append(_JS[char])
        elif code < 0x20 or (code >= 0x80 and not is_print(char)):
            out.append(f"\\u{code:04X}")
        else:
            out.append(char)
    return "".join(out)


def _urlquery(*values: Any) -> str:
    return quote_plus(raw(_arguments(values)), safe="~")


TABLE = table(
    {
        "and": ("value value...", lambda *values: values[-1]),
        "or": ("value value...", lambda *values: values[-1]),
        "not": ("value", lambda value: not truth(value)),
        "call": ("value value...", _call),
        "html": ("any...", _html),
        "js": ("any...", _js),
        "urlquery": ("any...", _urlquery),
        "index": ("value value...", _index),
        "len": ("value", _len),
        "print": ("any...", lambda *values: sprint(values)),
        "printf": ("string any...", lambda form, *values: sprintf(form, values)),
        "println": ("any...", lambda *values: sprintln(values)),
        "eq": ("value value...", _eq),
        "ne": ("value value", lambda one, other: not _same(one, other)),
        "lt": ("value value", _lt),
        "le": ("value value", _le),
        "gt": ("value value", lambda one, other: not _le(one, other)),
        "ge": ("value value", lambda one, other: not _lt(one, other)),
    }
)
