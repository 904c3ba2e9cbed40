"""The language of the schema: kinds of values, and keys with their help.

The tables (`palette.py`, `stages.py`, …) are written in it; `walk.py` checks a file by them, and
`edge-build schema` and the reference page are made from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from overlay_runtime.config.document import Value

NOTE_PREFIX = "x-"
"""Top-level keys that start with it are the user's own notes."""


class By(Enum):
    """Who acts on a key on a host with the Debian base."""

    EDGE = "edge-build"
    CLOUD_INIT = "cloud-init"
    KAIROS = "Kairos images alone"
    PALETTE = "Palette's agent alone"
    LATER = "Kairos images alone, as yet"

    @property
    def acts(self) -> bool:
        """Whether the key does something on the Debian base."""
        return self in (By.EDGE, By.CLOUD_INIT)


@dataclass(frozen=True)
class Anything:
    """Any value: what it means is told by somebody else's documents."""


@dataclass(frozen=True)
class Text:
    """Text. Kairos's YAML library takes a number or true for text as well, cloud-init does not
    (`strict`). `secret`: no message may show it."""

    expected: str = "text"
    pattern: str = ""
    strict: bool = False
    secret: bool = False
    template: bool = False
    """Whether Kairos renders it as a Go template."""


@dataclass(frozen=True)
class Number:
    """A whole number, both bounds allowed."""

    low: int = 0
    high: int = 2**63 - 1


@dataclass(frozen=True)
class FileMode:
    """Permissions as Kairos reads them: an integer, so that 644 is decimal and a mistake."""


@dataclass(frozen=True)
class Boolean:
    """true or false."""


@dataclass(frozen=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]


@dataclass(frozen=True)
class Checked:
    """A value that a check of `config/checks.py` judges; `shape` is its JSON Schema."""

    check: Callable[[Value], Any]
    expected: str
    shape: Mapping[str, Any] = field(default_factory=lambda: {"type": "string"})
    secret: bool = False


@dataclass(frozen=True)
class ListOf:
    """A list whose items are all of one kind."""

    item: Kind


@dataclass(frozen=True)
class MapOf:
    """Keys that the user chooses, and values of one kind."""

    value: Kind
    names: str = "a name"


@dataclass(frozen=True)
class Block:
    """Keys that are known. Another one is an error; in an `open` block, to which somebody else may
    add keys, a warning."""

    keys: tuple[Key, ...]
    what: str = ""
    """What it is called in messages: "a step"."""
    open: bool = False

    def named(self) -> dict[str, Key]:
        """Return the keys by name."""
        return {key.name: key for key in self.keys}


@dataclass(frozen=True)
class Either:
    """A value of one of several kinds, which differ in their YAML type."""

    kinds: tuple[Kind, ...]


Kind = (
    Anything | Text | Number | FileMode | Boolean | Choice | Checked
    | ListOf | MapOf | Block | Either
)  # fmt: skip


@dataclass(frozen=True)
class Key:
    """A key: what may stand there, a line of help, its default, and who acts on it."""

    name: str
    kind: Kind
    help: str
    default: object = None
    by: By = By.EDGE


def expected(kind: Kind) -> str:
    """Say in words what may stand there."""
    match kind:
        case Text() | Checked():
            return kind.expected
        case Number(low=0, high=high) if high == 2**63 - 1:
            return "a whole number"
        case Number():
            return f"a whole number from {kind.low} to {kind.high}"
        case FileMode():
            return "permissions in octal, such as 0644"
        case Boolean():
            return "true or false"
        case Choice():
            return "one of " + ", ".join(filter(None, kind.words))
        case ListOf():
            return "a list"
        case MapOf() | Block():
            return "a mapping"
        case Either():
            return " or ".join(dict.fromkeys(expected(one) for one in kind.kinds))
        case Anything():
            return "any value"
