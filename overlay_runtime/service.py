"""Runs the agent as a service: configuration, signals, exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal

from overlay_runtime.agent import Agent
from overlay_runtime.boot import why_off
from overlay_runtime.config.load import Loaded, fault_of, load
from overlay_runtime.errors import ConfigError, OverlayError
from overlay_runtime.notify import notify
from overlay_runtime.paths import Paths
from overlay_runtime.status_writer import write_status

log = logging.getLogger(__name__)


def run_service(paths: Paths, identity: str | None) -> int:
    """Run until SIGTERM; return the exit code.

    0: told to stop, there is no overlay block, or it is not for this boot. 78: the block is wrong,
    or stands where it can't be read (the unit does not try again). Others: see errors.py; the unit
    starts the agent again.
    """
    sources: dict[str, object] = {}
    try:
        loaded = load(paths)
        sources = loaded.sources
        if loaded.config is None:
            return _without_block(loaded, paths)
        if reason := why_off(paths.root, loaded.config.live):
            return _not_in_this_boot(reason, loaded, paths)
        asyncio.run(_run(loaded, paths, identity))
    except ConfigError as error:
        texts = [problem.render() for problem in error.problems]
        return _fail(paths, texts, sources, error.exit_code)
    except OverlayError as error:
        return _fail(paths, [str(error)], sources, error.exit_code)
    except Exception as error:  # noqa: BLE001 # told by its place: its message may hold the secret
        return _fail(paths, [fault_of(error)], sources, OverlayError.exit_code)
    return 0


def _without_block(loaded: Loaded, paths: Paths) -> int:
    if loaded.problems:
        # The block may be on the volume that couldn't be read: no reason to be content with "off".
        return _fail(paths, list(loaded.problems), loaded.sources, ConfigError.exit_code)
    log.info("no `overlay:` block in user-data: nothing to do")
    _tell(paths, "off", [], loaded.sources, 0)
    notify("READY=1", "STATUS=off: no overlay block in user-data")
    return 0


def _not_in_this_boot(reason: str, loaded: Loaded, paths: Paths) -> int:
    for problem in loaded.problems:
        log.error("%s", problem)
    log.info("the overlay is off: %s", reason)
    _tell(paths, "off", list(loaded.problems), loaded.sources, 0, reason=reason)
    notify("READY=1", f"STATUS=off: {reason}")
    return 0


def _fail(paths: Paths, problems: list[str], sources: dict[str, object], code: int) -> int:
    for problem in problems:
        log.error("%s", problem)
    _tell(paths, "error", problems, sources, code)
    return code


async def _run(loaded: Loaded, paths: Paths, identity: str | None) -> None:
    if loaded.config is None:
        return
    agent = Agent(loaded.config, loaded, paths, identity)
    task = asyncio.create_task(agent.run())
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, task.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await task
    notify("STOPPING=1")
    log.info("stopped; the kernel goes on forwarding as it is")


def _tell(
    paths: Paths, state: str, problems: list[str], sources: dict[str, object], code: int,
    reason: str | None = None,
) -> None:  # fmt: skip
    write_status(
        paths.status,
        {"state": state, "exit_code": code, "reason": reason, "problems": problems,
         "pid": os.getpid(), "host": {}, "overlay": {}, "underlay": [], "peers": [],
         "strangers": [], "sources": sources},
    )  # fmt: skip
