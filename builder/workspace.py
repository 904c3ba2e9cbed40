"""Temporary trees that don't outlive the build, and outputs that appear whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from builder.errors import BusyError, DiskFullError, OutputError

_WORK_PREFIX = "work-"


@contextmanager
def temporary_tree(parent: Path) -> Iterator[Path]:
    """A directory below `parent` that is removed when the block ends, however it ends.

    It is locked while in use. Trees whose owner was killed (SIGKILL, power cut) are recognised
    by their free lock and removed by the next build.
    """
    parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        with _registry_lock(parent):
            _remove_abandoned(parent)
            tree = Path(tempfile.mkdtemp(prefix=_WORK_PREFIX, dir=parent))
            lock = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
            stack.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield tree
        finally:
            remove_tree(tree)


@contextmanager
def _registry_lock(parent: Path) -> Iterator[None]:
    """Keeps a second build from taking a tree for abandoned before its owner has locked it."""
    descriptor = os.open(parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_abandoned(parent: Path) -> None:
    for tree in parent.glob(f"{_WORK_PREFIX}*"):
        descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        finally:
            os.close(descriptor)
        remove_tree(tree)


def remove_tree(tree: Path) -> None:
    """Remove `tree`; refuse to descend into anything that is still mounted below it."""
    mounts = [point for point in _mount_points() if point.is_relative_to(tree)]
    if mounts:
        raise OutputError(
            f"not removing {tree}: {mounts[0]} is still mounted there",
            f"umount {mounts[0]} and delete {tree}",
        )
    shutil.rmtree(tree)


def _mount_points() -> list[Path]:
    lines = Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines()
    return [Path(line.split()[4].replace("\\040", " ")) for line in lines]


@contextmanager
def exclusive(path: Path, what: str) -> Iterator[None]:
    """Hold the lock file `path` during the block; raises BusyError if another build has it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(
                f"another build is using {what}", "wait until it has ended, then start again"
            ) from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def atomic_file(final: Path) -> Iterator[Path]:
    """A path to write to; it becomes `final` at the block's end, synced, or vanishes.

    The previous file stays untouched until the moment it is replaced.
    """
    temporary = final.with_name(f".{final.name}.part-{os.getpid()}")
    try:
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(final)
        sync_directory(final.parent)
    except OSError as error:
        raise _as_output_error(error, final) from error
    finally:
        temporary.unlink(missing_ok=True)


def sync_directory(directory: Path) -> None:
    """Make a rename in `directory` survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_output_error(error: OSError, final: Path) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"no room for {final}", "free some space or choose another --output")
    return OutputError(f"can't write {final}: {error.strerror or error}")


def check_writable(directory: Path) -> None:
    """Make `directory` and see that a file can be made in it; raises OutputError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise _as_output_error(error, directory) from error
        raise OutputError(
            f"can't write to {directory}: {error.strerror}", "choose another directory"
        ) from error


def require_space(directory: Path, needed: int, what: str) -> None:
    """Raise DiskFullError unless `directory`'s file system has `needed` bytes free."""
    free = shutil.disk_usage(directory).free
    if free < needed:
        raise DiskFullError(
            f"{what} needs about {needed >> 20} MiB in {directory}, {free >> 20} MiB are free",
            "free some space, or choose another place with --cache-dir or --output",
        )
