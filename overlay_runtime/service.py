"""Runs the agent as a service: configuration, signals, exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal

from overlay_runtime.agent import Agent
from overlay_runtime.config.load import Loaded, load
from overlay_runtime.errors import ConfigError, OverlayError
from overlay_runtime.notify import notify
from overlay_runtime.paths import Paths
from overlay_runtime.status import write_status

log = logging.getLogger(__name__)


def run_service(paths: Paths, identity: str | None) -> int:
    """Run until SIGTERM; return the exit code.

    0: told to stop, or there is no overlay block. 78: the block is wrong (the unit does not try
    again). Others: see errors.py; the unit starts the agent again.
    """
    try:
        loaded = load(paths)
    except ConfigError as error:
        for problem in error.problems:
            log.error("%s", problem.render())
        _tell(paths, "error", [problem.render() for problem in error.problems], {})
        return error.exit_code
    if loaded.config is None:
        log.info("no `overlay:` block in user-data: nothing to do")
        _tell(paths, "off", list(loaded.problems), loaded.sources)
        notify("READY=1", "STATUS=off: no overlay block in user-data")
        return 0
    try:
        asyncio.run(_run(loaded, paths, identity))
    except OverlayError as error:
        log.error("%s", error)
        _tell(paths, "error", [str(error)], loaded.sources)
        return error.exit_code
    return 0


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


def _tell(paths: Paths, state: str, problems: list[str], sources: dict[str, object]) -> None:
    write_status(
        paths.status,
        {"state": state, "problems": problems, "pid": os.getpid(), "host": {}, "overlay": {},
         "underlay": [], "peers": [], "strangers": [], "sources": sources},
    )  # fmt: skip
