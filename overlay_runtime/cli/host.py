"""`host`: prepare a host that already runs, confirm it, take it back, check it."""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import sys
import time
from pathlib import Path

from overlay_runtime.cli.doctor import render
from overlay_runtime.errors import HostError
from overlay_runtime.files import write_atomic
from overlay_runtime.host import transaction
from overlay_runtime.host.tools import run
from overlay_runtime.paths import Paths
from overlay_runtime.table import Paint

UNIT = "edge-overlay-host.service"
_PAUSE = 0.3


def host(options: argparse.Namespace, paths: Paths) -> int:
    """Do what `options.action` says. Raises HostError."""
    actions = {"check": _check, "prepare": _prepare, "confirm": _confirm, "undo": _undo,
               "work": _work}  # fmt: skip
    if options.action != "check" and os.geteuid() != 0:
        raise HostError("this needs root", f"sudo edge-overlay host {options.action}")
    try:
        return actions[options.action](options, paths)
    except OSError as error:
        raise HostError(f"{error.filename or 'the kernel'}: {error.strerror or error}") from error


def _home(paths: Paths) -> Path:
    return paths.state_dir / "host"


def _check(options: argparse.Namespace, paths: Paths) -> int:
    from overlay_runtime.host.check import check

    results = check(paths.root)
    faults = any(result.verdict == "fault" for result in results.values())
    if options.json:
        found = {name: vars(result) for name, result in results.items()}
        print(json.dumps({"ready": not faults, "checks": found}, indent=1))
    else:
        width = shutil.get_terminal_size((100, 24)).columns if sys.stdout.isatty() else 100
        print(render(results, Paint.of(sys.stdout), width))
    return int(faults)


def _prepare(options: argparse.Namespace, paths: Paths) -> int:
    from overlay_runtime.host.describe import describe
    from overlay_runtime.host.plan import Options, make_plan

    wanted = Options(tuple(options.target), options.confirm_within, options.lost_after,
                     not options.no_confirm, options.ignore_commands)  # fmt: skip
    before = transaction.load(_home(paths))
    if before is not None and before.state not in ("rolled-back", "undone"):
        transaction.refuse_second(before)
    plan = make_plan(paths.root, wanted)
    if plan.empty:
        print("This host is prepared: there is nothing to do.")
        return 0
    print(describe(plan))
    if options.dry_run:
        print("\nNothing was changed (--dry-run).")
        return 0
    if not options.yes and not _agreed():
        return 1
    tx = transaction.begin(_home(paths), plan.wanted, plan.about)
    _start()
    return _follow(tx, paths)


def _agreed() -> bool:
    if not sys.stdin.isatty():
        raise HostError("say --yes to do this without a terminal", "or --dry-run to see the plan")
    return input("\nDo this? [y/N] ").strip().lower() in ("y", "yes")


def _start() -> None:
    run("systemctl", "reset-failed", UNIT)
    run("systemctl", "start", "--no-block", UNIT)


def _follow(tx: transaction.Transaction, paths: Paths) -> int:
    """Show what the service does, until its end; whoever leaves changes nothing by that."""
    from overlay_runtime.host.switch import STEPS

    home, said, asked = _home(paths), "", False
    limit = time.monotonic() + 600 + tx.about["confirm_within"] + 2 * tx.about["lost_after"]
    while time.monotonic() < limit:
        now = transaction.load(home)
        if now is None or now.identity != tx.identity:
            raise HostError("the transaction is gone", "see `edge-overlay status`")
        step = STEPS.get(now.step, "") if now.state == "changing" else _IN_WORDS[now.state]
        if step and step != said:
            print(step + (f": {now.reason}" if now.reason and "back" in now.state else ""),
                  flush=True)  # fmt: skip
            said = step
        if now.state in transaction.ENDED:
            return _ended(now)
        if now.state == "waiting" and now.about["confirm"]:
            asked = asked or _ask(now)
            if sys.stdin.isatty() and select.select([sys.stdin], [], [], 0)[0]:
                sys.stdin.readline()
                confirm(home, now)
        time.sleep(_PAUSE)
    raise HostError("the service doesn't come to an end", f"journalctl -u {UNIT}")


_IN_WORDS = {
    "planned": "", "changing": "", "verifying": "gateway, addresses and DNS are tried",
    "waiting": "all is there", "done": "this host is prepared",
    "rolling-back": "what was done is taken back", "rolled-back": "all is as it was before",
    "undoing": "the preparation is taken back", "undone": "all is as it was before",
}  # fmt: skip


def _ask(tx: transaction.Transaction) -> bool:
    how = "Enter, or" if sys.stdin.isatty() else "this needs"
    print(f"Confirm within {tx.about['confirm_within']:.0f} s, or it is taken back: {how} "
          "`edge-overlay host confirm` from anywhere.", flush=True)  # fmt: skip
    return True


def _ended(tx: transaction.Transaction) -> int:
    for fault in tx.problems:
        print(f"edge-overlay: not as before: {fault}", file=sys.stderr)
    return 0 if tx.state in ("done", "undone") and not tx.problems else 1


def confirm(home: Path, tx: transaction.Transaction) -> None:
    """Let the transaction be for good. Raises OSError."""
    write_atomic(home / "confirmed", tx.identity.encode(), 0o600)


def _confirm(_options: argparse.Namespace, paths: Paths) -> int:
    home = _home(paths)
    tx = transaction.load(home)
    if tx is not None and tx.state == "done":
        print("This host is prepared already.")
        return 0
    if tx is None or tx.state != "waiting":
        raise HostError("nothing waits for confirmation", "see `edge-overlay status`")
    confirm(home, tx)
    return _follow(tx, paths)


def _undo(options: argparse.Namespace, paths: Paths) -> int:
    home = _home(paths)
    tx = transaction.load(home)
    if tx is None or tx.state in ("rolled-back", "undone"):
        print("Nothing is to be taken back.")
        return 0
    foreign = tx.foreign()
    if foreign and tx.state == "done" and not options.force:
        raise HostError(
            f"changed by somebody since: {', '.join(map(str, foreign))}",
            "look at them; --force puts back what was there before and keeps the changed files in "
            f"{home / 'kept'}",
        )
    if not options.yes and sys.stdin.isatty() and not _agreed():
        return 1
    tx.reason = "undo"
    tx.record("undoing")
    run("systemctl", "stop", UNIT)
    _start()
    return _follow(tx, paths)


def _work(_options: argparse.Namespace, paths: Paths) -> int:
    from overlay_runtime.host.worker import work
    from overlay_runtime.logs import set_up

    set_up(debug=False)
    return work(_home(paths), paths.notices)
