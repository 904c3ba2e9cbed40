"""Small things that several functions need of Go's strconv and unicode."""

from __future__ import annotations

import unicodedata
from math import isinf, isnan

_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    "\\": "\\\\",
}


def is_print(char: str) -> bool:
    """unicode.IsPrint: letters, marks, numbers, punctuation, symbols and the ASCII space."""
    return char == " " or unicodedata.category(char)[0] in "LMNPS"


def is_space(char: str) -> bool:
    """unicode.IsSpace."""
    return char in "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" or (
        "\u2000" <= char <= "\u200a"
    )


def upper(char: str) -> str:
    """unicode.ToUpper of one character: never more than one."""
    made = char.upper()
    return made if len(made) == 1 else char


def lower(char: str) -> str:
    """unicode.ToLower of one character."""
    if char == "\u0130":
        return "i"
    made = char.lower()
    return made if len(made) == 1 else char


def title(char: str) -> str:
    """unicode.ToTitle of one character."""
    made = char.title()
    return made if len(made) == 1 else char


def quoted(text: str, ascii_only: bool = False, mark: str = '"') -> str:
    """strconv.Quote, QuoteToASCII, and with the mark ' QuoteRune."""
    out = []
    for char in text:
        code = ord(char)
        if char == mark:
            out.append("\\" + mark)
        elif char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")
        elif (code < 0x80 or not ascii_only) and is_print(char):
            out.append(char)
        elif code < 0x20 or code == 0x7F:
            out.append(f"\\x{code:02x}")
        elif code < 0x10000:
            out.append(f"\\u{code:04x}")
        else:
            out.append(f"\\U{code:08x}")
    return f"{mark}{''.join(out)}{mark}"


def decimal(value: float, verb: str = "g", precision: int = -1) -> str:
    """strconv.FormatFloat(value, verb, precision, 64) for e, E, f, g, G; -1: as short as it can."""
    if isnan(value):
        return "NaN"
    if isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    kind = verb.lower()
    if precision >= 0:
        if kind == "g":
            precision = precision or 1
            made = f"{value:.{precision - 1}e}"
            return _general(made, precision, verb)
        made = f"{value:.{precision}{kind}}"
        return made.upper() if verb in "EG" else made
    made = f"{value!r}"
    sign, digits, point = _shortest(made)
    if kind == "f":
        return sign + _plain(digits, point)
    if kind == "e":
        return _exponent(sign, digits, point, verb)
    if point - 1 < -4 or point - 1 >= 6:
        return _exponent(sign, digits, point, "e" if verb == "g" else "E")
    return sign + _plain(digits, point)


def _shortest(made: str) -> tuple[str, str, int]:
    """Take Python's repr to pieces: the sign, the digits, and where the point stands in them."""
    sign = "-" if made.startswith("-") else ""
    mantissa, _, exponent = made.lstrip("-").partition("e")
    whole, _, part = mantissa.partition(".")
    digits = whole + part
    point = len(whole) + int(exponent or 0)
    stripped = digits.lstrip("0")
    point -= len(digits) - len(stripped)
    stripped = stripped.rstrip("0")
    return (sign, stripped, point) if stripped else (sign, "0", 1)


def _plain(digits: str, point: int) -> str:
    if point <= 0:
        return "0." + "0" * -point + digits
    if point >= len(digits):
        return digits + "0" * (point - len(digits))
    return digits[:point] + "." + digits[point:]


def _exponent(sign: str, digits: str, point: int, verb: str) -> str:
    part = "." + digits[1:] if len(digits) > 1 else ""
    exponent = point - 1
    return f"{sign}{digits[0]}{part}{verb}{'-' if exponent < 0 else '+'}{abs(exponent):02d}"


def _general(made: str, precision: int, verb: str) -> str:
    """%g with a precision, of a number in %e with all its digits."""
    sign, digits, point = _shortest(made)
    if digits == "0":
        return sign + "0"
    limit = len(digits) if precision > len(digits) >= point else precision
    if point - 1 < -4 or point - 1 >= limit:
        return _exponent(sign, digits, point, "e" if verb == "g" else "E")
    return sign + _plain(digits, point)
