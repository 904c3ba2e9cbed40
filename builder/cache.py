"""A cache whose entries are named by what they are made of, so that it can't lie."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import pwd
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.workspace import (
    adopt,
    exclusive,
    make_directory,
    remove_tree,
    sync_directory,
    temporary_tree,
)

_DONE = "entry.json"


def default_cache_dir() -> str:
    """The user's, also under sudo: what root made serves the user's next build, and back."""
    sudo_user = os.environ.get("SUDO_UID", "")
    if os.geteuid() == 0 and sudo_user.isdigit():
        with contextlib.suppress(KeyError):
            return str(Path(pwd.getpwuid(int(sudo_user)).pw_dir) / ".cache" / "edge-build")
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return str(Path(home) / "edge-build")


def digest(inputs: Any) -> str:
    """SHA-256 (hex) of a JSON-able description of inputs, independent of key order."""
    text = json.dumps(inputs, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True)
class Entry:
    """A finished cache entry: a directory of files, and whether it was there before."""

    path: Path
    was_cached: bool


@dataclass(frozen=True)
class Cache:
    """Directory of entries `KIND-KEY/`; a bounded number of each kind is kept, newest use first."""

    root: Path

    @property
    def work(self) -> Path:
        """Where temporary trees of builds go (same file system as the entries)."""
        return self.root / "work"

    def find(self, kind: str, key: str) -> Path | None:
        """The entry's directory, if it is there and whole: every file with its recorded size."""
        path = self._path(kind, key)
        try:
            sizes = json.loads((path / _DONE).read_text())["sizes"]
            whole = all((path / name).stat().st_size == size for name, size in sizes.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None
        return path if whole else None

    def get(self, kind: str, inputs: Any, make: Callable[[Path], None], *, keep: int = 3) -> Entry:
        """The entry for `inputs`; `make(directory)` fills it first if it isn't there.

        An entry appears whole or not at all. Entries of the same kind beyond the `keep` last
        used are removed. Raises BusyError if another build is making an entry of that kind.
        """
        key = digest(inputs)
        if found := self._used(kind, key):
            return found
        make_directory(self.root)
        with (
            exclusive(self.root / f".{kind}.lock", f"the cache {self.root} ({kind})"),
            temporary_tree(self.work) as tree,
        ):
            if found := self._used(kind, key):  # made by the build that had the lock
                return found
            made = tree / "entry"
            made.mkdir()
            make(made)
            record = {"kind": kind, "key": key, "inputs": inputs, "made": int(time.time())}
            (made / _DONE).write_text(json.dumps(record | {"sizes": _settle(made)}, indent=1))
            path = self._path(kind, key)
            if path.exists():  # damaged
                remove_tree(path)
            made.rename(path)
            _hand_over(path)
            sync_directory(self.root)
            self._drop_old(kind, keep)
        return Entry(path, was_cached=False)

    def clear(self) -> int:
        """Remove all entries, and nothing that isn't the cache's; returns the bytes they took."""
        size = 0
        for done in self.root.glob(f"*-*/{_DONE}"):
            with exclusive(self.root / f".{done.parent.name.partition('-')[0]}.lock", "the cache"):
                size += sum(f.stat().st_size for f in done.parent.rglob("*") if f.is_file())
                remove_tree(done.parent)
        for stamp in self.root.glob("archive-*.json"):
            stamp.unlink()
        return size

    def _used(self, kind: str, key: str) -> Entry | None:
        found = self.find(kind, key)
        if found is None:
            return None
        with contextlib.suppress(PermissionError):  # somebody else's cache serves as well
            os.utime(found / _DONE)
        return Entry(found, was_cached=True)

    def _path(self, kind: str, key: str) -> Path:
        return self.root / f"{kind}-{key[:24]}"

    def _drop_old(self, kind: str, keep: int) -> None:
        def last_used(path: Path) -> float:
            done = path / _DONE
            return done.stat().st_mtime if done.exists() else 0.0

        entries = sorted(self.root.glob(f"{kind}-*"), key=last_used, reverse=True)
        for old in entries[keep:]:
            remove_tree(old)


def _settle(directory: Path) -> dict[str, int]:
    """Sync the files at the top of an entry, and return their sizes."""
    sizes = {}
    for path in sorted(directory.iterdir()):
        if path.is_file():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
            sizes[path.name] = path.stat().st_size
    return sizes


def _hand_over(directory: Path) -> None:
    """An entry belongs to whom the cache belongs, parents before children."""
    adopt(directory)
    for path in sorted(directory.rglob("*")):
        adopt(path)
