"""`run` and `gather`: what systemd's units call."""

from __future__ import annotations

import argparse
from pathlib import Path

from overlay_runtime.logs import set_up
from overlay_runtime.paths import Paths


def run(options: argparse.Namespace, paths: Paths) -> int:
    """Run the agent until it is told to stop."""
    from overlay_runtime.service import run_service

    set_up(debug=options.debug)
    return run_service(paths, options.identity)


def gather(options: argparse.Namespace, paths: Paths) -> int:
    """Find the user-data and keep a copy for the agent."""
    from overlay_runtime.config.kairos import is_kairos
    from overlay_runtime.config.sources import gather as gather_sources
    from overlay_runtime.stages.prepare import expect_all, prepare

    set_up(debug=options.debug)
    if is_kairos(Path(options.root)):  # its own agent runs the stages, and there is no cloud-init
        gather_sources(options.root, paths, options.identity)
        return 0
    expect_all(paths)
    gather_sources(options.root, paths, options.identity)
    prepare(options.root, paths, options.identity)
    return 0
