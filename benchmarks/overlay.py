"""Times the overlay in network namespaces: `sudo .venv/bin/python -m benchmarks.overlay`.

Real agents in real namespaces on one bridge. Prints Markdown and draws `overlay-gaps.svg`.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.costs import costs, times
from benchmarks.figures import machine, spread, table
from benchmarks.lab import LabError, lab
from benchmarks.plot import Row, plot
from benchmarks.renumber import MODES, Gap, gaps
from benchmarks.startup import Startup, startups
from benchmarks.traffic import against_hand_made, vip_moves

PLOT = Path(__file__).with_name("overlay-gaps.svg")
_PARTS = ("startup", "renumber", "traffic", "costs")
_NETWORKS = (("IPv4 and IPv6", True), ("IPv4 only", False))


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.overlay", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="of each case (default 10)")
    parser.add_argument("--only", choices=_PARTS, help="one part")
    parser.add_argument("--plot", type=Path, default=PLOT, metavar="FILE", help="the SVG")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root, to make network namespaces")
    parts = [f"{machine()}."]
    scratch = tempfile.TemporaryDirectory(prefix="edge-bench-", ignore_cleanup_errors=True)
    try:
        with scratch as directory:
            if options.only in (None, "startup"):
                parts += _startup(Path(directory), options.runs)
            if options.only in (None, "renumber"):
                parts += _renumber(Path(directory), options.runs, options.plot)
            if options.only in (None, "traffic"):
                parts += _traffic(Path(directory), options.runs)
            if options.only in (None, "costs"):
                parts += _costs(Path(directory), options.runs)
    except LabError as error:
        print(f"nothing measured: {error}", file=sys.stderr)
        return 1
    print("\n\n".join(parts))
    return 0


def _startup(directory: Path, runs: int) -> list[str]:
    found: list[Startup] = []
    for index, (network, ipv6) in enumerate(_NETWORKS):
        with lab(directory / f"startup{index}") as one:
            for startup in startups(one, network, ipv6=ipv6, runs=runs):
                found.append(startup)
                _say(f"{network}: {startup.case}: {startup.answered:.2f} s")
    cases = list(dict.fromkeys((startup.case, startup.network) for startup in found))
    rows = []
    for case, network in cases:
        same = [s for s in found if (s.case, s.network) == (case, network)]
        columns = ([s.addressed for s in same], [s.up for s in same], [s.answered for s in same])
        rows.append([case, network, str(len(same)), *[_after(column) for column in columns]])
    head = ["from", "network", "N", "address on scbr-100, s", "`up` in status, s"]
    return [table([*head, "first answer of a peer, s"], rows)]


def _costs(directory: Path, runs: int) -> list[str]:
    with lab(directory / "costs") as one:
        return [costs(one, (0, 200, 1000), _say), times(one, 1000, runs, _say)]


def _traffic(directory: Path, runs: int) -> list[str]:
    with lab(directory / "traffic") as one:
        return [against_hand_made(one, runs, _say), vip_moves(one, runs, _say)]


def _after(values: Sequence[float]) -> str:
    return "before" if max(values) < 0 else spread(values, 2)


def _renumber(directory: Path, runs: int, picture: Path) -> list[str]:
    found: list[Gap] = []
    for index, mode in enumerate(MODES):
        with lab(directory / f"renumber{index}") as one:
            for gap in gaps(one, mode, runs):
                found.append(gap)
                _say(f"{mode.label}: lost {gap.lost_to}/{gap.lost_from}, {gap.gap * 1000:.0f} ms")
    rows, lines = [], []
    for mode in MODES:
        same = [gap for gap in found if gap.mode == mode]
        longest, stalls = _ms([g.gap for g in same]), _ms([g.stall for g in same])
        lost = (spread([g.lost_to for g in same], 0), spread([g.lost_from for g in same], 0))
        rows.append([mode.label, str(len(same)), *lost, spread(longest), spread(stalls)])
        lines.append(Row(mode.label, (longest, stalls)))
    quiet = (_ms([g.quiet_gap for g in found]), _ms([g.quiet_stall for g in found]))
    lost_quietly = spread([g.quiet_lost for g in found], 0)
    control = "control: nothing changes"
    rows.append([control, str(len(found)), f"{lost_quietly} (both)", "", *map(spread, quiet)])
    lines.append(Row(control, quiet))
    picture.write_text(plot("Gap in overlay traffic when physical addresses change", lines))
    head = ["transport; what changes", "N", "lost to it", "lost from it", "longest gap, ms"]
    return [table([*head, "TCP stall, ms"], rows), f"Plot: {picture.name}"]


def _ms(seconds: Sequence[float]) -> list[float]:
    return [value * 1000 for value in seconds]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
