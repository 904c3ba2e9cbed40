"""`peers`: how each host is reached, since when, and how lately it was heard."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from overlay_runtime.cli.current import NOT_UP, UP, complain, current
from overlay_runtime.paths import Paths
from overlay_runtime.status import boottime
from overlay_runtime.table import Paint, render_peer, render_peers, terminal_width


def peers(options: argparse.Namespace, paths: Paths) -> int:
    """Print all peers, or those that the argument names in full."""
    status = current(paths)
    if not status["overlay"]:
        return complain(status)
    found: list[dict[str, Any]] = status["peers"]
    if options.peer:
        found = [peer for peer in found if _is(peer, options.peer)]
        if not found:
            print(f"edge-overlay: no host has the name, address or id {options.peer!r}; "
                  "`edge-overlay peers` shows all that are known", file=sys.stderr)  # fmt: skip
            return NOT_UP
    if options.json:
        print(json.dumps(found, indent=1))
    elif options.peer:
        print("\n\n".join(render_peer(peer, boottime()) for peer in found))
    else:
        print(render_peers(found, boottime(), Paint.of(sys.stdout), terminal_width()))
    return UP if status["state"] == "up" else NOT_UP


def _is(peer: dict[str, Any], wanted: str) -> bool:
    names = (peer["name"], peer["address"], peer.get("id"), peer.get("mac"), *peer["physical"])
    return wanted in names
