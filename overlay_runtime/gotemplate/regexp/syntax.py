"""A pattern → tree (regexp/syntax/parse.go, with the flags that Compile sets: Perl)."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, replace

from overlay_runtime.gotemplate.text import lower, upper
from overlay_runtime.gotemplate.values import GoError

MOST_REPEATS = 1000
_DEPTH = 100
_META = "\\.+*?()|[]{}^$"
_PLAIN_ESCAPES = {"a": "\a", "f": "\f", "t": "\t", "n": "\n", "r": "\r", "v": "\v"}
_CATEGORIES = frozenset(
    "C Cc Cf Co Cs L Ll Lm Lo Lt Lu M Mc Me Mn N Nd Nl No P Pc Pd Pe Pf Pi Po Ps S Sc Sk Sm So Z "
    "Zl Zp Zs".split()
)

Test = Callable[[str], bool]


@dataclass(frozen=True)
class One:
    """One character that passes a test."""

    test: Test


@dataclass(frozen=True)
class Empty:
    """A condition on a place: begin, end, line-begin, line-end, word, no-word; or none."""

    kind: str = ""


@dataclass(frozen=True)
class Never:
    """What never matches."""


@dataclass(frozen=True)
class Sequence:
    """One after the other."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Choice:
    """The first that leads to a match."""

    parts: tuple[Node, ...]


@dataclass(frozen=True)
class Repeat:
    """`most` None: without end."""

    part: Node
    least: int
    most: int | None
    greedy: bool
    counted: bool = False


@dataclass(frozen=True)
class Group:
    """A group that is captured."""

    part: Node
    number: int


Node = One | Empty | Never | Sequence | Choice | Repeat | Group


@dataclass(frozen=True)
class _Flags:
    fold: bool = False
    multi: bool = False
    dot_all: bool = False
    lazy: bool = False


def _ascii(*ranges: str) -> Test:
    chars = frozenset(chr(c) for r in ranges for c in range(ord(r[0]), ord(r[-1]) + 1))
    return lambda char: char in chars


DIGIT, SPACE, WORD = _ascii("09"), _ascii("\t\n", "\f\r", " "), _ascii("09", "AZ", "az", "_")
_PERL = {"d": DIGIT, "s": SPACE, "w": WORD}
_POSIX = {
    "alnum": _ascii("09", "AZ", "az"),
    "alpha": _ascii("AZ", "az"),
    "ascii": _ascii("\0\x7f"),
    "blank": _ascii("\t", " "),
    "cntrl": _ascii("\0\x1f", "\x7f"),
    "digit": DIGIT,
    "graph": _ascii("!~"),
    "lower": _ascii("az"),
    "print": _ascii(" ~"),
    "punct": _ascii("!/", ":@", "[`", "{~"),
    "space": _ascii("\t\r", " "),
    "upper": _ascii("AZ"),
    "word": WORD,
    "xdigit": _ascii("09", "AF", "af"),
}


def folded(char: str) -> str:
    """The one character that stands for all that differ in case alone."""
    return lower(upper(char))


def error(why: str, where: str) -> GoError:
    """The error that Compile has."""
    return GoError(f"error parsing regexp: {why}: `{where}`")


class Parser:
    """One pattern. `names`: the groups' names, "" of those without, the first for the whole."""

    def __init__(self, pattern: str) -> None:
        self._text = pattern
        self._at = 0
        self._flags = _Flags()
        self._depth = 0
        self.names = [""]

    def parse(self) -> Node:
        """Return the tree. Raises GoError."""
        if any("\udc80" <= char <= "\udcff" for char in self._text):
            raise error("invalid UTF-8", self._text)
        found = self._choice()
        if self._at < len(self._text):
            raise error("unexpected )", self._text)
        return found

    def _next(self, count: int = 1) -> str:
        return self._text[self._at : self._at + count]

    def _choice(self) -> Node:
        parts = [self._sequence()]
        while self._next() == "|":
            self._at += 1
            parts.append(self._sequence())
        return parts[0] if len(parts) == 1 else Choice(tuple(parts))

    def _sequence(self) -> Node:
        parts: list[Node] = []
        repeated = -1  # where the repetition began that was read last, if nothing came after it
        while self._at < len(self._text) and self._next() not in "|)":
            start = self._at
            if self._next() in "*+?" or self._counted() is not None:
                if not parts:
                    raise error("missing argument to repetition operator", self._operator())
                parts[-1] = self._repeat(parts[-1], repeated)
                repeated = start if repeated < 0 else repeated
                continue
            repeated = -1
            if self._next(2) == "\\Q":
                parts += map(self._literal, self._quoted())
                continue
            part = self._atom()
            if part is not None:
                parts.append(part)
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _operator(self) -> str:
        counted = self._counted()
        return self._next() if counted is None else self._text[self._at : counted[2]]

    def _counted(self) -> tuple[int, int | None, int] | None:
        """Read `{n}`, `{n,}` or `{n,m}` without going past it; None if it is plain text."""
        if self._next() != "{":
            return None
        end = self._text.find("}", self._at)
        inside = self._text[self._at + 1 : end] if end > 0 else ""
        least, comma, most = inside.partition(",")
        for number in (least, most):
            if number and (not _digits(number) or (len(number) > 1 and number[0] == "0")):
                return None
        if not least:
            return None
        low = int(least[:9])
        high = (int(most[:9]) if most else None) if comma else low
        return low, high, end + 1

    def _repeat(self, part: Node, repeated: int) -> Node:
        start = self._at
        counted = self._counted()
        if counted is None:
            sign = self._next()
            self._at += 1
            least, most = {"*": (0, None), "+": (1, None), "?": (0, 1)}[sign]
        else:
            least, most, self._at = counted
            if (
                least > MOST_REPEATS
                or (most or 0) > MOST_REPEATS
                or (most is not None and most < least)
            ):
                raise error("invalid repeat count", self._text[start : self._at])
        greedy = not self._flags.lazy
        if self._next() == "?":
            self._at += 1
            greedy = not greedy
        if repeated >= 0:
            raise error("invalid nested repetition operator", self._text[repeated : self._at])
        made = Repeat(part, least, most, greedy, counted is not None)
        if counted and max(least, most or 0) >= 2 and not _within(made, MOST_REPEATS):
            raise error("invalid repeat count", self._text[start : self._at])
        return made

    def _atom(self) -> Node | None:
        char = self._next()
        self._at += 1
        if char == "(":
            return self._group()
        if char == "[":
            return self._class()
        if char == ".":
            return One(lambda _: True) if self._flags.dot_all else One(lambda char: char != "\n")
        if char == "^":
            return Empty("line-begin" if self._flags.multi else "begin")
        if char == "$":
            return Empty("line-end" if self._flags.multi else "end")
        if char == "\\":
            return self._escape()
        return self._literal(char)

    def _quoted(self) -> str:
        """Read \\Q…\\E."""
        end = self._text.find("\\E", self._at)
        inside = self._text[self._at + 2 : end if end >= 0 else None]
        self._at = len(self._text) if end < 0 else end + 2
        return inside

    def _literal(self, char: str) -> One:
        if self._flags.fold:
            plain = folded(char)
            return One(lambda other: folded(other) == plain)
        return One(lambda other: other == char)

    def _group(self) -> Node | None:
        start = self._at - 1
        self._depth += 1
        if self._depth > _DEPTH:
            raise GoError("error parsing regexp: expression nests too deeply")
        outer, number = self._flags, 0
        if self._next() == "?":
            if self._name(start):
                number = len(self.names) - 1
            elif not self._set_flags(start):
                self._depth -= 1
                return None
        else:
            self.names.append("")
            number = len(self.names) - 1
        part = self._choice()
        if self._next() != ")":
            raise error("missing closing )", self._text)
        self._at += 1
        self._flags = outer
        self._depth -= 1
        return Group(part, number) if number else part

    def _name(self, start: int) -> bool:
        """Read `?P<name>` or `?<name>`."""
        for opening in ("?P<", "?<"):
            if self._next(len(opening)) == opening and self._next(3) not in ("?<=", "?<!"):
                end = self._text.find(">", self._at)
                if end < 0:
                    raise error("invalid named capture", self._text[start:])
                name = self._text[self._at + len(opening) : end]
                if not name or not all(WORD(char) for char in name):
                    raise error("invalid named capture", self._text[start : end + 1])
                self.names.append(name)
                self._at = end + 1
                return True
        return False

    def _set_flags(self, start: int) -> bool:
        """Read `?i-s:` or `?i)`. False if it was no group but a change of flags."""
        self._at += 1
        flags, on, seen = self._flags, True, False
        names = {"i": "fold", "m": "multi", "s": "dot_all", "U": "lazy"}
        while self._at < len(self._text):
            char = self._next()
            self._at += 1
            if char in names:
                flags, seen = replace(flags, **{names[char]: on}), True
            elif char == "-" and on:
                on, seen = False, False
            elif char in ":)" and (on or seen):
                self._flags = flags
                return char == ":"
            else:
                break
        else:
            raise error("missing closing )", self._text)
        raise error("invalid or unsupported Perl syntax", self._text[start : self._at])

    def _escape(self) -> Node:
        char = self._next()
        if not char:
            raise error("trailing backslash at end of expression", "")
        places = {"A": "begin", "z": "end", "b": "word", "B": "no-word"}
        if char in places:
            self._at += 1
            return Empty(places[char])
        if char == "C":
            raise error("invalid escape sequence", "\\C")
        self._at -= 1
        test = self._set()
        if test is not None:
            return One(self._folding(test))
        return self._literal(self._character())

    def _folding(self, test: Test) -> Test:
        if not self._flags.fold:
            return test
        return lambda char: (
            test(char) or test(folded(char)) or test(lower(char)) or test(upper(char))
        )

    def _set(self) -> Test | None:
        """Read \\d and its kin, or \\pL."""
        kind = self._next(2)[1:]
        if kind.lower() in _PERL and kind:
            self._at += 2
            test = _PERL[kind.lower()]
            return test if kind.islower() else lambda char: not test(char)
        if kind not in ("p", "P"):
            return None
        start = self._at
        self._at += 2
        name = self._next()
        self._at += 1
        if name == "{":
            end = self._text.find("}", self._at)
            if end < 0:
                raise error("invalid character class range", self._text[start:])
            name = self._text[self._at : end]
            self._at = end + 1
        wanted = kind == "p"
        if name.startswith("^"):
            name, wanted = name[1:], not wanted
        if name == "Any":
            return lambda _: wanted
        if name not in _CATEGORIES:
            raise error("invalid character class range", self._text[start : self._at])
        return lambda char: unicodedata.category(char).startswith(name) == wanted

    def _character(self) -> str:
        """Read an escaped character."""
        start = self._at
        char = self._next(2)[1:]
        self._at += 2
        if char in _PLAIN_ESCAPES and char:
            return _PLAIN_ESCAPES[char]
        if char in "1234567" and char:
            # One digit alone would be a backreference.
            if char not in "1234567" or self._next() not in tuple("01234567"):
                raise error("invalid escape sequence", self._text[start : self._at])
            char = "0" + char
        if char[:1] == "0":
            digits = char
            while len(digits) < 4 and self._next() in tuple("01234567") and len(digits) < (
                3 if char == "0" else 4
            ):  # fmt: skip
                digits += self._next()
                self._at += 1
            return chr(int(digits, 8))
        if char == "x":
            return self._hex(start)
        if char and ord(char) < 0x80 and not char.isalnum() and char != "_":
            return char
        raise error("invalid escape sequence", self._text[start : self._at])

    def _hex(self, start: int) -> str:
        if self._next() == "{":
            end = self._text.find("}", self._at)
            digits = self._text[self._at + 1 : end] if end > 0 else ""
            self._at = end + 1 if end > 0 else self._at + 1
        else:
            digits = self._next(2)
            self._at += 2
            if len(digits) < 2:
                digits = ""
        good = digits and all(_POSIX["xdigit"](char) for char in digits)
        if not good or int(digits, 16) > 0x10FFFF:
            raise error("invalid escape sequence", self._text[start : self._at])
        return chr(int(digits, 16))

    def _class(self) -> One:
        start = self._at - 1
        negated = self._next() == "^"
        self._at += negated
        tests: list[Test] = []
        first = True
        while self._next() != "]" or first:
            first = False
            if self._at >= len(self._text):
                raise error("missing closing ]", self._text[start:])
            test = self._posix() or (self._set() if self._next() == "\\" else None)
            tests.append(test or self._range(start))
        self._at += 1
        every = tuple(map(self._folding, tests))
        return One(lambda char: any(test(char) for test in every) != negated)

    def _posix(self) -> Test | None:
        """Read [:alpha:]."""
        end = self._text.find(":]", self._at + 2)
        if self._next(2) != "[:" or end < 0:
            return None
        name = self._text[self._at + 2 : end]
        test = _POSIX.get(name.removeprefix("^"))
        if test is None:
            raise error("invalid character class range", self._text[self._at : end + 2])
        self._at = end + 2
        return test if not name.startswith("^") else lambda char: not test(char)

    def _range(self, start: int) -> Test:
        at = self._at
        low = high = self._class_character(start)
        if self._next() == "-" and self._next(2) not in ("-", "-]"):
            self._at += 1
            high = self._class_character(start)
            if high < low:
                raise error("invalid character class range", self._text[at : self._at])
        return lambda char: low <= char <= high

    def _class_character(self, start: int) -> str:
        char = self._next()
        if not char:
            raise error("missing closing ]", self._text[start:])
        if char == "\\":
            if len(self._next(2)) < 2:
                raise error("trailing backslash at end of expression", "")
            return self._character()
        self._at += 1
        return char


def _within(node: Node, limit: int) -> bool:
    """Whether counted repetitions within each other are no more than `limit` in all."""
    if isinstance(node, Repeat):
        if node.counted and node.most != 0:
            times = node.least if node.most is None else node.most
            if times > limit:
                return False
            limit = limit // times if times else limit
        return node.most == 0 or _within(node.part, limit)
    if isinstance(node, Sequence | Choice):
        return all(_within(part, limit) for part in node.parts)
    return not isinstance(node, Group) or _within(node.part, limit)


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def quote_meta(text: str) -> str:
    """regexp.QuoteMeta."""
    return "".join("\\" + char if char in _META else char for char in text)
