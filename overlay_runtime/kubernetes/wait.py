"""What Kubernetes' units do before they start: wait for the overlay, and write what it needs.

It ends in time, always. A unit whose wait fails is started again by its own Restart=, so that it
comes up by itself once the overlay does; and as a failure takes the whole time, no start limit is
met. What it says is in `systemctl status` of that unit.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from overlay_runtime.config.cluster import AUTO, NONE
from overlay_runtime.config.load import fault_of
from overlay_runtime.kubernetes import record as records
from overlay_runtime.kubernetes.apply import Outcome, apply
from overlay_runtime.kubernetes.detect import UNITS, detect, set_up
from overlay_runtime.kubernetes.facts import Facts, gather
from overlay_runtime.kubernetes.model import below
from overlay_runtime.kubernetes.plan import foreign, overlay_of
from overlay_runtime.kubernetes.running import Running, has_address
from overlay_runtime.paths import Paths
from overlay_runtime.status import boottime

LIMIT_S = 60.0
"""systemd gives kubelet.service 90 s to start; k3s' and RKE2's units have no limit."""

ALONE_S = 5.0
"""How long after its start an agent that hears no other host is waited for."""

_LOOK_EVERY = 0.5
GO, STAY = 0, 75
"""75 is EX_TEMPFAIL of sysexits(3); `hold-kubernetes` tells it from a runtime that failed."""


def wait(
    paths: Paths,
    unit: str,
    limit: float = LIMIT_S,
    say: Callable[[str], None] = lambda text: print(f"edge-overlay: {text}", file=sys.stderr),
) -> int:
    """Return 0 when the unit may start, or 75 after `limit` seconds."""
    name = next((one for one, all_of in UNITS.items() if unit in all_of), None)
    if name is None:
        say(f"{unit} is no unit of Kubernetes that is known here: it is not held back")
        return GO
    ends, told = time.monotonic() + limit, ""
    while True:
        why, code = _look(paths, name, unit, say)
        if code is not None:
            return code
        left = ends - time.monotonic()
        if left <= 0:
            say(f"{unit} does not start without the overlay: {why}. It is tried again by itself; "
                "see `edge-overlay status`")  # fmt: skip
            return STAY
        if why != told:
            told = why
            say(f"{unit} waits for the overlay address (another {left:.0f} s): {why}")
        time.sleep(min(_LOOK_EVERY, left))


def _look(paths: Paths, name: str, unit: str, say: Callable[[str], None]) -> tuple[str, int | None]:
    """Return what is waited for, or the end of it."""
    try:
        facts = gather(paths)
        record = records.load(paths)
        reason = free(paths.root, facts, name, unit, record)
        if reason is not None:
            if reason:
                say(reason)
            elif record.files:  # of an overlay that is no more
                apply(paths, facts=facts, running=lambda _plan, _paths: Running())
            return "", GO
        overlay = overlay_of(facts.status)
        if not facts.up or overlay is None:
            return facts.why_not(), None
        if not has_address(overlay.address):
            return f"{overlay.address} is not on {overlay.interface}", None
        if facts.status and hears_nobody_yet(facts.status, boottime()):
            return "no other host is heard yet", None
        if facts.fault and not set_up(paths.root, name):
            return facts.fault, None
        outcome = apply(paths, unit, facts=facts, running=lambda _plan, _paths: Running())
        return _outcome(paths.root, name, outcome, say)
    except Exception as error:  # noqa: BLE001 # a fault of ours is no reason to keep a cluster down
        why = fault_of(error)
        if set_up(paths.root, name):
            say(f"{why}; {unit} starts with what was written before")
            return "", GO
        return why, None


def hears_nobody_yet(status: dict[str, Any], now: float) -> bool:
    """Whether an agent started too short a time ago to know whether there are others.

    After a boot the stored address is there at once, the others only when a NIC's link-local
    address is tested (RFC 4862, a second or two). An etcd that starts in between loses its first
    connections for a second, takes the cluster for one without a leader, and calls for an election
    that costs the leader its place (etcd 3.4; measured in tests/kubernetes/test_etcd.py).
    """
    heard = any(peer["state"] == "up" for peer in status.get("peers", ()))
    return not heard and now - status.get("started", 0.0) < ALONE_S


def _outcome(
    root: Path, name: str, outcome: Outcome, say: Callable[[str], None]
) -> tuple[str, int | None]:
    """A cluster that is set up starts with what was written before; a new one waits for its own."""
    there = bool(set_up(root, name))
    if any(not (there and below(root, path).exists()) for path in outcome.unwritten):
        return outcome.failed[0], None
    for text in outcome.failed:
        say(text)
    for contradiction in outcome.plan.contradictions:
        say(str(contradiction))
    return "", GO


def free(root: Path, facts: Facts, name: str, unit: str, record: records.Record) -> str | None:
    """Say why a unit need not wait ("" where nobody asks), or return None if it has to."""
    if not facts.has_block and not facts.fault:
        return ""
    wanted = facts.cluster.distribution
    if wanted == NONE:
        return ""
    if wanted not in (AUTO, name):
        return f"{unit} is not held back: `kubernetes.distribution` is {wanted}"
    detected = detect(root, facts.cluster, facts.kairos, unit)
    return foreign(root, facts, detected, record) or None
