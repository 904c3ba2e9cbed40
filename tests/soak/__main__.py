"""`python -m tests.soak [--hosts N] [--minutes N] [--seed N]`: real agents in one segment, each in
a network namespace; random troubles for most of them, and traffic between some that are left in
peace. Prints a report; the exit code is 1 if anything was not as it must be. Needs root.

Forty hosts are what two processors bear: each change makes all the others look at it."""

from __future__ import annotations

import argparse
import heapq
import itertools
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from tests.netns.lab import Host, Lab
from tests.netns.namespaces import enlarge_neighbour_tables
from tests.netns.probe import Probe
from tests.soak import checks
from tests.soak.troubles import TROUBLES, Site, Trouble, renumber_all, swap

CIDR = "100.64.192.0/23"
_IN_PEACE = 6
_RATE = 50
_ROUND_S = 40.0
_AT_ONCE = 4
_SETTLES_S = 120.0
_PAIRS = 300
_EVERYBODY = 0.4
"""How often a round begins with another address for each host, those in peace too."""

_LONGEST_GAP_S = 1.0
_GROWTH = 1.25


class Soak:
    """One run."""

    def __init__(self, lab: Lab, count: int, chance: random.Random) -> None:
        self.site = Site(lab, chance)
        self.hosts = [lab.host(f"h{n}") for n in range(count)]
        self.peaceful, self.troubled = self.hosts[:_IN_PEACE], self.hosts[_IN_PEACE:]
        for host in self.hosts:
            host.debug = False
            self.site.take(host, self.site.free_address())
        self.first: dict[str, str] = {}
        self.happened: Counter[str] = Counter()
        self.wrong: list[str] = []
        self.story: list[str] = []
        """What happened to whom, and when it began."""

    def start(self) -> None:
        """Start all agents as fast as this machine can, and check what they made of it."""
        began = time.monotonic()
        for host in self.hosts:
            host.start(f"cidr: {CIDR}")
        _say(f"{len(self.hosts)} agents started within {time.monotonic() - began:.1f} s")
        self._settle(began)

    def trouble(self, minutes: float) -> None:
        """Make trouble for so long, with checks in between and traffic all the time."""
        before = checks.memory(self.hosts)
        end = time.monotonic() + minutes * 60
        with ExitStack() as stack:
            ring = itertools.pairwise([*self.peaceful, self.peaceful[0]])
            probes = [
                stack.enter_context(Probe(one.end, other.end, port, _RATE))
                for port, (one, other) in enumerate(ring, 7100)
            ]
            while time.monotonic() < end and not self.wrong:
                self._round(min(_ROUND_S, end - time.monotonic()))
                self._settle(time.monotonic())
        for probe in probes:
            outcome = probe.outcome()
            _say(f"left in peace: {outcome}")
            if outcome.gap > _LONGEST_GAP_S:
                self.wrong.append(f"hosts left in peace: nothing for {outcome.gap:.1f} s")
        after = checks.memory(self.hosts)
        usual, now = statistics.median(before), statistics.median(after)
        _say(f"resident memory, MiB: median {usual:.1f}, then {now:.1f}; "
             f"most {max(before):.1f}, then {max(after):.1f}")  # fmt: skip
        if now > usual * _GROWTH:
            self.wrong.append("memory grows")

    def _round(self, seconds: float) -> None:
        """Keep some hosts in trouble for some seconds, then let all troubles end."""
        if self.site.random.random() < _EVERYBODY:
            self.happened["everybody renumbered"] += 1
            renumber_all(self.site, self.hosts)
        end, tie = time.monotonic() + seconds, itertools.count()
        running: list[tuple[float, int, Trouble, tuple[Host, ...]]] = []
        while running or time.monotonic() < end:
            while len(running) < _AT_ONCE and time.monotonic() < end:
                busy = {host.name for *_, hosts in running for host in hosts}
                trouble, hosts = self._choose([h for h in self.troubled if h.name not in busy])
                heapq.heappush(running, (time.monotonic(), next(tie), trouble, hosts))
            due, _, trouble, hosts = heapq.heappop(running)
            time.sleep(max(0.0, due - time.monotonic()))
            try:
                pause = next(trouble)
            except StopIteration:
                continue
            heapq.heappush(running, (time.monotonic() + pause, next(tie), trouble, hosts))

    def _choose(self, free: list[Host]) -> tuple[Trouble, tuple[Host, ...]]:
        name = self.site.random.choice([*TROUBLES, "swapped"])
        self.happened[name] += 1
        if name == "swapped":
            one, other = self.site.random.sample(free, 2)
            self._note(f"{name}: {one.name} and {other.name}")
            return swap(self.site, one, other), (one, other)
        host = self.site.random.choice(free)
        self._note(f"{name}: {host.name}")
        return TROUBLES[name](self.site, host), (host,)

    def _note(self, text: str) -> None:
        self.story.append(f"{time.strftime('%H:%M:%S')} {text}\n")

    def _settle(self, began: float) -> None:
        """Wait until all know all; then everything must be as it was."""
        while missing := checks.everybody_knows_everybody(self.hosts):
            if time.monotonic() - began > _SETTLES_S:
                self.wrong.append(f"not within {_SETTLES_S:.0f} s: {missing}")
                return
            time.sleep(0.5)
        took = time.monotonic() - began
        self.wrong += checks.addresses_hold(self.hosts, CIDR, self.first)
        self.wrong += checks.pairs_reach(self.hosts, self.site.random, _PAIRS)
        self.wrong += checks.faults_in_logs(self.hosts)
        _say(f"all know all after {took:.1f} s; {sum(self.happened.values())} troubles so far; "
             f"wrong: {self.wrong or 'nothing'}")  # fmt: skip


def main() -> int:
    """Run; return the exit code."""
    parser = argparse.ArgumentParser(prog="tests.soak", description=__doc__)
    parser.add_argument("--hosts", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    if os.geteuid() != 0:
        parser.error("needs root, to make network namespaces")
    enlarge_neighbour_tables()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    _say(f"{options.hosts} hosts, {options.minutes:g} minutes, seed {options.seed}")
    scratch = tempfile.TemporaryDirectory(prefix="edge-soak-", ignore_cleanup_errors=True)
    with scratch as directory, Lab(Path(directory), logs=False) as lab:
        soak = Soak(lab, options.hosts, random.Random(options.seed))
        soak.start()
        if not soak.wrong:
            soak.trouble(options.minutes)
        if soak.wrong:
            _keep_logs(soak)
    happened = ", ".join(f"{n} {name}" for name, n in sorted(soak.happened.items()))
    _say(f"happened: {happened or 'nothing'}")
    for one in soak.wrong:
        _say(f"WRONG: {one}")
    return bool(soak.wrong)


def _keep_logs(soak: Soak) -> None:
    kept = Path("build/soak")
    kept.mkdir(parents=True, exist_ok=True)
    (kept / "troubles.log").write_text("".join(soak.story))
    for host in soak.hosts:
        (kept / f"{host.name}.log").write_text(host.log())
    _say(f"the agents' logs are in {kept}")


def _say(text: str) -> None:
    print(time.strftime("%H:%M:%S"), text, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
