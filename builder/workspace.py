"""Temporary trees that don't outlive the build, and outputs that appear whole or not at all."""

from __future__ import annotations

import contextlib
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
    make_directory(parent)
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
            with contextlib.suppress(OutputError):  # the reason for ending counts, not this
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
        with contextlib.suppress(OutputError, OSError):  # the next build tries again
            remove_tree(tree)


def remove_tree(tree: Path) -> None:
    """Remove `tree`; refuse to descend into anything that is still mounted below it."""
    tree = tree.resolve()  # as mountinfo has it
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
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        adopt(path)
    except OSError as error:
        raise OutputError(f"can't lock {path}: {error.strerror}", "remove that file") from error
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

    The previous file stays untouched until the moment it is replaced. The file is readable by its
    owner only, the owner of its directory: images hold the overlay's secret.
    """
    if final.is_dir():
        raise OutputError(f"{final} is a directory", "remove it, or choose another name")
    temporary = final.with_name(f".{final.name}.part-{os.getpid()}")
    try:
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_WRONLY, 0o600))
        adopt(temporary)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(final)
        sync_directory(final.parent)
    except OSError as error:
        raise _as_output_error(error, final) from error
    finally:
        temporary.unlink(missing_ok=True)


def adopt(path: Path) -> None:
    """Give `path` to the owner of its directory, where root builds for somebody else (sudo, or a
    container with the user's directory mounted)."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def remove_parts(directory: Path, name: str) -> None:
    """Remove half files of images called `name` that killed builds left; call under their lock."""
    for part in directory.glob(f".{name}.*.part-*"):
        part.unlink(missing_ok=True)


def make_directory(directory: Path) -> None:
    """Make `directory` and its parents, each owned as its parent is."""
    if not directory.exists():
        make_directory(directory.parent)
        directory.mkdir(exist_ok=True)
        adopt(directory)


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
        make_directory(directory)
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
