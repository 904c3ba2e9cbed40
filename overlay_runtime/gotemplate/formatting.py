"""Go's fmt: how a value is printed (https://pkg.go.dev/fmt); Sprint and Sprintln."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign, frexp, isfinite
from typing import Any

from overlay_runtime.gotemplate.text import decimal, quoted
from overlay_runtime.gotemplate.values import (
    Enum,
    GoError,
    NilMap,
    Object,
    Struct,
    Uint8,
    Uint64,
    is_nil,
    raw,
    type_of,
)

_LONGEST = 1 << 20
"""Characters that one call makes at most."""
_DEEPEST = 100


@dataclass
class Flags:
    plus: bool = False
    minus: bool = False
    sharp: bool = False
    space: bool = False
    zero: bool = False
    go: bool = False  # %#v
    named: bool = False  # %+v
    width: int | None = None
    precision: int | None = None


def show(value: Any) -> str:
    """%v of one value."""
    if type(value) is str:
        return value
    printer = Printer()
    printer.argument(value, "v")
    return "".join(printer.out)


def sprint(values: tuple[Any, ...]) -> str:
    """fmt.Sprint: a space between two operands that are both no strings."""
    out: list[str] = []
    for number, value in enumerate(values):
        if number and not isinstance(value, str) and not isinstance(values[number - 1], str):
            out.append(" ")
        out.append(show(value))
    return "".join(out)


def sprintln(values: tuple[Any, ...]) -> str:
    """fmt.Sprintln."""
    return " ".join(map(show, values)) + "\n"


class Printer:
    """Writes values; as fmt's `pp`."""

    def __init__(self) -> None:
        self.out: list[str] = []
        self.flags = Flags()
        self._size = 0
        self._erroring = False

    def write(self, text: str) -> None:
        self._size += len(text)
        if self._size > _LONGEST:
            raise GoError("the text gets too long")
        self.out.append(text)

    def argument(self, value: Any, verb: str) -> None:
        if value is None or (not type_of(value).strip("<nil>") and is_nil(value)):
            if verb in "Tv":
                self._pad("<nil>")
            else:
                self.write(f"%!{verb}(<nil>)")
            return
        if verb == "T":
            self._string(type_of(value), "s")
        elif verb == "p":
            self._bad(value, verb)
        else:
            self._value(value, verb, 0)

    def _value(self, value: Any, verb: str, depth: int) -> None:
        if depth > _DEEPEST:
            raise GoError("the value is nested too deeply")
        if isinstance(value, Object):
            self._object(value, verb)
        elif isinstance(value, Enum) and verb in "vsxXq" and not self._erroring and not (
            self.flags.go):  # fmt: skip
            self._text(value.text(), verb)
        elif isinstance(value, bool):
            if verb in "tv":
                self._pad("true" if value else "false")
            else:
                self._bad(value, verb)
        elif isinstance(value, int):
            self._integer(value, verb)
        elif isinstance(value, float):
            self._float(value, verb)
        elif isinstance(value, str):
            self._text(value, verb)
        elif isinstance(value, list):
            self._list(value, verb, depth)
        elif isinstance(value, Struct):
            self._struct(value, verb, depth)
        elif isinstance(value, dict):
            self._map(value, verb, depth)
        elif self.flags.go:
            self.write("interface {}(nil)")
        else:
            self.write("<nil>")

    def _object(self, value: Object, verb: str) -> None:
        if verb == "w" or (not self._erroring and verb not in "vsxXq"):
            self._bad(value, verb)
        else:
            self._text(value.text(), "s" if self.flags.go else verb)

    def _list(self, value: list[Any], verb: str, depth: int) -> None:
        go = self.flags.go
        if go:
            self.write(type_of(value))
            if is_nil(value):
                self.write("(nil)")
                return
        self.write("{" if go else "[")
        for number, item in enumerate(value):
            if number:
                self.write(", " if go else " ")
            self._value(item, verb, depth + 1)
        self.write("}" if go else "]")

    def _map(self, value: dict[str, Any], verb: str, depth: int) -> None:
        go = self.flags.go
        self.write(type_of(value) if go else "map")
        if go and isinstance(value, NilMap):
            self.write("(nil)")
            return
        self.write("{" if go else "[")
        for number, key in enumerate(sorted(value, key=raw)):
            if number:
                self.write(", " if go else " ")
            self._value(key, verb, depth + 1)
            self.write(":")
            self._value(value[key], verb, depth + 1)
        self.write("}" if go else "]")

    def _struct(self, value: Struct, verb: str, depth: int) -> None:
        go = self.flags.go
        self.write(type_of(value) + "{" if go else "{")
        for number, (name, item) in enumerate(value.items()):
            if number:
                self.write(", " if go else " ")
            if go or self.flags.named:
                self.write(name + ":")
            self._value(item, verb, depth + 1)
        self.write("}")

    def _bad(self, value: Any, verb: str) -> None:
        self._erroring = True
        self.write(f"%!{verb}({type_of(value)}=")
        self._value(value, "v", 0)
        self.write(")")
        self._erroring = False

    def _pad(self, text: str, zero: bool | None = None) -> None:
        flags = self.flags
        missing = (flags.width or 0) - len(text)
        if missing <= 0:
            self.write(text)
        elif flags.minus:
            self.write(text + " " * missing)
        else:
            self.write(("0" if (flags.zero if zero is None else zero) else " ") * missing + text)

    def _text(self, value: str, verb: str) -> None:
        if verb == "v":
            self._string(value, "q" if self.flags.go else "s")
        elif verb in "sqxX":
            self._string(value, verb)
        else:
            self._bad(value, verb)

    def _string(self, value: str, verb: str) -> None:
        flags = self.flags
        if verb in "xX":
            self._hex(raw(value), verb)
            return
        if flags.precision is not None:
            value = value[: flags.precision]
        if verb == "q":
            if flags.sharp and "`" not in value and not any(
                (ord(c) < 0x20 and c != "\t") or c in "\x7f\ufeff" or 0xDC80 <= ord(c) <= 0xDCFF
                for c in value
            ):  # fmt: skip
                value = f"`{value}`"
            else:
                value = quoted(value, flags.plus)
        self._pad(value)

    def _hex(self, data: bytes, verb: str) -> None:
        flags = self.flags
        if flags.precision is not None:
            data = data[: flags.precision]
        prefix = f"0{verb}" if flags.sharp else ""
        parts = [f"{byte:02x}" if verb == "x" else f"{byte:02X}" for byte in data]
        if not parts:
            self._pad("")
        elif flags.space:
            self._pad(" ".join(prefix + part for part in parts))
        else:
            self._pad(prefix + "".join(parts))

    def _integer(self, value: int, verb: str) -> None:
        flags = self.flags
        if verb == "v" and flags.go and isinstance(value, Uint8 | Uint64):
            sharp, flags.sharp = flags.sharp, True
            self._based(value, 16, "v")
            flags.sharp = sharp
        elif verb in "vd":
            self._based(value, 10, verb)
        elif verb in "bBoOxX" and verb != "B":
            self._based(value, {"b": 2, "o": 8, "O": 8}.get(verb, 16), verb)
        elif verb == "c":
            self._pad(_rune(value))
        elif verb == "q":
            self._pad(quoted(_rune(value), flags.plus, "'"))
        elif verb == "U":
            code = value & 0xFFFF_FFFF_FFFF_FFFF
            made = f"U+{code:0{max(4, flags.precision or 0)}X}"
            if flags.sharp and code <= 0x10FFFF and quoted(chr(code)) == f'"{chr(code)}"':
                made += f" '{chr(code)}'"
            self._pad(made, zero=False)
        else:
            self._bad(value, verb)

    def _based(self, value: int, base: int, verb: str) -> None:
        flags = self.flags
        digits = {2: "b", 8: "o", 10: "d", 16: "X" if verb == "X" else "x"}[base]
        made = format(abs(int(value)), digits)
        if flags.precision is not None:
            if not flags.precision and not value:
                self._pad("", zero=False)
                return
            made = made.rjust(flags.precision, "0")
        elif flags.zero and not flags.minus and flags.width:
            room = flags.width - (value < 0 or flags.plus or flags.space)
            made = made.rjust(room, "0")
        if flags.sharp:
            if base == 8:
                made = made if made.startswith("0") else "0" + made
            elif base != 10:
                made = f"0{digits}{made}"
        if verb == "O":
            made = "0o" + made
        sign = "-" if value < 0 else "+" if flags.plus else " " if flags.space else ""
        self._pad(sign + made, zero=False)

    def _float(self, value: float, verb: str) -> None:
        flags = self.flags
        if verb not in "bvgGeEfFxX":
            self._bad(value, verb)
            return
        made = (
            _binary(value, verb, flags.precision) if verb in "bxX" else self._decimal(value, verb)
        )
        sign = made[0] if made[0] in "+-" else "+"
        made = made.lstrip("+-")
        if sign == "+" and flags.space and not flags.plus:
            sign = " "
        if made in ("Inf", "NaN"):
            unsigned = made == "NaN" and not flags.space and not flags.plus
            self._pad(made if unsigned else sign + made, zero=False)
            return
        if flags.sharp and verb not in "bxX":
            digits = -1 if flags.precision is None else flags.precision
            made = _sharpened(made, digits if verb in "vgG" else 0)
        if flags.plus or sign != "+":
            width = flags.width or 0
            if flags.zero and not flags.minus and width > len(made) + 1:
                made = made.rjust(width - 1, "0")
            self._pad(sign + made)
        else:
            self._pad(made)

    def _decimal(self, value: float, verb: str) -> str:
        kind = {"v": "g", "F": "f"}.get(verb, verb)
        precision = self.flags.precision
        if precision is None:
            precision = -1 if kind in "gG" else 6
        return decimal(value, kind, precision)


def _binary(value: float, verb: str, precision: int | None) -> str:
    """%x, 0x1.8p+00, and %b, 6755399441055744p-52."""
    if not isfinite(value):
        return decimal(value)
    if verb == "b":
        mantissa, power = frexp(value)
        return f"{int(mantissa * (1 << 53))}p{power - 53:+d}" if value else "0p-1074"
    whole, _, exponent = value.hex().lstrip("-").partition("p")
    power = int(exponent)
    digits = whole[2:].replace(".", "").ljust(14, "0")
    if precision is None:
        digits = digits[0] + digits[1:].rstrip("0")
    elif precision < 13:
        # Half to even, as IEEE 754 has it.
        dropped = 4 * (13 - precision)
        mantissa = int(digits[:14], 16)
        half, rest = 1 << (dropped - 1), mantissa & ((1 << dropped) - 1)
        mantissa = (mantissa >> dropped) + (rest > half)
        mantissa += rest == half and mantissa & 1
        digits = f"{mantissa:x}"
        if digits[0] == "2":
            digits, power = "1" + "0" * precision, power + 1
    else:
        digits = digits.ljust(precision + 1, "0")
    point = "." if len(digits) > 1 else ""
    made = f"0x{digits[0]}{point}{digits[1:]}p{'-' if power < 0 else '+'}{abs(power):02d}"
    sign = "-" if copysign(1, value) < 0 else ""
    return sign + (made.upper() if verb == "X" else made)


def _rune(value: int) -> str:
    code = int(value)
    if not 0 <= code <= 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    return chr(code)


def _sharpened(made: str, digits: int) -> str:
    """Add the point, and the zeros of %g, that `#` asks for."""
    if digits == -1:
        digits = 6
    mark = next((c for c in "eE" if c in made), "")
    number, exponent = made.split(mark) if mark else (made, "")
    digits -= len(number.replace(".", "").lstrip("0"))
    if "." not in number:
        if number == "0":
            digits -= 1
        number += "."
    return number + "0" * max(0, digits) + mark + exponent
