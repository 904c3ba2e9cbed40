"""A terminal taken over for a while, and given back as it was, however the program ends."""

from __future__ import annotations

import os
import re
import signal
import sys
import termios
import tty
from types import FrameType, TracebackType
from typing import Any

_ESCAPE = re.compile(r"(\x1b\[[0-9;?]*[a-zA-Z])")
_ENTER, _LEAVE = "\x1b[?1049h\x1b[?25l", "\x1b[?25h\x1b[?1049l"


def fit(line: str, width: int) -> str:
    """Return a line cut to `width` columns; escape sequences take none."""
    left, parts = width, []
    for part in _ESCAPE.split(line):
        if _ESCAPE.fullmatch(part):
            parts.append(part)
        else:
            parts.append(part[:left])
            left -= len(parts[-1])
    return "".join(parts)


class Screen:
    """The terminal's second screen, without a cursor; keys come at once and aren't shown."""

    def __enter__(self) -> Screen:
        self._before: list[Any] = termios.tcgetattr(sys.stdin)
        self._handlers = {n: signal.signal(n, _leave) for n in (signal.SIGTERM, signal.SIGHUP)}
        self._handlers[signal.SIGTSTP] = signal.signal(signal.SIGTSTP, self._suspend)
        self._take()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._give_back()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _take(self) -> None:
        tty.setcbreak(sys.stdin)
        self._write(_ENTER)

    def _give_back(self) -> None:
        self._write(_LEAVE)
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)

    def _suspend(self, number: int, _frame: FrameType | None) -> None:
        """Ctrl-Z: the shell gets its terminal back, and `fg` brings the view back."""
        self._give_back()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)  # stands still here
        signal.signal(number, self._suspend)
        self._take()

    def size(self) -> tuple[int, int]:
        """Return columns and lines as they are now."""
        try:
            columns, lines = os.get_terminal_size(sys.stdout.fileno())
        except OSError:
            return 80, 24
        return columns or 80, lines or 24

    def draw(self, lines: list[str]) -> None:
        """Show lines from the top; each takes the place of what stood there: no flicker."""
        self._write("\x1b[H" + "\r\n".join(line + "\x1b[0m\x1b[K" for line in lines) + "\x1b[J")

    def _write(self, text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()


def _leave(number: int, _frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
