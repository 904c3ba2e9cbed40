"""Times the overlay in network namespaces: `sudo .venv/bin/python -m benchmarks.overlay`.

Real agents in real namespaces on one bridge. Prints Markdown and draws `overlay-gaps.svg`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.costs import costs, times
from benchmarks.figures import machine, spread, table
from benchmarks.gap import Gap
from benchmarks.kept import Kept
from benchmarks.lab import LabError, lab
from benchmarks.plot import Row, plot
from benchmarks.renumber import CHANGES, Change, EdgeOverlay, Overlay, gaps
from benchmarks.rivals import RIVALS
from benchmarks.segment import segment
from benchmarks.startup import Startup, startups
from benchmarks.traffic import against_hand_made, vip_moves

PLOT = Path(__file__).with_name("overlay-gaps.svg")
RIVALS_PLOT = PLOT.with_name("overlay-rivals.svg")
_PARTS = ("startup", "renumber", "rivals", "traffic", "costs", "segment")
_CONTROL = "control: nothing changes"
_SLOW_S, _SLOW_RUNS = 60.0, 3
"""What may take minutes, or doesn't come back at all, is measured, but not twenty times."""

_NETWORKS = (("IPv4 and IPv6", True), ("IPv4 only", False))


@dataclass(frozen=True)
class Case:
    """What is measured together."""

    overlay: Overlay
    change: Change
    crowd: int

    @property
    def label(self) -> str:
        """In words."""
        crowd = f", {self.crowd} more hosts" if self.crowd else ""
        return f"{self.overlay.label}{crowd}; {self.change.label}"

    @property
    def possible(self) -> bool:
        """Whether there is a way all the time: by IPv4 alone there is none while an address is
        missing, nor between hosts of which only one has moved to another range."""
        return self.overlay.ipv6 or not (self.change.missing_s or self.change.who == "in turn")


Found = dict[Case, list[Gap]]


@dataclass(frozen=True)
class Plan:
    """How gaps are measured: `runs` of each case whose label has `match` in it."""

    directory: Path
    kept: Kept
    runs: int
    match: str


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.overlay", description=__doc__)
    parser.add_argument("--runs", type=int, default=10, help="of each case (default 10)")
    parser.add_argument("--only", choices=_PARTS, help="one part")
    parser.add_argument("--match", default="", metavar="TEXT", help="gaps: cases with it in them")
    help_keep = "gaps: write runs down there, and go on from what is there"
    parser.add_argument("--keep", type=Path, metavar="FILE", help=help_keep)
    parser.add_argument("--plot", type=Path, default=PLOT, metavar="FILE", help="the SVG")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root, to make network namespaces")
    parts = [f"{machine()}."]
    scratch = tempfile.TemporaryDirectory(prefix="edge-bench-", ignore_cleanup_errors=True)
    try:
        with scratch as directory:
            kept = Kept(options.keep or Path(directory) / "gaps.jsonl")
            plan = Plan(Path(directory), kept, options.runs, options.match)
            if options.only in (None, "startup"):
                parts += _startup(Path(directory), options.runs)
            if options.only in (None, "renumber"):
                parts += _renumber(plan, options.plot)
            if options.only in (None, "rivals"):
                parts += _rivals(plan, RIVALS_PLOT)
            if options.only in (None, "traffic"):
                parts += _traffic(Path(directory), options.runs)
            if options.only in (None, "costs"):
                parts += _costs(Path(directory), options.runs)
            if options.only in (None, "segment"):
                with lab(Path(directory) / "segment") as one:
                    parts.append(segment(one, (2, 10, 50), _say))
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


def _renumber(plan: Plan, picture: Path) -> list[str]:
    """Ours, with and without a crowd, in every way that physical addresses may change."""
    cases = [
        Case(EdgeOverlay(transport), change, crowd)
        for transport in ("ipv6-link-local", "ipv4")
        for crowd in (0, 200)
        for change in CHANGES
        if not crowd or not change.missing_s
    ]
    found = _gaps(plan, cases)
    picture.write_text(plot("Gap in overlay traffic when physical addresses change", _rows(found)))
    return [_gap_table(found), _pooled(found), f"Plot: {picture.name}"]


def _rivals(plan: Plan, picture: Path) -> list[str]:
    """The same probes over other overlays."""
    ways = (Change("one"), Change("one", 5), Change("both"))
    engines = (EdgeOverlay("ipv6-link-local"), EdgeOverlay("ipv4"), *RIVALS)
    cases = [Case(engine, change, 0) for change in ways for engine in engines]
    found = _gaps(plan, cases)
    title = "Gap in traffic when a host's address changes, by overlay"
    picture.write_text(plot(title, _rows(found)))
    return [_gap_table(found), f"Plot: {picture.name}"]


def _gaps(plan: Plan, cases: Sequence[Case]) -> Found:
    found: Found = {}
    for number, case in enumerate(cases):
        if plan.match not in case.label:
            continue
        count = plan.runs if case.overlay.patience_s < _SLOW_S else min(plan.runs, _SLOW_RUNS)
        done = plan.kept.runs(case.label)
        if len(done) < count and not _hopeless(done):
            with lab(plan.directory / f"gaps{number}") as one:
                left = count - len(done)
                for gap in gaps(one, case.overlay, case.change, left, crowd=case.crowd):
                    plan.kept.add(case.label, gap)
                    back = "" if gap.returned else ", NOT BACK"
                    _say(f"{case.label}: lost {gap.lost_to}/{gap.lost_from}, {gap.gap * 1000:.0f} "
                         f"ms, TCP {gap.stall * 1000:.0f} ms{back}")  # fmt: skip
                    if _hopeless(plan.kept.runs(case.label)):
                        break
        found[case] = plan.kept.runs(case.label)
    return found


def _hopeless(runs: Sequence[Gap]) -> bool:
    return sum(not gap.returned for gap in runs) >= _SLOW_RUNS


def _gap_table(found: Found) -> str:
    rows = []
    for case, same in found.items():
        times = [_ms([g.gap for g in same]), _ms([g.stall for g in same])]
        back, patience = sum(g.returned for g in same), case.overlay.patience_s
        returned = "yes" if back == len(same) else f"{back} of {len(same)} in {patience:g} s"
        lost = (spread([g.lost_to for g in same], 0), spread([g.lost_from for g in same], 0))
        rows.append([case.label, str(len(same)), *lost, *map(spread, times),
                     returned])  # fmt: skip
    every = [gap for same in found.values() for gap in same]
    quiet = spread([g.quiet_lost for g in every], 0)
    times = [_ms([g.quiet_gap for g in every]), _ms([g.quiet_stall for g in every])]
    rows.append([_CONTROL, str(len(every)), f"{quiet} (both)", "", *map(spread, times), ""])
    head = ["overlay; what changes", "N", "lost to it", "lost from it", "longest gap, ms"]
    return table([*head, "TCP stall, ms", "came back"], rows)


def _pooled(found: Found) -> str:
    """All runs of an overlay in which there was a way all the time: enough of them for a 99th
    percentile."""
    rows = []
    possible = {case: runs for case, runs in found.items() if case.possible}
    for label in dict.fromkeys(case.overlay.label for case in possible):
        same = [gap for case, runs in possible.items() if case.overlay.label == label
                for gap in runs]  # fmt: skip
        lost = [max(gap.lost_to, gap.lost_from) for gap in same]
        columns = (lost, _ms([gap.gap for gap in same]), _ms([gap.stall for gap in same]))
        told = [f"{statistics.median(c):.1f} / {_percentile99(c):.1f}" for c in columns]
        rows.append([label, str(len(same)), *told])
    head = ["all changes with a way; median / 99th percentile", "N", "lost, worse direction"]
    return table([*head, "longest gap, ms", "TCP stall, ms"], rows)


def _percentile99(values: Sequence[float]) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[98]


def _rows(found: Found) -> list[Row]:
    rows = [
        Row(case.label, (_ms([g.gap for g in same]), _ms([g.stall for g in same])))
        for case, same in found.items()
    ]
    every = [gap for same in found.values() for gap in same]
    return [*rows, Row(_CONTROL, (_ms([g.quiet_gap for g in every]),
                                  _ms([g.quiet_stall for g in every])))]  # fmt: skip


def _ms(seconds: Sequence[float]) -> list[float]:
    return [value * 1000 for value in seconds]


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
