"""What a function is: its parameters' Go types, and the Python callable."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Function:
    """`parameters`: any, value (a reflect.Value), string, int, int64, bool, float64, map, time,
    version. The last one of a variadic function may be there many times."""

    parameters: tuple[str, ...]
    variadic: bool
    call: Callable[..., Any]


def table(rows: Mapping[str, tuple[str, Callable[..., Any]]]) -> dict[str, Function]:
    """Make functions of `name: ("int string any...", callable)`."""
    made = {}
    for name, (signature, call) in rows.items():
        parameters = tuple(one.removesuffix("...") for one in signature.split())
        made[name] = Function(parameters, signature.endswith("..."), call)
    return made
