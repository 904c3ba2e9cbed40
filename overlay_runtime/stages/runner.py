"""Runs one stage: NAME.before, NAME, NAME.after, over all files."""

from __future__ import annotations

import logging
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from overlay_runtime.config.load import fault_of
from overlay_runtime.paths import Paths
from overlay_runtime.stages.actions import ACTIONS, NOT_HERE
from overlay_runtime.stages.cmdline import config_source
from overlay_runtime.stages.conditions import holds
from overlay_runtime.stages.context import Context, OutOfTime, System
from overlay_runtime.stages.host import Host
from overlay_runtime.stages.limits import CHROOTED, EARLY, Limits, limits_of
from overlay_runtime.stages.model import Outcome, Step
from overlay_runtime.stages.order import Plan, plan
from overlay_runtime.stages.sources import (
    DIRECTORIES,
    Documents,
    Sources,
    find_sources,
    is_installed,
)

log = logging.getLogger(__name__)

PARTS = (".before", "", ".after")
_SLACK_S = 10.0
"""After the stage's time, until what no clock stops (a regular expression) is stopped."""


@dataclass
class Result:
    """What became of a stage."""

    stage: str
    outcomes: list[Outcome] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What is wrong beyond steps: files, types, order, time. In sentences, without secrets."""
    files: list[str] = field(default_factory=list)
    """What is wrong about whole files, the same for all stages."""
    notes: list[str] = field(default_factory=list)

    def sentences(self) -> list[str]:
        """Return all that went wrong: what failed, what was not run, and the rest."""
        failures = [
            f"stage {self.stage}: {outcome.shown}: {failure}"
            for outcome in sorted(self.outcomes, key=lambda one: one.state == "not run")
            for failure in outcome.failures
        ]
        return failures + [f"stage {self.stage}: {problem}" for problem in self.problems]


def run_stage(stage: str, paths: Paths, host: Host, limits: Limits | None = None) -> Result:
    """Run a stage. Never raises; what goes wrong is in the result."""
    limits = limits or limits_of(stage)
    result = Result(stage)
    until = host.clock() + limits.stage
    try:
        with _alarm(limits.stage + _SLACK_S):
            _run(result, paths, host, limits, until)
    except OutOfTime:
        result.problems.append(f"its time of {limits.stage:.0f} s is over: what came later was "
                               "not run")  # fmt: skip
    except Exception as error:  # noqa: BLE001 # told by its place: its message may hold a secret
        result.problems.append(fault_of(error))
    return result


def planned(stage: str, paths: Paths, host: Host) -> list[tuple[str, Plan, list[str]]]:
    """Return for each part of a stage its plan and its problems, without running anything."""
    documents = Documents(find_sources(paths, host.tree))
    installed = is_installed(host.tree)
    made = []
    for part in PARTS:
        found = documents.steps(stage + part, installed=installed)
        made.append((stage + part, plan(found.steps), found.problems))
    made[0][2].extend(documents.problems)
    return made


def _run(result: Result, paths: Paths, host: Host, limits: Limits, until: float) -> None:
    about = System(host)
    installed = is_installed(host.tree)
    for part in PARTS:
        stage = result.stage + part
        # Read again: an earlier part may have brought files.
        documents = Documents(_sources(paths, host, until))
        result.files += [text for text in documents.problems if text not in result.files]
        found = documents.steps(stage, installed=installed)
        result.problems += found.problems
        result.notes += found.notes
        order = plan(found.steps)
        for step, why in order.affected:
            result.outcomes.append(
                Outcome(step.shown, "not run", why, failures=[f"not run: {why}"])
            )
        for position, step in enumerate(order.steps):
            outcome = Outcome(step.shown)
            result.outcomes.append(outcome)
            try:
                _step(step, outcome, _context(step, outcome, host, about, limits, until))
            except OutOfTime:
                outcome.state = "failed" if outcome.did or outcome.failures else "not run"
                outcome.failures.append("was stopped: the stage's time is over")
                late = [Outcome(one.shown, "not run", "the stage's time was over")
                        for one in order.steps[position + 1 :]]  # fmt: skip
                result.outcomes += late
                raise


def _sources(paths: Paths, host: Host, until: float) -> Sources:
    found = find_sources(paths, host.tree)
    further, why = config_source(host, len(DIRECTORIES) + 1, until - host.clock())
    found.files += [further] if further else []
    found.problems += [why] if why else []
    return found


def _context(
    step: Step, outcome: Outcome, host: Host, about: System, limits: Limits, until: float
) -> Context:
    base = step.stage.removesuffix(".before").removesuffix(".after")
    offline = {"SYSTEMD_OFFLINE": "1"} if base in CHROOTED else {}
    return Context(host, about, until, limits.command, outcome, base in EARLY, offline)


def _step(step: Step, outcome: Outcome, context: Context) -> None:
    """Run one step; its failures are in the outcome. Raises OutOfTime."""
    try:
        context.check_time()
        why = holds(context, step.data)
        if why:
            outcome.state, outcome.why = "failed" if outcome.failures else "skipped", why
            log.info("stage %s: %s: skipped: %s", step.stage, outcome.shown, why)
            return
        for _, action in ACTIONS:
            try:
                action(context, step.data)
            except Exception as error:  # noqa: BLE001 # the other actions are still to be done
                outcome.failures.append(fault_of(error))
        outcome.notes += [f"`{key}` is of use to Kairos images alone: nothing is done"
                          for key in NOT_HERE if _given(step.data[key])]  # fmt: skip
    except Exception as error:  # noqa: BLE001
        outcome.failures.append(fault_of(error))
    if outcome.failures:
        outcome.state = "failed"
    said = ", ".join(outcome.did) or "nothing"
    log.info("stage %s: %s: %s: %s", step.stage, outcome.shown, outcome.state, said)
    for note in outcome.notes:
        log.info("stage %s: %s: %s", step.stage, outcome.shown, note)


def _given(value: object) -> bool:
    return any(map(_given, value.values())) if isinstance(value, dict) else bool(value)


@contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise OutOfTime in the block after `seconds`, whatever it does: a regular expression can
    take for ever."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: object) -> None:
        raise OutOfTime

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
