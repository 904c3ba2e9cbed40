"""What a person sees of a build: one line a step, with its time and where the result came from."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.status import Status


@dataclass
class Step:
    """A running step; whoever does the work may say where its result came from."""

    title: str
    note: str = ""


@dataclass
class Progress:
    """Prints steps: a live line with a spinner on a terminal, plain lines elsewhere.

    `quiet` leaves only warnings. All of it goes to `stream` (standard error), so that standard
    output stays for results.
    """

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    quiet: bool = False

    def __post_init__(self) -> None:
        self._console = Console(file=self.stream, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, title: str) -> Iterator[Step]:
        """Announce a step, time it, and print how it ended (also when it fails)."""
        step = Step(title)
        if self.quiet:
            yield step
            return
        started = time.monotonic()
        live = self._console.is_terminal
        status: Status | None = None
        if live:
            status = self._console.status(f"{title} …")
            status.start()
        else:
            self._console.print(f"{title} …", markup=False)
        ended = "failed"
        try:
            yield step
            ended = "done"
        except KeyboardInterrupt:
            ended = "interrupted"
            raise
        finally:
            if status is not None:
                status.stop()
            took = f"{time.monotonic() - started:.1f} s"
            mark = ("✔" if ended == "done" else "✘") if live else " "
            words = f"{title}: {ended}" if not live or ended != "done" else title
            note = f" ({step.note})" if step.note else ""
            self._console.print(f"{mark} {words}{note}  {took}", markup=False)

    def warn(self, message: str) -> None:
        """A warning: the build goes on, the user should know."""
        self._console.print(f"warning: {message}", style="yellow", markup=False)

    def say(self, message: str) -> None:
        """A plain line that isn't a step (left out when quiet)."""
        if not self.quiet:
            self._console.print(message, markup=False)
