"""sprig's defaults and flow (defaults.go)."""

from __future__ import annotations

from typing import Any, NoReturn

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.values import GoError, truth


def _default(fallback: Any, *given: Any) -> Any:
    return given[0] if given and truth(given[0]) else fallback


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if truth(value)), None)


def _fail(message: str) -> NoReturn:
    raise GoError(message)


TABLE = table(
    {
        "all": ("any...", lambda *values: all(map(truth, values))),
        "any": ("any...", lambda *values: any(map(truth, values))),
        "coalesce": ("any...", _coalesce),
        "default": ("any any...", _default),
        "empty": ("any", lambda value: not truth(value)),
        "fail": ("string", _fail),
        "hello": ("", lambda: "Hello!"),
        "ternary": ("any any bool", lambda yes, no, which: yes if which else no),
    }
)
