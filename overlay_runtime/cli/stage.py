"""`run-stage`: what Kairos's agent does by the same name."""

from __future__ import annotations

import argparse
import os
import re
import sys
from pathlib import Path

from overlay_runtime.logs import set_up
from overlay_runtime.paths import Paths
from overlay_runtime.stages.host import LiveHost
from overlay_runtime.stages.limits import Limits, limits_of
from overlay_runtime.stages.runner import planned, run_stage
from overlay_runtime.stages.telling import report
from overlay_runtime.stages.units import after_early_stages, units_state

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def stage(options: argparse.Namespace, paths: Paths) -> int:
    """Run stages, one after the other; 1 if something in them failed."""
    for name in options.stages:
        if not _NAME.fullmatch(name):
            print(f"edge-overlay: {name[:64]!r} is no name of a stage", file=sys.stderr)
            return 64  # EX_USAGE
    host = LiveHost(Path(options.root))
    if options.dry_run:
        return _show(options.stages, paths, host)
    set_up(debug=options.debug)
    live = Path(options.root) == Path("/")
    # Only what systemd starts speaks on the console; a person sees it anyway.
    console = Path("/dev/console") if live and "INVOCATION_ID" in os.environ else None
    before = units_state(host.tree)
    failed = False
    for name in options.stages:
        usual = limits_of(name)
        limits = Limits(options.command_limit or usual.command, options.stage_limit or usual.stage)
        result = run_stage(name, paths, host, limits)
        report(result, paths.notices, console)
        failed = failed or bool(result.sentences() or result.files)
    if live:
        after_early_stages(host, options.stages, before)
    return 1 if failed else 0


def _show(stages: list[str], paths: Paths, host: LiveHost) -> int:
    wrong = False
    for name in stages:
        for part, plan, problems in planned(name, paths, host):
            for number, step in enumerate(plan.steps, start=1):
                keys = ", ".join(key for key, value in step.data.items() if value
                                 and key not in ("name", "after") and _given(value))  # fmt: skip
                print(f"{part} {number}. {step.shown}: {keys or 'nothing'}")
            for step, why in plan.affected:
                print(f"{part} ✗ {step.shown}: not run: {why}")
            for text in problems:
                print(f"{part} ✗ {text}")
            wrong = wrong or bool(plan.affected or problems)
    return 1 if wrong else 0


def _given(value: object) -> bool:
    return any(map(_given, value.values())) if isinstance(value, dict) else bool(value)
