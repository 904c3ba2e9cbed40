"""`check`: is the user-data that counts on this host right? The same check as at build time."""

from __future__ import annotations

import argparse
import logging

from overlay_runtime.config.load import read_text
from overlay_runtime.config.sources import CIDATA
from overlay_runtime.errors import ConfigError
from overlay_runtime.logs import set_up
from overlay_runtime.notices import Notice, tell
from overlay_runtime.paths import Paths
from overlay_runtime.userdata.check import findings
from overlay_runtime.userdata.finding import Severity

log = logging.getLogger(__name__)

_MOST = 20


def check(_options: argparse.Namespace, paths: Paths) -> int:
    """Check, leave a notice for status, and print what was found; 1 if there is an error."""
    set_up(debug=False)
    errors, others = [], []
    for path, name in ((paths.embedded, str(paths.embedded)), (paths.volume / "user-data", CIDATA)):
        if not path.exists():
            continue
        try:
            found = findings(read_text(path, name), name)
        except ConfigError as error:
            errors += [problem.render() for problem in error.problems]
            continue
        for one in found:
            if one.severity is Severity.ERROR:
                errors.append(one.problem.render())
            elif one.severity is Severity.WARNING:
                others.append(one.problem.render())
    problems = [f"user-data: {text}" for text in errors[:_MOST]]
    if len(errors) > _MOST:
        problems.append(f"user-data: {len(errors) - _MOST} further errors: edge-overlay check")
    tell(paths.notices, Notice("user-data", tuple(problems), {"warnings": others[:_MOST]}))
    for text in errors:
        print(f"error: {text}")
    for text in others:
        print(f"warning: {text}")
    return 1 if errors else 0
