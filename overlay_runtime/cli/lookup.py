"""`address`, `vip` and `wait`: one answer each, for scripts."""

from __future__ import annotations

import argparse
import time

from overlay_runtime.cli.current import UP, complain, current
from overlay_runtime.paths import Paths
from overlay_runtime.status import final


def field(options: argparse.Namespace, paths: Paths) -> int:
    """Print a field of the overlay's description."""
    status = current(paths)
    value = status["overlay"].get(options.field)
    if not value or status["state"] == "stopped":
        return complain(status)
    print(value)
    return UP


def wait(options: argparse.Namespace, paths: Paths) -> int:
    """Wait until the overlay is up, for `--timeout` seconds or until waiting is useless."""
    deadline = time.monotonic() + options.timeout
    while True:
        status = current(paths)
        if status["state"] == "up":
            return UP
        if final(status) or time.monotonic() >= deadline:
            return complain(status)
        time.sleep(0.1)
