"""What a person sees of a build: one line a step, with its time and where the result came from."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TextIO

from rich.console import Console
from rich.progress import Progress as Live
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn


@dataclass
class Step:
    """A running step; whoever does the work may say where its result came from.

    `detail` shows on a terminal what the step is at just now.
    """

    title: str
    detail: Callable[[str], None] = lambda _text: None
    note: str = ""


@dataclass
class Progress:
    """Prints steps: a live line with time on a terminal, plain lines elsewhere.

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
        if self.quiet:
            yield Step(title)
            return
        started = time.monotonic()
        with self._running(title) as step:
            ended = "failed"
            try:
                yield step
                ended = "done"
            except KeyboardInterrupt:
                ended = "interrupted"
                raise
            finally:
                self._ended(step, ended, time.monotonic() - started)

    @contextmanager
    def _running(self, title: str) -> Iterator[Step]:
        if not self._console.is_terminal:
            self._console.print(f"{title} …", markup=False)
            yield Step(title)
            return
        columns = (
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            TextColumn("{task.fields[detail]}", markup=False, style="dim"),
        )
        with Live(*columns, console=self._console, transient=True) as live:
            task = live.add_task(title, total=None, detail="")
            yield Step(title, lambda text: live.update(task, detail=text[:60]))

    def _ended(self, step: Step, how: str, seconds: float) -> None:
        live = self._console.is_terminal
        mark = ("✔" if how == "done" else "✘") if live else " "
        words = step.title if live and how == "done" else f"{step.title}: {how}"
        note = f" ({step.note})" if step.note else ""
        self._console.print(f"{mark} {words}{note}  {seconds:.1f} s", markup=False)

    def warn(self, message: str) -> None:
        """A warning: the build goes on, the user should know."""
        self._console.print(f"warning: {message}", style="yellow", markup=False)

    def say(self, message: str) -> None:
        """A plain line that isn't a step (left out when quiet)."""
        if not self.quiet:
            self._console.print(message, markup=False)
