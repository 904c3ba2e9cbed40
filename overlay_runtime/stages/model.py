"""What the runner works on: sources, their steps, and how each ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from overlay_runtime.errors import Position


@dataclass(frozen=True)
class Source:
    """A file with stages."""

    name: str
    """As messages show it, and, without other names, as Kairos calls its steps: /oem/10.yaml."""
    text: str = field(repr=False)
    group: int
    """Files of one group (a directory) are ordered with each other, groups one after the other."""
    aliases: tuple[str, ...] = ()
    """By which `after` calls it instead: Kairos keeps user-data by a name of its own."""
    user_data: bool = False
    """Whether cloud-init has this file already."""
    volume: bool = False


@dataclass(frozen=True)
class Step:
    """One step of one stage. Its repr shows no content."""

    stage: str
    at: Position
    name: str
    """The step's own name; may be empty."""
    number: int
    group: int
    file: int
    """The number of its file among all."""
    names: tuple[str, ...]
    """What `after` may call it, Kairos's name first."""
    data: Mapping[str, Any] = field(repr=False)
    after: tuple[tuple[str, Position], ...] = ()
    user_data: bool = False
    volume: bool = False

    @property
    def shown(self) -> str:
        """The step in messages: `x` (/oem/10.yaml:12:5)."""
        called = shown_name(self.name) or str(self.number)
        return f"step `{called}` of {self.at}"


def shown_name(name: str) -> str:
    """Return a name as messages may show it: short, and on one line."""
    clean = "".join(c if c.isprintable() else "?" for c in name.strip())
    return clean if len(clean) <= 60 else clean[:59] + "…"


@dataclass
class Outcome:
    """How a step ended. No text holds a secret: what, not the content."""

    shown: str
    state: str = "done"
    """done, failed, skipped (a condition does not hold), not run (its order, its time)."""
    why: str = ""
    """Why it was skipped or not run."""
    did: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    """What is done otherwise than by Kairos, and what was left as it is."""
