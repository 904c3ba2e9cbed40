"""What a path is: read, kept aside, put back to the byte (content, mode, owner, mtime, xattrs)."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from overlay_runtime.errors import HostError

Kind = Literal["absent", "file", "symlink"]


@dataclass(frozen=True)
class FileState:
    """One path at one time. `mode`, `uid`, `gid`, `mtime` (ns) and `digest` (SHA-256) of a file;
    of a symlink `target`, `uid`, `gid` and `mtime`."""

    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    digest: str = ""
    target: str = ""

    @classmethod
    def of(cls, path: Path) -> FileState:
        """Look at a path. Raises HostError for what can't be kept: a directory, a device."""
        try:
            found = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return cls("absent")
        about: dict[str, Any] = {
            "uid": found.st_uid,
            "gid": found.st_gid,
            "mtime": found.st_mtime_ns,
        }
        if stat.S_ISLNK(found.st_mode):
            return cls("symlink", target=str(path.readlink()), **about)
        if not stat.S_ISREG(found.st_mode):
            raise HostError(f"{path} is neither a file nor a symlink", "move it away, then repeat")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return cls("file", stat.S_IMODE(found.st_mode), digest=digest, **about)

    @classmethod
    def loaded(cls, data: Mapping[str, Any]) -> FileState:
        """From `vars()` of one, out of the journal."""
        return cls(**data)

    def same_content(self, other: FileState) -> bool:
        """Whether a reader would see no difference; times don't count."""
        mine = (self.kind, self.mode, self.uid, self.gid, self.digest, self.target)
        return mine == (other.kind, other.mode, other.uid, other.gid, other.digest, other.target)


def keep(path: Path, copy: Path) -> None:
    """Copy a file with all that belongs to it, and sync. Raises OSError."""
    shutil.copy2(path, copy, follow_symlinks=False)
    found = path.lstat()
    os.chown(copy, found.st_uid, found.st_gid, follow_symlinks=False)
    with copy.open("rb") as file:
        os.fsync(file.fileno())


def beside(path: Path) -> Path:
    """Return where the new file is made before it takes the place of `path`."""
    return path.parent / f".edge-overlay-{path.name}"


def put(path: Path, state: FileState, copy: Path) -> None:
    """Make `path` what `state` says, in one step (rename(2)); a file's content is that of `copy`.

    The directory must be there. Raises OSError; the path is then what it was.
    """
    if state.kind == "absent":
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
        return
    made = beside(path)
    made.unlink(missing_ok=True)
    if state.kind == "symlink":
        made.symlink_to(state.target)
    else:
        shutil.copy2(copy, made)
    os.chown(made, state.uid, state.gid, follow_symlinks=False)
    if state.kind == "file":
        made.chmod(state.mode)  # after chown(2), which clears set-user-ID
    if state.mtime:
        os.utime(made, ns=(state.mtime, state.mtime), follow_symlinks=False)
    if state.kind == "file":
        with made.open("rb") as file:
            os.fsync(file.fileno())
    made.rename(path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Bring a directory's entries to the disk (fsync(2)). Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
