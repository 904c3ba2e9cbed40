"""Errors as a person should read them: what happened, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Position:
    """A place in a text file. `line` and `column` count from 1, as editors do."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True)
class Problem:
    """One thing wrong in user-data: where, what was found, what is expected, how to mend it.

    None of the texts may hold a secret: they go to the journal and to status.
    """

    position: Position
    found: str
    expected: str
    remedy: str

    def render(self) -> str:
        """Return `file:line:col: what was found; expected …; how to mend it`."""
        text = f"{self.position}: {self.found}"
        if self.expected:
            text += f"; expected {self.expected}"
        if self.remedy:
            text += f"; {self.remedy}"
        return text


class OverlayError(Exception):
    """Base of every error that is meant for a person.

    `exit_code` follows sysexits(3head), so that scripts can tell the kinds apart.
    """

    exit_code = 70  # EX_SOFTWARE

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(f"{message}; {remedy}" if remedy else message)
        self.message = message
        self.remedy = remedy


class ConfigError(OverlayError):
    """User-data that can't be used. `problems` has every one of its faults, in file order."""

    exit_code = 78  # EX_CONFIG

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.position))
        super().__init__("\n".join(problem.render() for problem in self.problems))


class StateError(OverlayError):
    """The stored address can't be read or written."""

    exit_code = 74  # EX_IOERR


class KernelError(OverlayError):
    """The kernel refused something that the overlay can't do without."""

    exit_code = 71  # EX_OSERR


class HostError(OverlayError):
    """This host can't be prepared, checked or given back as it is. Nothing was changed, unless the
    message says so."""

    exit_code = 69  # EX_UNAVAILABLE
