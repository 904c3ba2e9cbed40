"""Files below a root: no path leads out of it, whatever symbolic links say.

As in a chroot(2), `/` is the root, `..` at the root stays there, and a link is followed from the
root, so that the same code serves the running host and a tree that is being made. Not against
somebody who changes links at the same moment.
"""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_MOST_LINKS = 40  # as the kernel: path_resolution(7)


@dataclass(frozen=True)
class Incoming:
    """A file that is being filled, and where it lies until it is whole."""

    file: BinaryIO
    place: Path


class Tree:
    """The files of a host whose root directory is `root`. Methods raise OSError and ValueError."""

    def __init__(self, root: Path, scratch: str = "/run") -> None:
        """`scratch`: where temporary files lie, below the root."""
        self.root = root
        self.scratch = scratch

    def real(self, path: str, *, follow: bool = True) -> Path:
        """Return where `path` lies, free of links; what isn't there is taken as it is written.
        `follow`: the last part too. Raises OSError (ELOOP, ENAMETOOLONG, EACCES), ValueError."""
        if "\0" in path:
            raise ValueError("a NUL character in a path")
        todo = [part for part in path.split("/") if part not in ("", ".")][::-1]
        done: list[str] = []
        links = 0
        while todo:
            part = todo.pop()
            if part == "..":
                del done[-1:]
                continue
            if not todo and not follow:
                done.append(part)
                break
            try:
                target = str(self.root.joinpath(*done, part).readlink())
            except OSError as error:
                if error.errno in (errno.ENAMETOOLONG, errno.ELOOP):
                    raise
                done.append(part)
                continue
            _trust(self.root.joinpath(*done), part)
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                done.clear()
            todo += [one for one in target.split("/") if one not in ("", ".")][::-1]
        return self.root.joinpath(*done)

    def exists(self, path: str) -> bool:
        """Whether there is something; as stat(2), a link that leads nowhere is nothing."""
        try:
            return self.real(path).exists()
        except (OSError, ValueError):
            return False

    def is_dir(self, path: str) -> bool:
        """Whether it is a directory."""
        try:
            return self.real(path).is_dir()
        except (OSError, ValueError):
            return False

    def status(self, path: str) -> os.stat_result:
        """Return stat(2) of it."""
        return self.real(path).stat()

    def link_status(self, path: str) -> os.stat_result:
        """Return lstat(2) of it."""
        return self.real(path, follow=False).lstat()

    def open_file(self, path: str) -> BinaryIO:
        """Open a file for reading. A device or a pipe is refused: whoever opens one may wait for
        ever."""
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = os.open(self.real(path), flags)
        kind = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(kind):
            os.close(descriptor)
            if stat.S_ISDIR(kind):
                raise OSError(errno.EISDIR, os.strerror(errno.EISDIR), path)
            raise OSError(errno.EINVAL, "it is a device or a pipe, and no file", path)
        return os.fdopen(descriptor, "rb")

    def read(self, path: str) -> bytes:
        """Return a file's content; at most 16 MiB of it."""
        with self.open_file(path) as file:
            return file.read(1 << 24)

    def read_text(self, path: str) -> str:
        """Return a file's text; nothing if it can't be read."""
        try:
            return self.read(path).decode(errors="replace")
        except (OSError, ValueError):
            return ""

    def write(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a file in place, through links; `mode` for one that is new. A device or a pipe is
        refused: it might hang."""
        place = self.real(path)
        try:
            kind = place.stat().st_mode
        except FileNotFoundError:
            kind = stat.S_IFREG
        if not stat.S_ISREG(kind) and not stat.S_ISCHR(kind):
            name = errno.EISDIR if stat.S_ISDIR(kind) else errno.ENXIO
            raise OSError(name, os.strerror(name), path)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        descriptor = os.open(place, flags, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)

    def replace(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Replace a file as a whole (a reader sees the old one or the new one), through links;
        owner and mode stay as they are."""
        place = self.real(path)
        try:
            old = place.stat()
        except FileNotFoundError:
            old = None
        descriptor, name = tempfile.mkstemp(prefix=f".{place.name}.", dir=place.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), stat.S_IMODE(old.st_mode) if old else mode)
                if old is not None:
                    os.fchown(file.fileno(), old.st_uid, old.st_gid)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(place)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    @contextmanager
    def incoming(self, path: str) -> Iterator[Incoming]:
        """A new file (0600) for the block's time, on the file system where `path` is or will be:
        `adopt` puts it there."""
        place = self.real(path)
        while not place.is_dir():
            place = place.parent
        descriptor, name = tempfile.mkstemp(prefix=".edge-overlay-", dir=place)
        try:
            with os.fdopen(descriptor, "wb") as file:
                yield Incoming(file, Path(name))
        finally:
            Path(name).unlink(missing_ok=True)

    def adopt(self, path: str, made: Incoming) -> None:
        """Put a file that came in where `path` is, through links; owner and mode of an old one
        stay as they are. Something else than a file there is refused."""
        place = self.real(path)
        try:
            old = place.stat()
        except FileNotFoundError:
            old = None
        made.file.flush()
        if old is not None:
            if not stat.S_ISREG(old.st_mode):
                name = errno.EISDIR if stat.S_ISDIR(old.st_mode) else errno.ENXIO
                raise OSError(name, os.strerror(name), path)
            os.fchmod(made.file.fileno(), stat.S_IMODE(old.st_mode))
            os.fchown(made.file.fileno(), old.st_uid, old.st_gid)
        made.place.replace(place)

    def chmod(self, path: str, mode: int) -> None:
        """Set permissions."""
        self.real(path).chmod(mode)

    def chown(self, path: str, owner: int, group: int) -> None:
        """Set owner and group, by their numbers; -1 leaves one as it is."""
        os.chown(self.real(path), owner, group)

    def chown_open(self, descriptor: int, owner: int, group: int) -> None:
        """Set owner and group of what is open."""
        os.fchown(descriptor, owner, group)

    def make_directory(self, path: str, mode: int) -> None:
        """Make one directory, with exactly these permissions."""
        place = self.real(path)
        place.mkdir(mode=0o700)
        place.chmod(mode)

    def make_directories(self, path: str, mode: int = 0o755) -> None:
        """Make a directory and those above it that are missing."""
        place = self.real(path)
        missing = []
        while not place.exists():
            missing.append(place)
            place = place.parent
        for one in reversed(missing):
            one.mkdir(mode=0o700)
            one.chmod(mode)

    @contextmanager
    def temporary(self, data: bytes, mode: int) -> Iterator[str]:
        """A file for the block's time; its path as commands see it."""
        self.make_directories(self.scratch)
        descriptor, name = tempfile.mkstemp(prefix="edge-overlay-", dir=self.real(self.scratch))
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                os.fchmod(file.fileno(), mode)
            yield f"{self.scratch}/{Path(name).name}"
        finally:
            Path(name).unlink(missing_ok=True)


def _trust(directory: Path, name: str) -> None:
    """Refuse a link that any user may have laid in a directory such as /tmp, as the kernel does
    where it follows links itself (fs.protected_symlinks, proc_sys_fs(5)). Raises OSError."""
    above = directory.stat()
    if above.st_mode & (stat.S_ISVTX | stat.S_IWOTH) != stat.S_ISVTX | stat.S_IWOTH:
        return
    if (directory / name).lstat().st_uid not in (os.geteuid(), above.st_uid):
        why = "somebody else's symbolic link in a directory that everybody may write to"
        raise OSError(errno.EACCES, why, str(directory / name))
