"""Running tools: output to the log, last lines kept for the error, nothing left running."""

from __future__ import annotations

import contextlib
import os
import shlex
import shutil
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO

from builder.errors import DiskFullError, MissingToolError, ToolFailedError

TAIL_LINES = 12
_ENDING_GRACE_S = 30.0
_APART = ("unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child")
_DISK_FULL = (
    "No space left on device",
    "exceeds free space on media",
    "You don't have enough free space in",
)
"""As the C library says it, and as xorriso and apt do."""

PACKAGE_OF = {
    "mmdebstrap": "mmdebstrap",
    "mksquashfs": "squashfs-tools",
    "sqfs2tar": "squashfs-tools-ng",
    "xorriso": "xorriso",
    "mformat": "mtools",
    "mcopy": "mtools",
    "mmd": "mtools",
    "gpgv": "gpgv",
    "grub-mkimage": "grub-common",
    "tar2sqfs": "squashfs-tools-ng",
    "unsquashfs": "squashfs-tools",
    "zstd": "zstd",
    "dpkg-deb": "dpkg",
}
"""Debian package that has each tool the builder runs."""


def require_tools(names: Sequence[str]) -> None:
    """Raise MissingToolError that names every missing program and the packages to install."""
    missing = [name for name in names if shutil.which(name) is None]
    if missing:
        packages = " ".join(sorted({PACKAGE_OF.get(name, name) for name in missing}))
        raise MissingToolError(
            f"not installed: {', '.join(missing)}",
            f"apt-get install {packages}   (or `make setup`, or use the container)",
        )


def run(
    argv: Sequence[str | Path],
    log: Path,
    *,
    env: Mapping[str, str] | None = None,
    heard: Callable[[str], None] | None = None,
    apart: bool = False,
) -> None:
    """Run one tool to its end; all it says is appended to `log`, and told to `heard` line by line.

    The tool gets a process group of its own, which is ended whole when this build is interrupted.
    `apart` gives it mount and process namespaces of its own where that is allowed: then the kernel
    takes away its mounts and children however it, or this build, ends. Raises ToolFailedError with
    the tool's last lines, or DiskFullError if it said so.
    """
    words = [str(word) for word in argv]
    tail: deque[str] = deque(maxlen=TAIL_LINES)
    disk_full = False
    with log.open("ab") as record:
        record.write(f"+ {shlex.join(words)}\n".encode())
        record.flush()
        process = subprocess.Popen(
            [*_prefix(apart), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8", **(env or {})},
            start_new_session=True,
        )
        spoken = process.stdout
        assert spoken is not None
        try:
            for line in spoken:
                record.write(line)
                text = line.decode(errors="replace").rstrip().rpartition("\r")[2]
                disk_full = disk_full or _says_full(text)
                if text:
                    tail.append(text)
                    if heard:
                        heard(text)
            status = process.wait()
        except BaseException:
            _end_group(process)
            raise
        finally:
            spoken.close()
    if status:
        _raise_failure(words[0], status, tail, log, disk_full)


def _prefix(apart: bool) -> list[str]:
    """What stands before each tool: a build that is killed outright leaves none at work."""
    if apart and _may_be_apart():
        return ["setpriv", "--pdeathsig", "KILL", "--", *_APART, "--mount-proc", "--"]
    return ["setpriv", "--pdeathsig", "TERM", "--"]


@cache
def _may_be_apart() -> bool:
    """Whether namespaces may be made: not in a container with Docker's default capabilities."""
    words = [*_APART, "--mount-proc", "--", "true"]
    return subprocess.run(words, capture_output=True, check=False).returncode == 0


def _says_full(line: str) -> bool:
    return any(sign in line for sign in _DISK_FULL)


def _raise_failure(tool: str, status: int, tail: Sequence[str], log: Path, disk_full: bool) -> None:
    name = Path(tool).name
    if disk_full:
        raise DiskFullError(
            f"the disk filled up while {name} was running",
            "free some space, or put the cache elsewhere with --cache-dir",
            tail=list(tail),
            log=log,
        )
    how = f"exit code {status}" if status > 0 else signal.Signals(-status).name
    raise ToolFailedError(f"{name} failed ({how})", tail=list(tail), log=log)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End the tool and its children; politely first, so that it can take its mounts away."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    killer = threading.Timer(_ENDING_GRACE_S, _kill_group, [process.pid])
    killer.start()
    try:
        process.wait()
    finally:
        killer.cancel()
    _kill_group(process.pid)


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


@contextlib.contextmanager
def piped(argv: Sequence[str | Path], log: Path) -> Iterator[IO[bytes]]:
    """Run a tool and read its standard output inside the block; its messages go to `log`.

    Raises ToolFailedError at the block's end if the tool failed. If the block itself fails, the
    tool is ended with it.
    """
    words = [str(word) for word in argv]
    with log.open("ab") as record:
        record.write(f"+ {shlex.join(words)}\n".encode())
        record.flush()
        before = record.tell()
        process = subprocess.Popen(
            [*_prefix(apart=False), *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=record,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            yield process.stdout
            status = process.wait()
        except BaseException:
            _end_group(process)
            raise
        finally:
            process.stdout.close()
    if status:
        said = log.read_bytes()[before:].decode(errors="replace").splitlines()
        full = any(map(_says_full, said))
        _raise_failure(words[0], status, said[-TAIL_LINES:], log, full)


@contextlib.contextmanager
def fed(argv: Sequence[str | Path], log: Path) -> Iterator[IO[bytes]]:
    """Run a tool and write to its standard input inside the block; its messages go to `log`.

    Raises ToolFailedError or DiskFullError at the block's end if the tool failed, also when it
    stopped reading because of that. If the block itself fails, the tool is ended with it.
    """
    words = [str(word) for word in argv]
    with log.open("ab") as record:
        record.write(f"+ {shlex.join(words)}\n".encode())
        record.flush()
        before = record.tell()
        process = subprocess.Popen(
            [*_prefix(apart=False), *words],
            stdin=subprocess.PIPE,
            stdout=record,
            stderr=record,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
            start_new_session=True,
        )
        assert process.stdin is not None
        try:
            with contextlib.suppress(BrokenPipeError):
                yield process.stdin
            with contextlib.suppress(BrokenPipeError):
                process.stdin.close()
            status = process.wait()
        except BaseException:
            _end_group(process)
            raise
    if status:
        said = log.read_bytes()[before:].decode(errors="replace").splitlines()
        full = any(map(_says_full, said))
        _raise_failure(words[0], status, said[-TAIL_LINES:], log, full)
