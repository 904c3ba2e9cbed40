"""`status`: is it up, who is there, what is wrong."""

from __future__ import annotations

import argparse
import json
import sys

from overlay_runtime.cli.current import NOT_UP, UP, current
from overlay_runtime.paths import Paths
from overlay_runtime.status import boottime
from overlay_runtime.table import Paint, render_status, terminal_width


def status(options: argparse.Namespace, paths: Paths) -> int:
    """Print the status; return 0 if the overlay is up."""
    found = current(paths)
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print(render_status(found, boottime(), Paint.of(sys.stdout), terminal_width()))
    return UP if found["state"] == "up" else NOT_UP
