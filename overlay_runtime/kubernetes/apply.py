"""Writes what the plan says, takes away what it no longer says, and tells what came of it.

Written are files of our own names alone. What is as it should be is not touched: a file's time says
when Kubernetes was last told something new.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from overlay_runtime.files import write_atomic
from overlay_runtime.kubernetes import record as records
from overlay_runtime.kubernetes.detect import UNITS, detect, set_up
from overlay_runtime.kubernetes.facts import Facts, gather
from overlay_runtime.kubernetes.model import File, Plan, below
from overlay_runtime.kubernetes.plan import make_plan
from overlay_runtime.kubernetes.running import Running, look
from overlay_runtime.notices import Notice, tell
from overlay_runtime.paths import Paths

log = logging.getLogger(__name__)

SUBJECT = "kubernetes"
_FOLDER_MODE = 0o755
_FOLDER_MODES = {"server": 0o700}
"""There k3s and RKE2 keep keys and tokens: they make it so themselves, unless it is there
(pkg/daemons/control/server.go, `prepare`)."""


@dataclass
class Outcome:
    """What an apply did: paths written and removed, and what could not be done.

    `unwritten`: the paths of files that say something, and could not be written.
    """

    plan: Plan
    written: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    unwritten: list[str] = field(default_factory=list)


def apply(
    paths: Paths,
    starting: str | None = None,
    *,
    adopt: bool = False,
    facts: Facts | None = None,
    running: Callable[[Plan, Paths], Running] = look,
) -> Outcome:
    """Bring the host's files to what the plan says. Never raises for what the disk refuses."""
    facts = facts or gather(paths)
    with records.alone(paths):
        record = records.load(paths)
        if starting:
            record.started |= {name: starting for name, of in UNITS.items() if starting in of}
        plan = make_plan(paths.root, facts, record, starting)
        if adopt and plan.detected.distribution and plan.overlay:
            record.adopted[plan.detected.distribution] = str(plan.overlay.address)
            plan = make_plan(paths.root, facts, record, starting)
        outcome = Outcome(plan)
        if not plan.leave:
            # With several here, who starts tells its own part alone: the other's files stay.
            alone = not (starting and detect(paths.root, facts.cluster, facts.kairos).several)
            _bring_about(paths, record, outcome, alone=alone)
    tell(paths.notices, notice(outcome, running(plan, paths)))
    return outcome


def notice(outcome: Outcome, running: Running) -> Notice:
    """Say to `edge-overlay status` what needs attention."""
    plan = outcome.plan
    problems = [f"Kubernetes: {text}" for text in outcome.failed]
    there = plan.detected.distribution or plan.detected.several
    if plan.withheld and plan.leave and plan.overlay and there:
        problems.append(f"Kubernetes is not on the overlay: {plan.withheld}")
    else:
        found = [*plan.contradictions, *running.contradictions]
        problems += [f"Kubernetes: {one}" for one in found]
    problems += [f"Kubernetes: {text}" for text in running.stale]
    return Notice(SUBJECT, tuple(problems), describe(plan, running))


def describe(plan: Plan, running: Running) -> dict[str, Any]:
    """Return everything as JSON has it: `edge-overlay kubernetes --json`."""
    detected = plan.detected
    return {
        "distribution": detected.distribution,
        "control_plane": detected.server,
        "evidence": list(detected.evidence),
        "palette": detected.palette,
        "address": str(plan.overlay.address) if plan.overlay else None,
        "vip": str(plan.overlay.vip) if plan.overlay else None,
        "withheld": plan.withheld or None,
        "files": [
            {"path": file.path, "settings": [asdict(one) for one in file.settings]}
            for file in plan.files
        ],
        "contradictions": [asdict(one) for one in (*plan.contradictions, *running.contradictions)],
        "restart_needed": list(running.stale),
        "notes": list(plan.notes),
    }


def _bring_about(paths: Paths, record: records.Record, outcome: Outcome, *, alone: bool) -> None:
    plan = outcome.plan
    wanted = {file.path: file for file in plan.files}
    name = plan.detected.distribution
    try:
        if wanted and name and plan.overlay:
            before = record.adopted.get(name) if set_up(paths.root, name) else None
            record.adopted[name] = before or str(plan.overlay.address)
        # Recorded before it is written: a power cut leaves no file that nobody takes away.
        sums = {path: _digest(file.content) for path, file in wanted.items()}
        records.save(paths, replace(record, files=record.files | sums))
    except OSError as error:
        outcome.failed.append(f"{paths.state_dir} can't be written: {error.strerror}")
        outcome.unwritten += [file.path for file in wanted.values() if file.settings]
        return
    for file in wanted.values():
        _write(paths, file, outcome)
    gone = record.files.keys() - wanted.keys() if alone else set()
    for path in sorted(gone):
        _remove(paths, path, record.files[path], outcome)
    kept = {path: total for path, total in record.files.items() if path not in gone}
    if not wanted:
        record.adopted.clear()
    try:
        records.save(paths, replace(record, files=kept | sums))
    except OSError as error:
        outcome.failed.append(f"{paths.state_dir} can't be written: {error.strerror}")


def _write(paths: Paths, file: File, outcome: Outcome) -> None:
    target, data = below(paths.root, file.path), file.content.encode()
    try:
        if _as_it_should_be(target, data, file.mode):
            return
        _make_folder(target.parent)
        write_atomic(target, data, file.mode)
    except OSError as error:
        outcome.failed.append(f"{file.path} can't be written: {error.strerror}")
        outcome.unwritten += [file.path] if file.settings else []
        return
    log.info("written: %s", file.path)
    outcome.written.append(file.path)
    _note_change(paths, file.path)


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(mode=_FOLDER_MODES.get(folder.name, _FOLDER_MODE), exist_ok=True)


def _as_it_should_be(target: Path, data: bytes, mode: int) -> bool:
    try:
        info = target.lstat()
        return info.st_mode & 0o7777 == mode and target.is_file() and target.read_bytes() == data
    except OSError:
        return False


def _remove(paths: Paths, path: str, total: str, outcome: Outcome) -> None:
    """Take a file of ours away; one that somebody changed since is theirs."""
    target = below(paths.root, path)
    try:
        if hashlib.sha256(target.read_bytes()).hexdigest() != total:
            outcome.failed.append(f"{path} was changed by somebody: it is left there")
            return
        target.unlink()
    except FileNotFoundError:
        return
    except OSError as error:
        outcome.failed.append(f"{path} can't be removed: {error.strerror}")
        return
    log.info("removed: %s", path)
    outcome.removed.append(path)
    _note_change(paths, path)


def _digest(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def changes(paths: Paths) -> dict[str, float]:
    """Return when files of ours were changed since the boot, in seconds of CLOCK_MONOTONIC."""
    try:
        found = json.loads((paths.run_dir / "kubernetes/changes.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    entries = found.items() if isinstance(found, dict) else ()
    return {str(k): float(v) for k, v in entries if isinstance(v, int | float)}


def _note_change(paths: Paths, path: str) -> None:
    folder = paths.run_dir / "kubernetes"
    try:
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        data = json.dumps(changes(paths) | {path: time.monotonic()}).encode()
        write_atomic(folder / "changes.json", data, 0o644, sync=False)
    except OSError as error:
        log.warning("the time of a change can't be kept: %s", error.strerror)
