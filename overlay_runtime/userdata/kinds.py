"""Kinds that several tables share."""

from __future__ import annotations

from overlay_runtime.userdata.model import (
    Anything,
    Block,
    Boolean,
    By,
    Either,
    Key,
    Kind,
    ListOf,
    MapOf,
    Number,
    Text,
)

TEXT = Text()
WORD = Text("text", strict=True)
SECRET = Text("text", secret=True)
PATH = Text("an absolute path", r"/.*")
TEMPLATE = Text("text", template=True)
REGEX = Text("a regular expression")
FLAG = Boolean()
NUMBER = Number()
TEXTS = ListOf(TEXT)
WORDS = ListOf(WORD)
PAIRS = MapOf(TEXT)
ANYTHING = Anything()
ANY_BLOCK = MapOf(ANYTHING)
ANY_LIST = ListOf(ANYTHING)
URL = Text("a URL", r"[a-zA-Z][a-zA-Z0-9+.-]*://\S+")


def keys(by: By, *rows: tuple[str, Kind, str] | tuple[str, Kind, str, object]) -> tuple[Key, ...]:
    """Return keys that the same program acts on."""
    return tuple(Key(row[0], row[1], row[2], row[3] if len(row) > 3 else None, by) for row in rows)


def block(by: By, what: str, *rows: tuple[str, Kind, str] | tuple[str, Kind, str, object]) -> Block:
    """Return a block of such keys."""
    return Block(keys(by, *rows), what=what)


def either(*kinds: Kind) -> Either:
    """Return a kind that is one of several."""
    return Either(kinds)
