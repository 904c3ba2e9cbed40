"""The command line: `edge-overlay run|gather|status|address|vip|wait|reset`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from overlay_runtime import __version__
from overlay_runtime.errors import OverlayError
from overlay_runtime.logs import set_up
from overlay_runtime.paths import Paths, find_paths
from overlay_runtime.state import StateStore
from overlay_runtime.status import alive, boottime, ended, final, read_status
from overlay_runtime.table import render_status, state_in_words

_UP, _NOT_UP = 0, 1
_STOPPED = "the agent is not running: systemctl status edge-overlay"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code (sysexits for errors, 1 for "not up")."""
    options = _parser().parse_args(arguments)
    paths = find_paths(options.root, options.run_dir, options.state_dir)
    try:
        return int(options.function(options, paths))
    except OverlayError as error:
        print(f"edge-overlay: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, EOFError):  # Ctrl-C, Ctrl-D
        print(file=sys.stderr)
        return 130


def _run(options: argparse.Namespace, paths: Paths) -> int:
    # Here, not above: asyncio takes 0.1 s to import, and only the agent needs it.
    from overlay_runtime.service import run_service

    set_up(debug=options.debug)
    return run_service(paths, options.identity)


def _gather(options: argparse.Namespace, paths: Paths) -> int:
    from overlay_runtime.config.sources import gather

    set_up(debug=options.debug)
    gather(options.root, paths, options.identity)
    return 0


def _status(options: argparse.Namespace, paths: Paths) -> int:
    status = _now(paths)
    if options.json:
        print(json.dumps(status, indent=1))
    else:
        print(render_status(status, boottime()))
    return _UP if status["state"] == "up" else _NOT_UP


def _now(paths: Paths) -> dict[str, Any]:
    """Return the status, with the state "stopped" if its agent is gone."""
    status = read_status(paths.status)
    if status is None:
        return {"state": "stopped", "problems": [_STOPPED], "overlay": {}}
    if alive(status) or ended(status):
        return status
    return {**status, "state": "stopped", "problems": [_STOPPED, *status["problems"]]}


def _complain(status: dict[str, Any]) -> int:
    for text in (state_in_words(status["state"]), *status["problems"]):
        print(f"edge-overlay: {text}", file=sys.stderr)
    return _NOT_UP


def _address(options: argparse.Namespace, paths: Paths) -> int:
    status = _now(paths)
    value = status["overlay"].get(options.field)
    if not value or status["state"] == "stopped":
        return _complain(status)
    print(value)
    return _UP


def _wait(options: argparse.Namespace, paths: Paths) -> int:
    deadline = time.monotonic() + options.timeout
    while True:
        status = _now(paths)
        if status["state"] == "up":
            return _UP
        if final(status) or time.monotonic() >= deadline:
            return _complain(status)
        time.sleep(0.1)


def _reset(options: argparse.Namespace, paths: Paths) -> int:
    store = StateStore(paths.state_dir)
    if not options.yes:
        if not sys.stdin.isatty():
            print("edge-overlay: say --yes to forget this host's address", file=sys.stderr)
            return 64  # EX_USAGE
        answer = input("Forget this host's overlay address and claim one anew? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            return _NOT_UP
    print("The stored address is forgotten." if store.clear() else "No address was stored.")
    print("It is used until the service starts again: systemctl restart edge-overlay")
    return 0


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--root", default="/", help=argparse.SUPPRESS)
    common.add_argument("--run-dir", metavar="DIR", help="instead of /run/edge-overlay")
    common.add_argument("--state-dir", metavar="DIR", help="instead of /var/lib/edge-overlay")
    parser = argparse.ArgumentParser(
        prog="edge-overlay",
        description="Keeps the overlay network scbr-100 of an Edge host: a stable address for this "
        "host, whatever the physical network does to it.",
        epilog="Settings are in the `overlay:` block of user-data.",
    )
    parser.add_argument("--version", action="version", version=f"edge-overlay {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    def command(name: str, function: object, help: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=help, description=help, parents=[common])
        sub.set_defaults(function=function)
        return sub

    for name, function, text in (
        ("run", _run, "run the agent (the service edge-overlay does this)"),
        ("gather", _gather, "find user-data at boot (edge-overlay-gather does this)"),
    ):
        sub = command(name, function, text)
        sub.add_argument("--identity", metavar="TEXT", help="instead of the hardware's identity")
        sub.add_argument("--debug", action="store_true", help="log every step")
    status = command("status", _status, "show hosts, addresses and problems; exit code 0 when up")
    status.add_argument("--json", action="store_true", help="for programs")
    for name, field, text in (
        ("address", "address", "print this host's overlay address"),
        ("vip", "vip", "print the cluster's virtual address, the first of the range"),
    ):
        command(name, _address, text).set_defaults(field=field)
    wait = command("wait", _wait, "wait until the overlay is up")
    wait.add_argument("--timeout", type=float, default=120.0, metavar="SECONDS")
    reset = command("reset", _reset, "forget the stored address, so that another can be claimed")
    reset.add_argument("--yes", action="store_true", help="don't ask")
    return parser
