"""sprig's semantic versions (Masterminds/semver v3.4.0)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from overlay_runtime.gotemplate.functions.model import Function, table
from overlay_runtime.gotemplate.values import GoError, Object, Uint64

_LOOSE = re.compile(
    r"v?([0-9]+)(\.[0-9]+)?(\.[0-9]+)?(-([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?"
    r"(\+([0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?",
    re.ASCII,
)
_OPERATORS = r"=>|=<|!=|>=|<=|~>|=|>|<|~|\^|"
_VERSION = (
    r"v?([0-9|x|X|\*]+)(\.[0-9|x|X|\*]+)?(\.[0-9|x|X|\*]+)?"
    r"(-(?:[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?(\+(?:[0-9A-Za-z\-]+(?:\.[0-9A-Za-z\-]+)*))?"
)
_PLAIN = re.sub(r"\((?!\?)", "(?:", _VERSION)
_SPACE = r"[\t\n\f\r ]"
_ONE = re.compile(rf"{_SPACE}*({_OPERATORS}){_SPACE}*({_VERSION}){_SPACE}*", re.ASCII)
_FIND = re.compile(rf"(?:{_OPERATORS}){_SPACE}*(?:{_PLAIN})", re.ASCII)
_RANGE = re.compile(rf"{_SPACE}*({_PLAIN}){_SPACE}+-{_SPACE}+({_PLAIN}){_SPACE}*", re.ASCII)
_VALID = re.compile(
    rf"(?:{_SPACE}*(?:{_OPERATORS}){_SPACE}*(?:{_PLAIN}){_SPACE}*)"
    rf"(?:(?:{_SPACE}+|,{_SPACE}*)(?:{_OPERATORS}){_SPACE}*(?:{_PLAIN}){_SPACE}*)*",
    re.ASCII,
)
_LONGEST = 256
"""Characters of a constraint: the patterns above could take long for more."""
_MOST = (1 << 64) - 1


@dataclass(frozen=True)
class Version(Object):
    """A version. `number`: major, minor, patch."""

    number: tuple[int, int, int]
    pre: str
    metadata: str
    original: str

    go_type = "*semver.Version"
    kind = "ptr"

    def text(self) -> str:
        made = ".".join(map(str, self.number))
        return made + (f"-{self.pre}" if self.pre else "") + (
            f"+{self.metadata}" if self.metadata else "")  # fmt: skip

    def methods(self) -> Mapping[str, Function]:
        """What a template may call: `(semver "1.2.3").Major`."""
        major, minor, patch = self.number
        return table(
            {
                "Major": ("", lambda: Uint64(major)),
                "Minor": ("", lambda: Uint64(minor)),
                "Patch": ("", lambda: Uint64(patch)),
                "Prerelease": ("", lambda: self.pre),
                "Metadata": ("", lambda: self.metadata),
                "Original": ("", lambda: self.original),
                "String": ("", self.text),
                "Compare": ("version", lambda other: compare(self, other)),
                "Equal": ("version", lambda other: compare(self, other) == 0),
                "LessThan": ("version", lambda other: compare(self, other) < 0),
                "LessThanEqual": ("version", lambda other: compare(self, other) <= 0),
                "GreaterThan": ("version", lambda other: compare(self, other) > 0),
                "GreaterThanEqual": ("version", lambda other: compare(self, other) >= 0),
                "IncMajor": ("", lambda: self._raised((major + 1, 0, 0))),
                "IncMinor": ("", lambda: self._raised((major, minor + 1, 0))),
                "IncPatch": ("", lambda: self._raised((major, minor, patch + (not self.pre)))),
            }
        )

    def _raised(self, number: tuple[int, int, int]) -> Version:
        made = ".".join(map(str, number))
        return _Value(number, "", "", ("v" if self.original.startswith("v") else "") + made)


class _Value(Version):
    """A version that is no pointer: what Inc… gives."""

    go_type = "semver.Version"
    kind = "struct"

    def methods(self) -> Mapping[str, Function]:
        """Those that need no pointer."""
        pointer = ("Original", "Compare", "Equal", "Less", "Greater")
        return {
            name: method
            for name, method in super().methods().items()
            if not name.startswith(pointer)
        }


def parse(text: str) -> Version:
    """semver.NewVersion. Raises GoError."""
    found = _LOOSE.fullmatch(text)
    if found is None:
        raise GoError("invalid semantic version")
    number = [int((found[at] or "0").removeprefix(".")) for at in (1, 2, 3)]
    if max(number) > _MOST:
        raise GoError("error parsing version segment: value out of range")
    pre = found[5] or ""
    for part in pre.split("."):
        if part.isdigit() and len(part) > 1 and part[0] == "0":
            raise GoError("version segment starts with 0")
    return Version((number[0], number[1], number[2]), pre, found[7] or "", text)


def compare(one: Version, other: Version) -> int:
    """-1, 0 or 1; a version before a release is less than it."""
    if one.number != other.number:
        return 1 if one.number > other.number else -1
    if not one.pre or not other.pre:
        return bool(other.pre) - bool(one.pre)
    parts, others = one.pre.split("."), other.pre.split(".")
    for at in range(max(len(parts), len(others))):
        left = parts[at] if at < len(parts) else ""
        right = others[at] if at < len(others) else ""
        if left != right:
            return _compare_part(left, right)
    return 0


def _compare_part(left: str, right: str) -> int:
    if not left or not right:
        return 1 if left else -1
    numbers = left.isdigit(), right.isdigit()
    if all(numbers):
        return 1 if int(left) > int(right) else -1
    if any(numbers):
        return -1 if numbers[0] else 1
    return 1 if left > right else -1


@dataclass(frozen=True)
class _Constraint:
    operator: str
    version: Version
    dirty: bool = False  # a part is missing or x
    minor_dirty: bool = False
    patch_dirty: bool = False


def _is_x(text: str | None) -> bool:
    return (text or "").removeprefix(".") in ("", "x", "X", "*")


def _constraint(text: str) -> _Constraint:
    if not text:
        return _Constraint("", parse("0.0.0"), dirty=True)
    found = _ONE.fullmatch(text)
    if found is None:
        raise GoError(f"improper constraint: {text}")
    operator, version = found[1], found[2]
    pre = found[6] or ""
    marks: dict[str, bool] = {}
    if _is_x(found[3]):
        version, marks = f"0.0.0{pre}", {"dirty": True}
    elif _is_x(found[4]):
        version, marks = f"{found[3]}.0.0{pre}", {"dirty": True, "minor_dirty": True}
    elif _is_x(found[5]):
        version = f"{found[3]}{found[4]}.0{pre}"
        marks = {"dirty": True, "patch_dirty": True}
    try:
        return _Constraint(operator, parse(version), **marks)
    except GoError:
        raise GoError("constraint parser error") from None


def _constraints(text: str) -> list[list[_Constraint]]:
    if len(text) > _LONGEST:
        raise GoError("the constraint is too long")
    for found in list(_RANGE.finditer(text)):
        text = text.replace(found[0], f">= {found[1]}, <= {found[2]} ", 1)
    made = []
    for part in text.split("||"):
        if not _VALID.fullmatch(part):
            raise GoError(f"improper constraint: {part}")
        made.append([_constraint(one) for one in _FIND.findall(part) or [part]])
    return made


def _not_equal(version: Version, c: _Constraint) -> bool:
    mine, its = version.number, c.version.number
    if c.dirty:
        if mine[0] != its[0]:
            return True
        if mine[1] != its[1] and not c.minor_dirty:
            return True
        if c.minor_dirty:
            return False
        if mine[2] != its[2] and not c.patch_dirty:
            return True
        if c.patch_dirty:
            return version.pre != c.version.pre
    return compare(version, c.version) != 0


def _greater(version: Version, c: _Constraint) -> bool:
    mine, its = version.number, c.version.number
    if c.dirty:
        if mine[0] != its[0]:
            return mine[0] > its[0]
        if c.minor_dirty:
            return False
        if c.patch_dirty:
            return mine[1] > its[1]
    return compare(version, c.version) > 0


def _less_or_equal(version: Version, c: _Constraint) -> bool:
    if not c.dirty:
        return compare(version, c.version) <= 0
    mine, its = version.number, c.version.number
    return not (mine[0] > its[0] or (mine[0] == its[0] and mine[1] > its[1] and not c.minor_dirty))


def _tilde(version: Version, c: _Constraint) -> bool:
    mine, its = version.number, c.version.number
    if compare(version, c.version) < 0:
        return False
    if its == (0, 0, 0) and not c.minor_dirty and not c.patch_dirty:
        return True
    return mine[0] == its[0] and (mine[1] == its[1] or c.minor_dirty)


def _equal(version: Version, c: _Constraint) -> bool:
    return _tilde(version, c) if c.dirty else compare(version, c.version) == 0


def _caret(version: Version, c: _Constraint) -> bool:
    mine, its = version.number, c.version.number
    if compare(version, c.version) < 0:
        return False
    if its[0] > 0 or c.minor_dirty or mine[0] > 0:
        return mine[0] == its[0]
    if its[1] > 0 or c.patch_dirty or mine[1] > 0:
        return mine[1] == its[1]
    return mine[2] == its[2]


_CHECKS: dict[str, Callable[[Version, _Constraint], bool]] = {
    "": _equal,
    "=": _equal,
    "!=": _not_equal,
    ">": _greater,
    "<": lambda version, c: compare(version, c.version) < 0,
    ">=": lambda version, c: compare(version, c.version) >= 0,
    "=>": lambda version, c: compare(version, c.version) >= 0,
    "<=": _less_or_equal,
    "=<": _less_or_equal,
    "~": _tilde,
    "~>": _tilde,
    "^": _caret,
}


def _compare(constraint: str, text: str) -> bool:
    choices = _constraints(constraint)
    version = parse(text)
    for every in choices:
        if version.pre and not any(one.version.pre for one in every):
            continue  # a version before a release is not meant, unless the constraint has one
        if all(_CHECKS[one.operator](version, one) for one in every):
            return True
    return False


TABLE: dict[str, Any] = table(
    {"semver": ("string", parse), "semverCompare": ("string string", _compare)}
)
