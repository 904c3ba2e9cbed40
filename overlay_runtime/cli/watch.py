"""`watch`: follows the status file. A view on a terminal, else a line for each change."""

from __future__ import annotations

import argparse
import json
import os
import select
import sys
import time
from collections import deque
from collections.abc import Iterator
from typing import Any

from overlay_runtime.changes import BAD, Change, changes
from overlay_runtime.cli.current import current
from overlay_runtime.cli.screen import Screen, fit
from overlay_runtime.paths import Paths
from overlay_runtime.status import boottime
from overlay_runtime.table import Paint, render_status, wrapped

_LOOK_SECONDS = 0.2
_REDRAW_SECONDS = 1.0
_EVENTS = 6


def watch(options: argparse.Namespace, paths: Paths) -> int:
    """Show what happens until the user leaves."""
    if options.json or not (sys.stdout.isatty() and sys.stdin.isatty()):
        for status, news in _news(paths):
            for change in news:
                print(_line(change, options.json, status), flush=True)
            time.sleep(_LOOK_SECONDS)
        return 0
    return _view(paths)


def _news(paths: Paths) -> Iterator[tuple[dict[str, Any], list[Change]]]:
    """Yield the status and what changed since the last time, for ever. Reads only what is new."""
    last: dict[str, Any] | None = None
    stamp: tuple[int, int] | None = None
    status = current(paths)
    looked = 0.0
    while True:
        now = _stamp(paths)
        # Not only when it was written: that it is written no more is news as well.
        if now != stamp or time.monotonic() - looked >= _REDRAW_SECONDS:
            stamp, looked = now, time.monotonic()
            status = current(paths)
        yield status, changes(last, status) if status is not last else []
        last = status


def _stamp(paths: Paths) -> tuple[int, int] | None:
    try:
        found = paths.status.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def _line(change: Change, as_json: bool, status: dict[str, Any]) -> str:
    if as_json:
        at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        return json.dumps({"time": at, "state": status["state"], **change.as_dict()})
    return f"{time.strftime('%H:%M:%S')}  {change.event:<13}  {change.text}"


def _view(paths: Paths) -> int:
    events: deque[tuple[str, Change]] = deque(maxlen=_EVENTS)
    shown: tuple[object, ...] = ()
    with Screen() as screen:
        for number, (status, news) in enumerate(_news(paths)):
            if number:  # what is there at the start is no event
                events.extend((time.strftime("%H:%M:%S"), change) for change in news)
            size = screen.size()
            now = (size, int(time.monotonic() / _REDRAW_SECONDS), len(news) and number)
            if now != shown:
                shown = now
                screen.draw(_frame(status, events, size))
            if select.select([sys.stdin], [], [], _LOOK_SECONDS)[0]:
                key = os.read(sys.stdin.fileno(), 16)
                if not key or key[:1] in (b"q", b"Q", b"\x03", b"\x04"):
                    return 0
    return 0


def _frame(
    status: dict[str, Any], events: deque[tuple[str, Change]], size: tuple[int, int]
) -> list[str]:
    """Return the lines of one picture: the status, cut to what fits, and the last events."""
    width, height = size
    paint = Paint.of(sys.stdout)
    body = render_status(status, boottime(), paint, width).splitlines()
    foot = [paint("q leaves", "unknown")]
    if events:
        told = [line for at, change in events for line in _event(at, change, paint, width)]
        foot = ["", *told[-max(1, height // 3) :], *foot]
    room = max(1, height - len(foot))
    if len(body) > room:
        body = [*body[: room - 1], f"… {len(body) - room + 1} lines more: edge-overlay status"]
    body += [""] * (room - len(body))
    return [fit(line, width) for line in [*body, *foot][-height:]]


def _event(at: str, change: Change, paint: Paint, width: int) -> list[str]:
    kind = "!" if change.event in BAD else "ok"
    first, *more = wrapped(change.text, width - len(change.event) - 12, 2)
    indent = " " * (len(change.event) + 12)
    return [f"{at}  {paint(change.event, kind)}  {first}", *(indent + line[2:] for line in more)]
