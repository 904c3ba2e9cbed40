"""`network apply` and `network watch`: what systemd's units call."""

from __future__ import annotations

import argparse

from overlay_runtime.logs import set_up
from overlay_runtime.paths import Paths


def network(options: argparse.Namespace, paths: Paths) -> int:
    """Bring the described network into effect, or look whether it holds."""
    set_up(debug=options.debug)
    if options.action == "apply":
        from overlay_runtime.network.apply import apply

        apply(paths)
    else:
        from overlay_runtime.network.watch import watch

        watch(paths)
    return 0
