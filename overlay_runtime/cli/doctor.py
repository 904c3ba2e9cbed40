"""`doctor`: runs the checks and shows what they found."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import textwrap
import time

from overlay_runtime.cli.current import current
from overlay_runtime.doctor.model import Host, Result
from overlay_runtime.doctor.probe import probe_all, sample
from overlay_runtime.doctor.suite import CHECKS, PROBING, examine
from overlay_runtime.paths import Paths
from overlay_runtime.status import boottime
from overlay_runtime.table import Paint


def doctor(options: argparse.Namespace, paths: Paths) -> int:
    """Print what is wrong and how to mend it; return 1 if there is a fault."""
    unknown = [name for name in options.checks if name not in CHECKS]
    if unknown:
        print(f"edge-overlay: there is no check {unknown[0]!r}; there are: {', '.join(CHECKS)}",
              file=sys.stderr)  # fmt: skip
        return 64  # EX_USAGE
    names = options.checks or list(CHECKS)
    host = Host(current(paths), boottime(), time.time(), paths.state_dir, paths=paths)
    if PROBING & set(names) and host.running:
        _probe(host)
    results = examine(host, names)
    if options.json:
        print(json.dumps({name: vars(result) for name, result in results.items()}, indent=1))
    else:
        width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
        print(render(results, Paint.of(sys.stdout), width))
    return int(any(result.verdict == "fault" for result in results.values()))


def _probe(host: Host) -> None:
    peers = sample(host.peers)
    try:
        host.probes = probe_all(peers, host.overlay.get("mtu") or 0) if peers else {}
    except PermissionError:
        host.why_no_probes = "probes across the overlay need root: sudo edge-overlay doctor"
    except OSError as error:
        host.why_no_probes = f"no probe can be sent: {error.strerror}"


def render(results: dict[str, Result], paint: Paint, width: int) -> str:
    """Return the results as a table, with remedies below what isn't right."""
    name_width = max(map(len, results)) + 2
    indent = 9 + name_width
    lines = []
    for name, result in results.items():
        cut = textwrap.wrap(result.found, max(30, width - indent)) or [""]
        word = paint(result.verdict, result.verdict) + " " * (9 - len(result.verdict))
        lines.append(f"{word}{name:<{name_width}}{cut[0]}")
        lines += [" " * indent + line for line in cut[1:]]
        if result.remedy:
            lines += textwrap.wrap(f"→ {result.remedy}", max(30, width - indent),
                                   initial_indent=" " * indent,
                                   subsequent_indent=" " * (indent + 2))  # fmt: skip
    verdicts = [result.verdict for result in results.values()]
    counted = ((verdicts.count(v), v) for v in ("fault", "warning", "unknown", "ok"))
    return "\n".join([*lines, "", ", ".join(f"{n} {v}" for n, v in counted if n)])
