"""The process of edge-overlay-host.service: does the transaction, watches, rolls back.

It is no child of the operator's shell: a lost SSH session takes nothing with it. systemd starts it
again if it dies, and at boot if a transaction is open; whatever it finds then that nobody has
confirmed, it takes back.
"""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path

from overlay_runtime.errors import HostError
from overlay_runtime.host import switch, verify
from overlay_runtime.host.transaction import ENDED, State, Transaction, boot_id, load
from overlay_runtime.notices import Notice, tell
from overlay_runtime.status import boottime

log = logging.getLogger(__name__)

SUBJECT = "host"
_PAUSE = 1.0
_SETTLED = 5.0
"""Without an operator who confirms, all must be well for so many seconds on end."""


def work(home: Path, notices: Path) -> int:
    """Bring the open transaction to its end; return 0, or 1 if something couldn't be taken back."""
    tx = load(home)
    if tx is None or tx.state in ENDED:
        (home / "pending").unlink(missing_ok=True)
        return 0
    worked_before, tx.worker = tx.worker, os.getpid()
    # A container's restart has the same boot id, but an empty /run.
    mark = notices.parent / f"host-{tx.identity}"
    try:
        if tx.state in ("rolling-back", "undoing"):
            return _back(tx, notices, tx.reason)
        if tx.boot != boot_id() or (worked_before and not mark.exists()):
            return _back(tx, notices, "the host was restarted before the transaction's end")
        if tx.state == "waiting":
            return _watch(tx, notices)
        if worked_before:
            return _back(tx, notices, f"the process that did it died (step {tx.step or 'none'})")
        mark.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        mark.touch()
        tx.record()
        switch.forward(tx)
        tx.record("verifying")
        _all_there(tx)
        switch.settle(tx)
        _all_there(tx)
        switch.drop_old_routes(tx)
        tx.deadline = boottime() + float(tx.about["confirm_within"])
        tx.record("waiting")
        return _watch(tx, notices)
    except (HostError, OSError) as error:
        log.error("%s", error)
        return _back(tx, notices, str(error))


def _all_there(tx: Transaction) -> None:
    """Wait for all that the host had, as long as a loss may last. Raises HostError."""
    end = boottime() + float(tx.about["lost_after"])
    while faults := verify.missing(tx.about) + verify.lost(tx.about):
        if boottime() >= end:
            raise HostError("; ".join(faults))
        time.sleep(_PAUSE)


def _watch(tx: Transaction, notices: Path) -> int:
    _tell(tx, notices)
    since: float | None = None
    well = boottime()
    while True:
        now = boottime()
        if _confirmed(tx):
            return _done(tx, notices)
        faults = verify.lost(tx.about)
        if faults:
            since = now if since is None else since
            well = boottime()
            if now - since >= float(tx.about["lost_after"]):
                return _back(tx, notices, "; ".join(faults))
        else:
            since = None
        if not tx.about["confirm"]:
            if not faults and boottime() - well >= _SETTLED:
                return _done(tx, notices)
        elif now >= tx.deadline:
            return _back(tx, notices, "nobody confirmed in time")
        time.sleep(_PAUSE / 2)


def _confirmed(tx: Transaction) -> bool:
    try:
        return (tx.home / "confirmed").read_text().strip() == tx.identity
    except OSError:
        return False


def _done(tx: Transaction, notices: Path) -> int:
    tx.record("done")
    log.info("this host is prepared")
    _tell(tx, notices)
    return 0


def _back(tx: Transaction, notices: Path, reason: str) -> int:
    undoing = tx.state == "undoing"
    tx.reason = reason
    tx.record("undoing" if undoing else "rolling-back")
    log.warning("what was done is taken back: %s", reason)
    _tell(tx, notices)
    tx.problems = switch.backward(tx)
    end: State = "undone" if undoing else "rolled-back"
    if not tx.problems:
        tx.problems = _wait_for_the_old(tx)
    tx.record(end)
    _tell(tx, notices)
    return int(bool(tx.problems))


def _wait_for_the_old(tx: Transaction) -> list[str]:
    """Return what isn't as before when the managers of before have had their time."""
    end = boottime() + float(tx.about["lost_after"])
    while True:
        about = {**tx.about, "targets": ()}  # what was lost before needn't be back
        faults = verify.missing(about) + (verify.lost(about) if tx.state == "undoing" else [])
        if not faults or boottime() >= end:
            return faults
        time.sleep(_PAUSE)


def _tell(tx: Transaction, notices: Path) -> None:
    tell(notices, notice_of(tx))


def notice_of(tx: Transaction) -> Notice:
    """Return what `edge-overlay status` shows of a transaction."""
    problems = []
    if tx.state == "waiting" and tx.about["confirm"]:
        problems.append(
            "the host's network was handed to systemd-networkd and waits for confirmation: "
            "edge-overlay host confirm, else it is taken back"
        )
    if tx.state in ("rolling-back", "rolled-back"):
        verb = "is being" if tx.state == "rolling-back" else "was"
        problems.append(f"the preparation of this host {verb} taken back: {tx.reason}")
    problems += [f"not as before: {fault}" for fault in tx.problems]
    return Notice(SUBJECT, tuple(problems), {"state": tx.state, "reason": tx.reason})
