"""The status as commands see it: what the file says, and whether its agent is alive."""

from __future__ import annotations

import sys
from typing import Any

from overlay_runtime.notices import problems, told
from overlay_runtime.paths import Paths
from overlay_runtime.status import alive, ended, read_status
from overlay_runtime.table import state_in_words

UP, NOT_UP = 0, 1
_STOPPED = "the agent is not running: systemctl status edge-overlay"


def current(paths: Paths) -> dict[str, Any]:
    """Return the status, with the state "stopped" if its agent is gone, and with what others have
    to tell (`notices`)."""
    status = _of_the_agent(paths)
    notices = told(paths.notices)
    status["problems"] = [*status["problems"], *problems(notices)]
    return {**status, "notices": {one.subject: dict(one.details) for one in notices}}


def _of_the_agent(paths: Paths) -> dict[str, Any]:
    status = read_status(paths.status)
    if status is None:
        return {"state": "stopped", "problems": [_STOPPED], "overlay": {}}
    if alive(status) or ended(status):
        return status
    return {**status, "state": "stopped", "problems": [_STOPPED, *status["problems"]]}


def complain(status: dict[str, Any]) -> int:
    """Say on standard error why the overlay is not up; return the exit code."""
    for text in (state_in_words(status), *status["problems"]):
        print(f"edge-overlay: {text}", file=sys.stderr)
    return NOT_UP
