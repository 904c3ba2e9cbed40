"""Times the builder against the plain tools: `sudo .venv/bin/python -m benchmarks.build`.

Each round makes, in turn: our image with an empty cache, the same again with nothing changed and
with another user-data (several times each), and the yardstick of `plain.py`. Prints Markdown.
"""

from __future__ import annotations

import argparse
import dataclasses
import os
import shutil
import statistics
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.figures import machine, spread, table
from benchmarks.measured import Cost, RunFailedError, disk_peak, measure
from benchmarks.plain import PlainBuild, build_plainly
from builder.config import defaults
from builder.plan import make_plan

_USER_DATA = """#cloud-config
hostname: {name}
overlay:
  cidr: 100.64.192.0/23
  secret: the benchmark's own secret, change {name}
"""
_COLD_AIM, _CHANGE_AIM = 0.8, 0.03
_MB = 1e6


@dataclass
class Results:
    """Every run, in the order of the rounds."""

    cold: list[Cost] = field(default_factory=list)
    unchanged: list[Cost] = field(default_factory=list)
    changed: list[Cost] = field(default_factory=list)
    plain: list[PlainBuild] = field(default_factory=list)
    plain_disk: list[int] = field(default_factory=list)
    iso: int = 0
    base: int = 0
    differing: set[str] = field(default_factory=set)


class Ours:
    """Our image through the command line, as a user would call it."""

    def __init__(self, work: Path, mirror: str | None, log: Path) -> None:
        """`work` takes cache and output; nothing of another cache is used."""
        self.cache = work / "cache"
        self._work, self._mirror, self._log = work, mirror, log

    def build(self, name: str) -> Cost:
        """Build with the user-data of host `name`; raises RunFailedError."""
        user_data = self._work / "user-data.yaml"
        user_data.write_text(_USER_DATA.format(name=name))
        words: list[str | Path] = [Path(sys.executable).with_name("edge-build"), "image"]
        words += ["--user-data", user_data, "--cache-dir", self.cache]
        words += ["--output", self._work / "output"]
        words += ["--mirror", self._mirror] if self._mirror else []
        return measure(words, self._log)

    def file(self, pattern: str) -> Path:
        """A file of the cache or the output."""
        return next(self._work.glob(pattern))


def main() -> int:
    """Run the benchmark; return the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks.build", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="cold and plain builds (default 5)")
    parser.add_argument("--warm", type=int, default=5, help="rebuilds of each kind in a round")
    parser.add_argument("--mirror", metavar="URL", help="Debian archive, for both sides")
    parser.add_argument("--work", metavar="DIR", default="/var/tmp", help="scratch space, 5 GB")
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root, as mmdebstrap does")
    about = machine()
    scratch = Path(tempfile.mkdtemp(prefix="edge-bench-", dir=options.work))
    log = scratch / "log"
    results = Results()
    try:
        for number in range(1, options.rounds + 1):
            _round(results, scratch / "round", options.mirror, options.warm, log, number)
    except RunFailedError as error:
        print(error, file=sys.stderr)  # the log stays, to be read
        return 1
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    shutil.rmtree(scratch)
    print(report(results, about))
    return 0


def _round(
    results: Results, work: Path, mirror: str | None, warm: int, log: Path, number: int
) -> None:
    work.mkdir()
    ours = Ours(work, mirror, log)
    with disk_peak(work) as peak:
        cold = ours.build("cold")
    results.cold.append(dataclasses.replace(cold, disk=peak.bytes))
    _say(f"round {number}: cold {cold.seconds:.1f} s")
    for count in range(warm):
        results.unchanged.append(ours.build("cold" if count == 0 else f"change-{count - 1}"))
        results.changed.append(ours.build(f"change-{count}"))
    if len(list(ours.cache.glob("base-*"))) != 1:
        raise RunFailedError("a rebuild made another base: was builder/ edited meanwhile?")
    results.iso = ours.file("output/*.iso").stat().st_size
    results.base = ours.file("cache/base-*/10-base.squashfs").stat().st_size
    packages = ours.file("cache/base-*/packages.tsv").read_text()
    shutil.rmtree(work)

    plain_work = work.with_name("plain")
    plain_work.mkdir()
    settings = {**defaults(), **({"base.mirror": mirror} if mirror else {})}
    base = make_plan(settings, str(plain_work), 0.0).base
    with disk_peak(plain_work) as peak:
        plain = build_plainly(base, plain_work, log)
    results.plain.append(plain)
    results.plain_disk.append(peak.bytes)
    results.differing |= set(packages.splitlines()) ^ set(plain.packages.splitlines())
    shutil.rmtree(plain_work)
    _say(f"round {number}: plain {plain.total.seconds:.1f} s")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def report(results: Results, about: str) -> str:
    """Everything as Markdown."""
    theirs = [build.total for build in results.plain]
    same = [build.total_with_same_options for build in results.plain]
    middle = statistics.median(cost.seconds for cost in results.cold)
    changed = [cost.seconds / middle for cost in results.changed]
    last = results.plain[-1]
    rows = [
        _row("cold build", results.cold),
        _row("rebuild, nothing changed", results.unchanged, digits=2),
        _row("rebuild, another user-data", results.changed, digits=2),
        _row(
            "yardstick: plain tools",
            [
                dataclasses.replace(build.total, disk=disk)
                for build, disk in zip(results.plain, results.plain_disk, strict=True)
            ],
        ),
        _row("of it: mmdebstrap", [build.mmdebstrap for build in results.plain]),
        _row("of it: mksquashfs", [build.mksquashfs for build in results.plain]),
        _row("instead: mksquashfs with our options", [b.same_options for b in results.plain]),
        _row("of it: boot files and xorriso", [build.iso for build in results.plain]),
    ]
    head = ["", "N", "time, s", "processor time, s", "largest process, MB", "disk at peak, MB"]
    ratios = [
        ["cold build / yardstick, by round", f"≤ {_COLD_AIM}", *_ratios(results.cold, theirs)],
        ["the same, yardstick with our squashfs options", "", *_ratios(results.cold, same)],
        ["another user-data / cold build", f"≤ {_CHANGE_AIM}", spread(changed, 4), ""],
    ]
    sizes = [
        ["ISO", f"{results.iso / _MB:.1f}", f"{last.iso_bytes / _MB:.1f}"],
        ["base squashfs", f"{results.base / _MB:.1f}", f"{last.squashfs_bytes / _MB:.1f}"],
    ]
    checked = "the same packages and versions on both sides, checked"
    if results.differing:
        checked = f"**not comparable**: packages differ: {', '.join(sorted(results.differing))}"
    return "\n\n".join(
        [
            f"{about}.",
            table(head, rows),
            table(["ratio", "aim", "of time", "of processor time"], ratios),
            table(["size, MB", "ours", "yardstick"], sizes),
            f"Times are median (min-max); {checked}.",
        ]
    )


def _ratios(ours: list[Cost], theirs: list[Cost]) -> tuple[str, str]:
    """Ours against theirs, round by round: by the clock, and of processors' time."""
    pairs = list(zip(ours, theirs, strict=True))
    clock = [one.seconds / other.seconds for one, other in pairs]
    return spread(clock, 2), spread([o.cpu_seconds / t.cpu_seconds for o, t in pairs], 2)


def _row(name: str, costs: list[Cost], digits: int = 1) -> list[str]:
    disks = [cost.disk / _MB for cost in costs if cost.disk]
    return [
        name,
        str(len(costs)),
        spread([cost.seconds for cost in costs], digits),
        spread([cost.cpu_seconds for cost in costs], digits),
        spread([cost.rss / _MB for cost in costs], 0),
        spread(disks, 0),
    ]


if __name__ == "__main__":
    raise SystemExit(main())
