"""Others' files, as they may be: absent, too long, no file at all, or not text."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

LONGEST = 1 << 20
"""Bytes. No more is read: a file of gigabytes must not cost a host its memory."""

_COMMENTS = "#;"
_ESCAPED = '"\\`$'


def text_of(path: Path) -> str:
    """Return the beginning of a file, or "" if it can't be read. A FIFO is not waited for."""
    try:
        return bytes_of(path).decode("utf-8", errors="replace")
    except OSError:
        return ""


def bytes_of(path: Path, longest: int = LONGEST) -> bytes:
    """Return the first `longest` bytes of a file, b"" if it is none. Raises OSError."""
    if not path.is_file():
        return b""
    with path.open("rb") as stream:
        return stream.read(longest)


def documents(text: str) -> list[Any] | None:
    """Return the documents of a YAML text, or None if it is none.

    Each is text, a list or a mapping, and so is all that is in it: no tag does anything.
    """
    import yaml

    try:
        return list(yaml.load_all(text, Loader=yaml.BaseLoader))
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return None


def assignments(text: str) -> dict[str, str]:
    """Read a file as systemd's EnvironmentFile= does (systemd.exec(5)); the last one counts."""
    found: dict[str, str] = {}
    at = 0
    while at < len(text):
        start = re.compile(r"\s*").match(text, at)
        at = start.end() if start else at
        end = text.find("\n", at)
        end = len(text) if end < 0 else end
        equals = text.find("=", at, end)
        if text[at : at + 1] in _COMMENTS or equals < 0:
            at = end + 1
            continue
        name = text[at:equals].strip().removeprefix("export ").strip()
        found[name], at = _value(text, equals + 1)
    return found


def _value(text: str, at: int) -> tuple[str, int]:
    """Return a value, without quotes and escapes, and where it ends."""
    value, bare, quote = "", "", ""  # `bare`: white space that counts only if something follows
    while at < len(text):
        char, after = text[at], text[at + 1 : at + 2]
        at += 1
        if not quote and char == "\n":
            break
        if char == "\\" and quote != "'":
            at += 1
            if after == "\n":
                continue
            char = after if not quote or after in _ESCAPED else char + after
        elif char == quote:
            quote = ""
            continue
        elif not quote and char in "\"'":
            quote = char
            value, bare = value + bare, ""
            continue
        elif not quote and char.isspace():
            bare += char if value else ""
            continue
        value, bare = value + bare + char, ""
    return value, at
