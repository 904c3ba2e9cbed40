"""A template's text cut into pieces of text and the tokens of its actions."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

OPEN, CLOSE = "{{", "}}"
_SPACE = " \t\r\n"
_TRIM_LEFT = re.compile(r"-[ \t\r\n]")
_COMMENT = re.compile(r"/\*")
_CLOSE = re.compile(r"([ \t\r\n]-)?}}")
_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\r\n]+?(?=[ \t\r\n]-}})|[ \t\r\n]+)
  | (?P<string>"(?:[^"\\\n]|\\.)*")
  | (?P<raw>`[^`]*`)
  | (?P<char>'(?:[^'\\\n]|\\[^\n][0-7a-fA-F]*)')
  | (?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
        |(?:[0-9][0-9_]*(?:\.[0-9_]*)?|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9]+)?)(?![\w.]))
  | (?P<variable>\$\w*)
  | (?P<field>\.(?:[^\W\d]\w*))
  | (?P<dot>\.(?!\w))
  | (?P<word>[^\W\d]\w*)
  | (?P<sign>:=|=|\||\(|\)|,)
    """,
    re.VERBOSE,
)


class TemplateError(Exception):
    """A template that Go would refuse, or one that fails when it is rendered. `line` counts from 1
    within the template."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.message = message
        self.line = line


@dataclass(frozen=True)
class Token:
    """A piece of an action. `spaced`: there is space before it."""

    kind: str
    text: str
    line: int
    spaced: bool = False


@dataclass(frozen=True)
class Piece:
    """Text (`tokens` is None), or an action."""

    line: int
    text: str = ""
    tokens: tuple[Token, ...] | None = None


def pieces(template: str) -> Iterator[Piece]:
    """Cut a template. Raises TemplateError."""
    at, trim = 0, False
    breaks = [found.start() for found in re.finditer("\n", template)]
    while True:
        start = template.find(OPEN, at)
        text = template[at:] if start < 0 else template[at:start]
        line = bisect_left(breaks, at) + 1
        if trim:
            text = text.lstrip(_SPACE)
        if start < 0:
            if text:
                yield Piece(line, text)
            return
        inside = start + len(OPEN)
        if _TRIM_LEFT.match(template, inside):
            text = text.rstrip(_SPACE)
            inside += 2
        if text:
            yield Piece(line, text)
        at, trim, action = _action(template, inside, breaks)
        if action is not None:
            yield action


def _action(template: str, at: int, breaks: list[int]) -> tuple[int, bool, Piece | None]:
    """Read an action that begins at `at`: return where it ends, whether space after it is cut off,
    and its tokens; None of a comment."""
    first = bisect_left(breaks, at) + 1
    comment = _COMMENT.match(template, at)
    if comment:
        end = template.find("*/", comment.end())
        if end < 0:
            raise TemplateError("unclosed comment", first)
        close = _CLOSE.match(template, end + 2)
        if not close:
            raise TemplateError("comment ends before closing delimiter", first)
        return close.end(), close[1] is not None, None
    tokens: list[Token] = []
    spaced = False
    while True:
        line = bisect_left(breaks, at) + 1
        close = _CLOSE.match(template, at)
        if close:
            return close.end(), close[1] is not None, Piece(first, "", tuple(tokens))
        found = _TOKEN.match(template, at)
        if found is None:
            if at >= len(template):
                raise TemplateError("unclosed action", first)
            raise TemplateError(_unexpected(template, at), line)
        kind = str(found.lastgroup)
        if kind != "space":
            tokens.append(Token(kind, found[0], line, spaced))
        spaced = kind == "space"
        at = found.end()


def _unexpected(template: str, at: int) -> str:
    opened = {"'": "unterminated character constant", '"': "unterminated quoted string",
              "`": "unterminated raw quoted string"}  # fmt: skip
    char = template[at]
    return opened.get(char, f'unexpected "{char}" in command')
