"""sprig's JSON, as encoding/json writes and reads it."""

from __future__ import annotations

import json
import re
from math import isinf, isnan
from typing import Any, NoReturn

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.functions.strings import limited
from overlay_runtime.gotemplate.text import decimal, quoted
from overlay_runtime.gotemplate.values import GoError, Object, Struct, is_nil, raw

_DEEPEST = 100
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r",
            "\t": "\\t"}  # fmt: skip
_SPECIAL = re.compile(r'[\x00-\x1f"\\<>&\u2028\u2029\udc80-\udcff]')


def _string(text: str, html: bool) -> str:
    def escaped(found: re.Match[str]) -> str:
        char = found[0]
        if char in _ESCAPES:
            return _ESCAPES[char]
        if char in "<>&":
            return f"\\u{ord(char):04x}" if html else char
        return "\\ufffd" if "\udc80" <= char <= "\udcff" else f"\\u{ord(char):04x}"

    return f'"{_SPECIAL.sub(escaped, text)}"'


def _float(value: float) -> str:
    if isnan(value) or isinf(value):
        raise GoError(f"json: unsupported value: {decimal(value)}")
    if value and not 1e-6 <= abs(value) < 1e21:
        made = decimal(value, "e")
        return re.sub(r"e-0(\d)$", r"e-\1", made)
    return decimal(value, "f")


class _Writer:
    def __init__(self, html: bool, indent: str) -> None:
        self._html = html
        self._indent = indent
        self._out: list[str] = []
        self._size = 0

    def run(self, value: Any) -> str:
        self._value(value, 0)
        return "".join(self._out)

    def _write(self, text: str) -> None:
        self._size += len(text)
        limited(self._size)
        self._out.append(text)

    def _value(self, value: Any, depth: int) -> None:
        if depth > _DEEPEST:
            raise GoError("json: the value is nested too deeply")
        if is_nil(value):
            self._write("null")
        elif isinstance(value, bool):
            self._write("true" if value else "false")
        elif isinstance(value, int):
            self._write(str(int(value)))
        elif isinstance(value, float):
            self._write(_float(value))
        elif isinstance(value, str):
            self._write(_string(value, self._html))
        elif isinstance(value, list):
            self._many("[]", [("", item) for item in value], depth)
        elif isinstance(value, dict):
            order = list(value) if isinstance(value, Struct) else sorted(value, key=raw)
            colon = ": " if self._indent else ":"
            rows = [(_string(key, self._html) + colon, value[key]) for key in order]
            self._many("{}", rows, depth)
        else:
            self._object(value)

    def _object(self, value: Object) -> None:
        if value.go_type == "time.Time":
            made = value.methods()["Format"].call("2006-01-02T15:04:05.999999999Z07:00")
            self._write(_string(made, self._html))
        else:
            self._write(_string(value.json_text(), self._html))

    def _many(self, brackets: str, rows: list[tuple[str, Any]], depth: int) -> None:
        self._write(brackets[0])
        for number, (before, item) in enumerate(rows):
            if number:
                self._write(",")
            if self._indent:
                self._write("\n" + self._indent * (depth + 1))
            self._write(before)
            self._value(item, depth + 1)
        if rows and self._indent:
            self._write("\n" + self._indent * depth)
        self._write(brackets[1])


def _written(value: Any, html: bool = True, indent: str = "") -> str:
    return _Writer(html, indent).run(value)


def _written_or_not(value: Any, indent: str = "") -> str:
    """sprig drops the error: nothing is left."""
    try:
        return _written(value, indent=indent)
    except GoError as error:
        if "unsupported value" in str(error):
            return ""
        raise


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"invalid character {name[:1]!r} looking for beginning of value")


def _number(text: str) -> float:
    made = float(text)
    if isinf(made):
        raise GoError(f"json: cannot unmarshal number {text} into Go value of type float64")
    return made


def _whole_text(value: Any) -> Any:
    """Replace lone surrogates, as Go does."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_whole_text(item) for item in value]
    if isinstance(value, dict):
        return {_whole_text(key): _whole_text(item) for key, item in value.items()}
    return value


def _read(text: str) -> Any:
    try:
        return _whole_text(
            json.loads(text, parse_int=_number, parse_float=_number, parse_constant=_no_number)
        )
    except ValueError as error:
        at = getattr(error, "pos", 0)
        if at >= len(text.rstrip(" \t\r\n")):
            raise GoError("unexpected end of JSON input") from None
        raise GoError(f"invalid character {quoted(text[at], mark=chr(39))} in JSON") from None
    except RecursionError:
        raise GoError("exceeded max depth") from None


def _read_or_not(text: str) -> Any:
    try:
        return _read(text)
    except GoError:
        return None


TABLE = table(
    {
        "fromJson": ("string", _read_or_not),
        "mustFromJson": ("string", _read),
        "mustToJson": ("any", _written),
        "mustToPrettyJson": ("any", lambda value: _written(value, indent="  ")),
        "mustToRawJson": ("any", lambda value: _written(value, html=False)),
        "toJson": ("any", _written_or_not),
        "toPrettyJson": ("any", lambda value: _written_or_not(value, indent="  ")),
        "toRawJson": ("any", lambda value: _written(value, html=False)),
    }
)
