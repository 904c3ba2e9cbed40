"""A command with an end: its time is limited, and what it leaves running holds nobody up."""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

_MOST = 1 << 16
"""Bytes of output that are kept: the last ones."""
_LOOK_S = 0.1
_GRACE_S = 3.0
"""Between SIGTERM and SIGKILL."""
_LOGIN = re.compile(r"://[^/\s\"'<>]+@")
_JOURNAL = Path("/run/systemd/journal/stdout")
_NOT_FOR_COMMANDS = ("JOURNAL_STREAM", "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID",
                     "LISTEN_FDS", "LISTEN_PID", "PYTHONPATH")  # fmt: skip


@dataclass(frozen=True)
class Done:
    """How a command ended. Its repr shows no output: that may hold a secret."""

    code: int | None
    """Exit code; minus the number of the signal that ended it; None if its time was over or if it
    could not be started."""
    output: str = field(default="", repr=False)
    """What it said on both streams, at the end."""
    why: str = ""
    """Why there is no exit code, in words."""

    @property
    def good(self) -> bool:
        """Whether it succeeded."""
        return self.code == 0

    def last_line(self) -> str:
        """Return the last line of the output, shortened."""
        lines = [line.strip() for line in without_logins(self.output).splitlines() if line.strip()]
        shown = "".join(c if c.isprintable() else "?" for c in lines[-1]) if lines else ""
        return shown if len(shown) <= 200 else shown[:199] + "…"

    def failure(self) -> str:
        """Say how it failed: `failed with exit code 3: last line of its output`."""
        if self.code is None:
            text = self.why
        elif self.code < 0:
            text = f"was ended by the signal {-self.code}"
        else:
            text = f"failed with exit code {self.code}"
        return f"{text}: {line}" if (line := self.last_line()) else text


def without_logins(said: str) -> str:
    """Return what a program said without names and passwords in URLs: wget, git and apt repeat
    those that they can't fetch."""
    return _LOGIN.sub("://…@", said)


def run_process(words: Sequence[str], limit: float, environment: Mapping[str, str]) -> Done:
    """Run a program in a session of its own, for `limit` seconds at most. Never raises.

    Then its whole process group is ended. Children that it leaves in the background live on: their
    output goes to the journal, and nobody waits for them.
    """
    if limit <= 0:
        return Done(None, why="was not started: the stage's time is over")
    env = {k: v for k, v in os.environ.items() if k not in _NOT_FOR_COMMANDS} | dict(environment)
    env.setdefault("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
    try:
        child = subprocess.Popen(
            list(words), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True, env=env, cwd="/",
        )  # fmt: skip
    except (OSError, ValueError) as error:
        said = error.strerror if isinstance(error, OSError) else str(error)
        return Done(None, why=f"can't be started: {said}")
    assert child.stdout is not None
    with child.stdout as pipe:
        output = bytearray()
        try:
            ended = _follow(child, pipe.fileno(), output, time.monotonic() + limit)
        except BaseException:  # the stage's time is over, or Ctrl-C: nothing is left behind
            _end(child, pipe.fileno(), output)
            raise
        if not ended:
            _end(child, pipe.fileno(), output)
        elif not _drain(pipe.fileno(), output):
            _hand_over(pipe.fileno())
    said = output.decode(errors="replace")
    if not ended:
        return Done(None, said, f"was ended after {limit:.0f} s")
    return Done(child.returncode, said)


def _follow(child: subprocess.Popen[bytes], pipe: int, output: bytearray, until: float) -> bool:
    """Read until the program itself has ended; False if that is not in time."""
    os.set_blocking(pipe, False)
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    descriptor, longest = -1, _LOOK_S
    with contextlib.suppress(OSError):  # a kernel, or a sandbox, without it: look now and then
        descriptor = os.pidfd_open(child.pid)
        poll.register(descriptor, select.POLLIN)
        longest = until
    try:
        while child.poll() is None:
            left = until - time.monotonic()
            if left <= 0:
                return False
            ready = [number for number, _ in poll.poll(min(left, longest) * 1000)]
            if pipe in ready and _drain(pipe, output, once=True):
                poll.unregister(pipe)
        return True
    finally:
        if descriptor >= 0:
            os.close(descriptor)


def _drain(pipe: int, output: bytearray, *, once: bool = False) -> bool:
    """Take what is there; whether it was all there will ever be."""
    for _ in range(1 if once else 64):
        try:
            data = os.read(pipe, _MOST)
        except BlockingIOError:
            return False
        if not data:
            return True
        output += data
        del output[:-_MOST]
    return False


def _end(child: subprocess.Popen[bytes], pipe: int, output: bytearray) -> None:
    """End the whole process group. What can't be ended (a dead disk) is left alone."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(OSError):
            os.killpg(child.pid, number)
        with contextlib.suppress(OSError):
            _drain(pipe, output)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
            if number == signal.SIGKILL:
                return


def _hand_over(pipe: int) -> None:
    """Let the journal have what background children say from now on: a closed pipe would end them
    (SIGPIPE)."""
    cat = shutil.which("cat")
    journal = shutil.which("systemd-cat") if _JOURNAL.exists() else None
    if cat is None:
        return
    words = [journal, "-t", "edge-overlay-stage", cat] if journal else [cat]
    os.set_blocking(pipe, True)
    with contextlib.suppress(OSError):
        subprocess.Popen(  # lives as long as the children do
            words, stdin=pipe, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True, cwd="/",
        )  # fmt: skip
