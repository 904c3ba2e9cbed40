"""What a stage has to tell: in status, in the journal, and on the console."""

from __future__ import annotations

import contextlib
import logging
import os
from collections import Counter
from pathlib import Path

from overlay_runtime.notices import Notice, tell
from overlay_runtime.stages.runner import Result

log = logging.getLogger(__name__)

_MOST = 20
"""Problems in status; the journal has all."""


def notice(result: Result) -> Notice:
    """Return the result for `edge-overlay status`."""
    said = result.sentences()
    problems = said[:_MOST]
    if len(said) > _MOST:
        problems.append(f"stage {result.stage}: {len(said) - _MOST} further problems: "
                        "journalctl -t edge-overlay")  # fmt: skip
    states = Counter(outcome.state for outcome in result.outcomes)
    details = {
        "steps": dict(states),
        "outcomes": [
            {"step": one.shown, "state": one.state, "why": one.why, "did": one.did,
             "notes": one.notes}
            for one in result.outcomes[:200]
        ],
        "notes": result.notes[:_MOST],
    }  # fmt: skip
    return Notice(f"stage-{result.stage}", tuple(problems), details)


def report(result: Result, notices: Path, console: Path | None) -> None:
    """Tell it everywhere. Never raises."""
    tell(notices, notice(result))
    files = [f"stages: {text}" for text in result.files]
    tell(notices, Notice("stages", tuple(files[:_MOST])))
    said = result.sentences() + files
    for text in said:
        log.error("%s", text)
    for text in result.notes:
        log.info("stage %s: %s", result.stage, text)
    if said and console is not None:
        on_console(console, f"edge-overlay: {said[0]}" + (
            f" ({len(said) - 1} more: edge-overlay status)" if len(said) > 1 else ""))  # fmt: skip


def on_console(console: Path, text: str) -> None:
    """Write one line to the console; it is never waited for."""
    with contextlib.suppress(OSError):
        descriptor = os.open(console, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(descriptor, f"\r\n{text}\r\n".encode(errors="replace"))
        finally:
            os.close(descriptor)
