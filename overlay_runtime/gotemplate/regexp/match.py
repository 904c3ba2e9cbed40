"""A tree → a program, and the machine that runs it on all paths at once (regexp/exec.go)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from overlay_runtime.gotemplate.regexp.syntax import (
    WORD,
    Choice,
    Empty,
    Group,
    Never,
    Node,
    One,
    Parser,
    Repeat,
    Sequence,
    Test,
)
from overlay_runtime.gotemplate.values import GoError

_LONGEST = 20_000
"""Instructions of a program."""
_MOST_STEPS = 2_000_000
"""Of one call: some seconds."""

Caught = tuple[int, ...]
"""Start and end of the whole and of every group; -1: not there."""


class Regexp:
    """A compiled pattern."""

    def __init__(self, pattern: str) -> None:
        parser = Parser(pattern)
        tree = parser.parse()
        self.pattern = pattern
        self.names = parser.names
        self._tests: list[Test | None] = []
        self._kinds: list[str] = []
        self._next: list[tuple[int, int]] = []
        self._steps = 0
        self._compile(tree)
        self._add("match")

    # The program: "one", "split" (both ways, the first one first), "save", or a condition.

    def _add(self, kind: str, test: Test | None = None) -> int:
        if len(self._kinds) >= _LONGEST:
            raise GoError("error parsing regexp: expression too large")
        self._kinds.append(kind)
        self._tests.append(test)
        self._next.append((len(self._kinds), 0))
        return len(self._kinds) - 1

    def _compile(self, node: Node) -> None:
        if isinstance(node, One):
            self._add("one", node.test)
        elif isinstance(node, Empty):
            self._add(node.kind or "jump")
        elif isinstance(node, Never):
            self._add("one", lambda _: False)
        elif isinstance(node, Sequence):
            for part in node.parts:
                self._compile(part)
        elif isinstance(node, Choice):
            self._choice(node)
        elif isinstance(node, Group):
            self._save(2 * node.number)
            self._compile(node.part)
            self._save(2 * node.number + 1)
        else:
            self._repeat(node)

    def _save(self, slot: int) -> None:
        at = self._add("save")
        self._next[at] = (at + 1, slot)

    def _choice(self, node: Choice) -> None:
        ends = []
        for part in node.parts[:-1]:
            split = self._add("split")
            self._compile(part)
            ends.append(self._add("jump"))
            self._next[split] = (split + 1, len(self._kinds))
        self._compile(node.parts[-1])
        for end in ends:
            self._next[end] = (len(self._kinds), 0)

    def _repeat(self, node: Repeat) -> None:
        for _ in range(node.least if node.most is not None or not node.least else node.least - 1):
            self._compile(node.part)
        if node.most is None:
            if node.least or _may_be_empty(node.part):
                # x* of what may be empty is (x+)?, so that the empty way is tried once.
                outer = None if node.least else self._add("split")
                start = len(self._kinds)
                self._compile(node.part)
                split = self._add("split")
                self._way(split, start, split + 1, node.greedy)
                if outer is not None:
                    self._way(outer, outer + 1, len(self._kinds), node.greedy)
                return
            split = self._add("split")
            self._compile(node.part)
            self._next[self._add("jump")] = (split, 0)
            self._way(split, split + 1, len(self._kinds), node.greedy)
            return
        splits = []
        for _ in range(node.most - node.least):
            splits.append(self._add("split"))
            self._compile(node.part)
        for split in splits:
            self._way(split, split + 1, len(self._kinds), node.greedy)

    def _way(self, split: int, on: int, out: int, greedy: bool) -> None:
        self._next[split] = (on, out) if greedy else (out, on)

    # The machine

    def search(self, text: str) -> Caught | None:
        """Return the leftmost match. Raises GoError if it takes too long."""
        self._steps = 0
        return self._search(text, 0)

    def _search(self, text: str, start: int) -> Caught | None:
        nothing = (-1,) * (2 * len(self.names))
        threads: list[tuple[int, Caught]] = []
        best: Caught | None = None
        for at in range(start, len(text) + 1):
            seen: set[int] = set()
            ready: list[tuple[int, Caught]] = []
            for pc, caught in threads:
                self._follow(pc, caught, text, at, seen, ready)
            if best is None:
                self._follow(0, (at, *nothing[1:]), text, at, seen, ready)
            elif not ready:
                break
            threads = []
            char = text[at : at + 1]
            for pc, caught in ready:
                if self._kinds[pc] == "match":
                    best = (caught[0], at, *caught[2:])
                    break  # those after it come second
                test = self._tests[pc]
                if char and test is not None and test(char):
                    threads.append((pc + 1, caught))
            if not threads and best is not None:
                break
        return best

    def _follow(
        self,
        pc: int,
        caught: Caught,
        text: str,
        at: int,
        seen: set[int],
        ready: list[tuple[int, Caught]],
    ) -> None:
        """Add a thread where it reads a character: past jumps, splits and conditions."""
        stack = [(pc, caught)]
        while stack:
            pc, caught = stack.pop()
            if pc in seen:
                continue
            seen.add(pc)
            self._steps += 1
            if self._steps > _MOST_STEPS:
                raise GoError("the regular expression takes too long")
            kind = self._kinds[pc]
            on, other = self._next[pc]
            if kind in ("one", "match"):
                ready.append((pc, caught))
            elif kind == "split":
                stack.append((other, caught))
                stack.append((on, caught))
            elif kind == "jump":
                stack.append((on, caught))
            elif kind == "save":
                stack.append((on, (*caught[:other], at, *caught[other + 1 :])))
            elif _holds(kind, text, at):
                stack.append((on, caught))

    # What Go's methods do with matches

    def every(self, text: str, most: int) -> Iterator[Caught]:
        """Yield the matches that FindAll has; `most` -1: all."""
        self._steps = 0
        at, before, count = 0, -1, 0
        most = len(text) + 1 if most < 0 else most
        while count < most and at <= len(text):
            caught = self._search(text, at)
            if caught is None:
                return
            if caught[1] == at:
                accepted = caught[0] != before
                at += 1
            else:
                accepted = True
                at = caught[1]
            before = caught[1]
            if accepted:
                count += 1
                yield caught

    def replaced(self, text: str, by: str, literal: bool) -> str:
        """ReplaceAllString, or ReplaceAllLiteralString."""
        out: list[str] = []
        self._steps = 0
        last = at = 0
        while at <= len(text):
            caught = self._search(text, at)
            if caught is None:
                break
            out.append(text[last : caught[0]])
            if caught[1] > last or caught[0] == 0:
                out.append(by if literal else self._expanded(by, text, caught))
            last = caught[1]
            at = max(at + 1, caught[1])
        return "".join(out) + text[last:]

    def _expanded(self, template: str, text: str, caught: Caught) -> str:
        """Regexp.Expand: $1, $name, ${name}, $$."""
        out = []
        at = 0
        while at < len(template):
            mark = template.find("$", at)
            if mark < 0:
                break
            out.append(template[at:mark])
            at = mark + 1
            if template[at : at + 1] == "$":
                out.append("$")
                at += 1
                continue
            name, end = _reference(template, at)
            if not name:
                out.append("$")
                continue
            at = end
            out.append(self._group(name, text, caught))
        return "".join(out) + template[at:]

    def _group(self, name: str, text: str, caught: Caught) -> str:
        if name.isascii() and name.isdigit() and (name == "0" or name[0] != "0"):
            numbers = [int(name[:9])]
        else:
            numbers = [at for at, known in enumerate(self.names) if known == name]
        for number in numbers:
            if number < len(self.names) and caught[2 * number] >= 0:
                return text[caught[2 * number] : caught[2 * number + 1]]
        return ""

    def split(self, text: str, most: int) -> list[str] | None:
        """Regexp.Split; None is Go's nil."""
        if most == 0:
            return None
        if self.pattern and not text:
            return [""]
        parts: list[str] = []
        start = end = 0
        for caught in self.every(text, most):
            if 0 < most == len(parts) + 1:
                break
            end = caught[0]
            if caught[1]:
                parts.append(text[start:end])
            start = caught[1]
        if end != len(text):
            parts.append(text[start:])
        return parts


def _reference(template: str, at: int) -> tuple[str, int]:
    """The name after a `$`, and where it ends."""
    braces = template[at : at + 1] == "{"
    start = end = at + braces
    while end < len(template) and (template[end].isalnum() or template[end] == "_"):
        end += 1
    name = template[start:end]
    if braces:
        if template[end : end + 1] != "}":
            return "", at
        end += 1
    return name, end


def _may_be_empty(node: Node) -> bool:
    if isinstance(node, Sequence):
        return all(map(_may_be_empty, node.parts))
    if isinstance(node, Choice):
        return any(map(_may_be_empty, node.parts))
    if isinstance(node, Repeat):
        return not node.least or _may_be_empty(node.part)
    return _may_be_empty(node.part) if isinstance(node, Group) else isinstance(node, Empty)


def _holds(kind: str, text: str, at: int) -> bool:
    if kind == "begin":
        return at == 0
    if kind == "end":
        return at == len(text)
    if kind == "line-begin":
        return at == 0 or text[at - 1] == "\n"
    if kind == "line-end":
        return at == len(text) or text[at] == "\n"
    word = (at > 0 and WORD(text[at - 1])) != (at < len(text) and WORD(text[at]))
    return word == (kind == "word")


@lru_cache(maxsize=64)
def compiled(pattern: str) -> Regexp:
    """regexp.Compile. Raises GoError."""
    return Regexp(pattern)
