"""Go's Sprintf (https://pkg.go.dev/fmt)."""

from __future__ import annotations

from typing import Any

from overlay_runtime.gotemplate.formatting import Flags, Printer
from overlay_runtime.gotemplate.values import type_of

_WIDEST = 1_000_000
"""What fmt takes as a width or a precision."""


def sprintf(form: str, values: tuple[Any, ...]) -> str:
    """fmt.Sprintf. Raises GoError if the result is too long."""
    return _Format(form, values).run()


class _Format:
    """One Sprintf."""

    def __init__(self, form: str, values: tuple[Any, ...]) -> None:
        self._form = form
        self._values = values
        self._at = 0
        self._number = 0
        self._reordered = False
        self._good = True
        self._indexed = False
        self._print = Printer()

    def run(self) -> str:
        form, write = self._form, self._print.write
        while self._at < len(form):
            start = form.find("%", self._at)
            if start < 0:
                start = len(form)
            if start > self._at:
                write(form[self._at : start])
            if start == len(form):
                break
            self._at = start + 1
            if not self._verb():
                break
        if not self._reordered and self._number < len(self._values):
            self._extra()
        return "".join(self._print.out)

    def _extra(self) -> None:
        self._print.flags = Flags()
        self._print.write("%!(EXTRA ")
        for number, value in enumerate(self._values[self._number :]):
            if number:
                self._print.write(", ")
            if value is None:
                self._print.write("<nil>")
            else:
                self._print.write(f"{type_of(value)}=")
                self._print.argument(value, "v")
        self._print.write(")")

    def _verb(self) -> bool:
        """Format one verb. False at the end of the format."""
        form, flags = self._form, Flags()
        self._print.flags = flags
        self._good, self._indexed = True, False
        names = {"#": "sharp", "0": "zero", "+": "plus", "-": "minus", " ": "space"}
        while self._at < len(form) and form[self._at] in names:
            setattr(flags, names[form[self._at]], True)
            self._at += 1
        self._index()
        self._width(flags)
        self._precision(flags)
        if not self._indexed:
            self._index()
        if self._at >= len(form):
            self._print.write("%!(NOVERB)")
            return False
        verb = form[self._at]
        self._at += 1
        if verb == "%":
            self._print.write("%")
        elif not self._good:
            self._print.write(f"%!{verb}(BADINDEX)")
        elif self._number >= len(self._values):
            self._print.write(f"%!{verb}(MISSING)")
        else:
            if verb in "vw":
                flags.go, flags.named = flags.sharp, flags.plus
                flags.sharp = flags.plus = False
            self._print.argument(self._values[self._number], verb)
            self._number += 1
        return True

    def _width(self, flags: Flags) -> None:
        if self._peek() == "*":
            self._at += 1
            width = self._star()
            if width is None:
                self._print.write("%!(BADWIDTH)")
            elif width < 0:
                width, flags.minus, flags.zero = -width, True, False
            flags.width = width
            self._indexed = False
            return
        flags.width = self._digits()
        if self._indexed and flags.width is not None:
            self._good = False

    def _precision(self, flags: Flags) -> None:
        if self._at + 1 >= len(self._form) or self._peek() != ".":
            return
        self._at += 1
        if self._indexed:
            self._good = False
        self._index()
        if self._peek() == "*":
            self._at += 1
            precision = self._star()
            if precision is not None and precision < 0:
                precision = None
            if precision is None:
                self._print.write("%!(BADPREC)")
            flags.precision = precision
            self._indexed = False
        else:
            flags.precision = self._digits() or 0

    def _peek(self) -> str:
        return self._form[self._at : self._at + 1]

    def _digits(self) -> int | None:
        start = self._at
        while self._peek() and self._peek() in "0123456789":
            if int(self._form[start : self._at] or 0) > _WIDEST:
                self._at = len(self._form)
                return None
            self._at += 1
        return int(self._form[start : self._at]) if self._at > start else None

    def _star(self) -> int | None:
        if self._number >= len(self._values):
            return None
        value = self._values[self._number]
        self._number += 1
        if isinstance(value, bool) or not isinstance(value, int) or abs(value) > _WIDEST:
            return None
        return int(value)

    def _index(self) -> None:
        """Read an explicit index, [3]."""
        self._indexed = False
        if self._peek() != "[":
            return
        self._reordered = True
        end = self._form.find("]", self._at)
        if end < 0:
            self._good = False
            self._at += 1
            return
        inside = self._form[self._at + 1 : end]
        self._at = end + 1
        if inside.isascii() and inside.isdigit() and len(inside) < 8:
            self._indexed = True
            if 0 < int(inside) <= len(self._values):
                self._number = int(inside) - 1
                return
        self._good = False
