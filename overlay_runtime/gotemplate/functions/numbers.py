"""sprig's numbers (numeric.go, and spf13/cast v1.7.1 and shopspring/decimal below it)."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal
from math import ceil, copysign, floor, isinf, isnan, modf
from typing import Any

from overlay_runtime.gotemplate.formatting import sprint
from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.values import GoError, Int64, Slice

_LEAST, _MOST = -(1 << 63), (1 << 63) - 1
_LONGEST = 100_000
"""Numbers that a list may have: hosts have no more of anything."""
_INTEGER = re.compile(
    r"[+-]?(?:0[xX](?:_?[0-9a-fA-F])+|0[bB](?:_?[01])+|0[oO](?:_?[0-7])+|0(?:_?[0-7])*"
    r"|[1-9](?:_?[0-9])*)"
)
_FLOAT = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE
)
_EXACT = Context(prec=1000, rounding=ROUND_HALF_UP, Emax=100_000, Emin=-100_000, traps=[])


def wrapped(value: int) -> int:
    """An int64 after an overflow."""
    return (value - _LEAST) % (1 << 64) + _LEAST


def to_int(value: Any) -> int:
    """cast.ToInt64: 0 of what is no number."""
    if isinstance(value, bool | int):
        return wrapped(int(value))
    if isinstance(value, float):
        return int(value) if _LEAST <= value < _MOST else _LEAST
    return _parsed(_without_zeros(value)) if isinstance(value, str) else 0


def _without_zeros(text: str) -> str:
    """cast.trimZeroDecimal: `10.00` is 10."""
    found = re.search(r"\.0+$", text)
    return text[: found.start()] if found else text


def _parsed(text: str) -> int:
    """strconv.ParseInt with base 0; 0 where it fails."""
    if len(text) > 200 or not _INTEGER.fullmatch(text):
        return 0
    plain = text.replace("_", "")
    digits = plain.lstrip("+-")
    octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567"
    number = int(digits, 8 if octal else 0)
    number = -number if plain.startswith("-") else number
    return number if _LEAST <= number <= _MOST else 0


def to_float(value: Any) -> float:
    """cast.ToFloat64: 0 of what is no number."""
    if isinstance(value, bool | int | float):
        return float(value)
    if not isinstance(value, str):
        return 0.0
    if "_" in value:
        if re.search(r"(?<![0-9a-fA-FxX])_|_(?![0-9a-fA-F])", value):
            return 0.0
        value = value.replace("_", "")
    if _FLOAT.fullmatch(value):
        made = float(value)
        return 0.0 if isinf(made) and "inf" not in value.lower() else made
    if re.fullmatch(r"[+-]?0[xX][0-9a-fA-F.]+[pP][+-]?[0-9]+", value):
        try:
            return float.fromhex(value)
        except (ValueError, OverflowError):
            return 0.0
    return 0.0


def _atoi(text: str) -> int:
    """strconv.Atoi; of a number that is too large it gives the largest, and sprig takes it."""
    if not re.fullmatch(r"[+-]?[0-9]+", text) or len(text) > 1000:
        return 0
    return max(_LEAST, min(_MOST, int(text)))


def _add(*values: Any) -> Int64:
    return Int64(wrapped(sum(map(to_int, values))))


def _mul(first: Any, *values: Any) -> Int64:
    made = to_int(first)
    for value in values:
        made = wrapped(made * to_int(value))
    return Int64(made)


def _div(one: Any, other: Any) -> Int64:
    above, below = to_int(one), to_int(other)
    if not below:
        raise GoError("runtime error: integer divide by zero")
    made = abs(above) // abs(below)
    return Int64(wrapped(made if (above < 0) == (below < 0) else -made))


def _mod(one: Any, other: Any) -> Int64:
    above, below = to_int(one), to_int(other)
    if not below:
        raise GoError("runtime error: integer divide by zero")
    made = abs(above) % abs(below)
    return Int64(-made if above < 0 else made)


def _decimal(value: float) -> Decimal:
    if isnan(value) or isinf(value):
        raise GoError(f"Cannot create a Decimal from {value}")
    return Decimal(repr(value))


def _exactly(operation: Callable[[Decimal, Decimal], Decimal]) -> Callable[..., float]:
    def run(first: Any, *values: Any) -> float:
        made = _decimal(to_float(first))
        for value in values:
            made = operation(made, _decimal(to_float(value)))
        return float(made) + 0.0  # a decimal has no negative zero

    return run


def _quotient(one: Decimal, other: Decimal) -> Decimal:
    """Sixteen places after the point, the last one rounded."""
    if not other:
        raise GoError("decimal division by 0")
    return _EXACT.quantize(_EXACT.divide(one, other), Decimal("1e-16"))


def _largest(first: Any, *values: Any) -> Int64:
    return Int64(max(map(to_int, (first, *values))))


def _least(first: Any, *values: Any) -> Int64:
    return Int64(min(map(to_int, (first, *values))))


def _extreme(sign: int) -> Callable[..., float]:
    """math.Max and math.Min: NaN and signed zeros count."""

    def run(first: Any, *values: Any) -> float:
        made = to_float(first)
        for value in map(to_float, values):
            if isinf(value) and value * sign > 0:
                made = value
            elif isinf(made) and made * sign > 0:
                continue
            elif isnan(made) or isnan(value):
                made = float("nan")
            elif value * sign > made * sign or (
                value == made == 0 and copysign(1, value) * sign > 0
            ):
                made = value
        return made

    return run


def _whole(rounded: Callable[[float], int], value: Any) -> float:
    number = to_float(value)
    if isnan(number) or isinf(number):
        return number
    return copysign(float(rounded(number)), number)


def _round(value: Any, places: int, *options: float) -> float:
    on = options[0] if options else 0.5
    number = to_float(value)
    power = 10.0**places if abs(places) < 309 else (float("inf") if places > 0 else 0.0)
    digit = power * number
    if isnan(digit) or isinf(digit):
        return digit / power if power and not isinf(power) else float("nan")
    fraction, _ = modf(digit)
    made = float(ceil(digit)) if fraction >= on else float(floor(digit))
    if not power:
        return float("nan") if not made else copysign(float("inf"), made)
    return made / power


def _steps(start: int, stop: int, step: int) -> range:
    if (stop < start and step >= 0) or (stop >= start and step <= 0):
        return range(0)
    made = range(start, stop, step)
    if abs((stop - start) // step) > _LONGEST:
        raise GoError(f"more than {_LONGEST} numbers")
    return made


def _until(count: int) -> Slice:
    return Slice(_steps(0, count, -1 if count < 0 else 1), "int")


def _seq(*params: int) -> str:
    if len(params) == 1:
        start, step, end = 1, (-1 if params[0] < 1 else 1), params[0]
        past = end + step
    elif len(params) == 2:
        start, end = params
        step = -1 if end < start else 1
        past = end + step
    elif len(params) == 3:
        start, step, end = params
        if end < start and step > 0:
            return ""
        past = end + (-1 if end < start else 1)
    else:
        return ""
    return " ".join(map(str, _steps(start, past, step)))


def _to_decimal(value: Any) -> Int64:
    text = sprint((value,))
    if len(text) > 200 or not re.fullmatch(r"[+-]?[0-7]+", text):
        return Int64(0)
    number = int(text, 8)
    return Int64(number if _LEAST <= number <= _MOST else 0)


_ADD = _exactly(_EXACT.add)

TABLE = table(
    {
        "add": ("any...", _add),
        "add1": ("any", lambda value: _add(value, 1)),
        "add1f": ("any", lambda value: _ADD(value, 1)),
        "addf": ("any...", lambda *values: _ADD(0.0, *values)),
        "atoi": ("string", _atoi),
        "biggest": ("any any...", _largest),
        "ceil": ("any", lambda value: _whole(ceil, value)),
        "div": ("any any", _div),
        "divf": ("any any...", _exactly(_quotient)),
        "float64": ("any", to_float),
        "floor": ("any", lambda value: _whole(floor, value)),
        "int": ("any", to_int),
        "int64": ("any", lambda value: Int64(to_int(value))),
        "max": ("any any...", _largest),
        "maxf": ("any any...", _extreme(1)),
        "min": ("any any...", _least),
        "minf": ("any any...", _extreme(-1)),
        "mod": ("any any", _mod),
        "mul": ("any any...", _mul),
        "mulf": ("any any...", _exactly(_EXACT.multiply)),
        "round": ("any int float64...", _round),
        "seq": ("int...", _seq),
        "sub": ("any any", lambda one, other: Int64(wrapped(to_int(one) - to_int(other)))),
        "subf": ("any any...", _exactly(_EXACT.subtract)),
        "toDecimal": ("any", _to_decimal),
        "until": ("int", _until),
        "untilStep": ("int int int", lambda *three: Slice(_steps(*three), "int")),
    }
)
