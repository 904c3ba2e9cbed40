"""What can be found in user-data: rules with a name, and findings with a place."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from overlay_runtime.errors import Position, Problem


class Severity(Enum):
    """How bad it is. An error is refused by `edge-build image`; nothing else is."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True)
class Rule:
    """A kind of finding: its name is stable, for those who filter by it."""

    name: str
    severity: Severity
    summary: str


@dataclass(frozen=True)
class Finding:
    """One thing to say about a file. None of the texts may hold a secret."""

    rule: Rule
    position: Position
    found: str
    expected: str = ""
    remedy: str = ""

    @property
    def severity(self) -> Severity:
        """How bad it is."""
        return self.rule.severity

    @property
    def problem(self) -> Problem:
        """The same without its rule."""
        return Problem(self.position, self.found, self.expected, self.remedy)

    @property
    def order(self) -> tuple[Position, str]:
        """For sorting: by place."""
        return self.position, self.rule.name
