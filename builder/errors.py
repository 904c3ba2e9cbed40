"""What can go wrong in a build, each with an exit code for CI and a remedy for people.

Exit codes are those of sysexits(3), so that CI can tell "mend your file" from "try again later".
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class BuildError(Exception):
    """A build that can't go on: one sentence, how to mend it, and what the failing tool said.

    `message` is a sentence without a trailing full stop, `remedy` says what to do about it,
    `tail` holds a failing tool's own last lines, `log` is where all of its output lies.
    """

    exit_code = 70  # EX_SOFTWARE

    def __init__(
        self,
        message: str,
        remedy: str = "",
        *,
        tail: Sequence[str] = (),
        log: Path | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.tail = tuple(tail)
        self.log = log


class InputError(BuildError):
    """User-data or edge.yaml is wrong; `problems` are rendered `file:line:column: …` lines."""

    exit_code = 65  # EX_DATAERR

    def __init__(self, message: str, remedy: str = "", problems: Sequence[str] = ()) -> None:
        super().__init__(message, remedy)
        self.problems = tuple(problems)


class UnfitBaseError(InputError):
    """The base image can't be used: another architecture, or something in it is missing."""


class NotKairosError(UnfitBaseError):
    """The base image is no Kairos image."""


class UnknownImageError(BuildError):
    """Neither the Docker daemon nor the registry knows the image."""

    exit_code = 66  # EX_NOINPUT


class CredentialsError(BuildError):
    """The registry wants a login, or refuses the one it got."""

    exit_code = 77  # EX_NOPERM


class DroppedError(BuildError):
    """What was written lacks something that was asked for."""

    exit_code = 70  # EX_SOFTWARE


class MissingFileError(BuildError):
    """A file that the user named can't be read."""

    exit_code = 66  # EX_NOINPUT


class MissingToolError(BuildError):
    """A program that a step needs isn't installed."""

    exit_code = 69  # EX_UNAVAILABLE


class UnavailableError(BuildError):
    """Something outside can't be reached: the Debian mirror, PyPI, the Docker daemon."""

    exit_code = 69  # EX_UNAVAILABLE


class ToolFailedError(BuildError):
    """A program that a step runs ended with an error."""

    exit_code = 70  # EX_SOFTWARE


class OutputError(BuildError):
    """The output can't be written where the user wants it."""

    exit_code = 73  # EX_CANTCREAT


class DiskFullError(BuildError):
    """Not enough room for the work or for the output."""

    exit_code = 74  # EX_IOERR


class BusyError(BuildError):
    """Another build holds what this one needs."""

    exit_code = 75  # EX_TEMPFAIL


class PrivilegeError(BuildError):
    """The step needs rights that this user hasn't got."""

    exit_code = 77  # EX_NOPERM


class InterruptedBuildError(BuildError):
    """The user or CI ended the build (SIGINT, SIGTERM, SIGHUP)."""

    exit_code = 130
