"""A cache whose entries are named by what they are made of, so that it can't lie."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.workspace import exclusive, remove_tree, sync_directory, temporary_tree

_DONE = "entry.json"


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
        """The entry's directory, if it is there and whole."""
        path = self._path(kind, key)
        return path if (path / _DONE).is_file() else None

    def get(self, kind: str, inputs: Any, make: Callable[[Path], None], *, keep: int = 3) -> Entry:
        """The entry for `inputs`; `make(directory)` fills it first if it isn't there.

        An entry appears whole or not at all. Entries of the same kind beyond the `keep` last
        used are removed. Raises BusyError if another build is making the same entry.
        """
        key = digest(inputs)
        found = self.find(kind, key)
        if found:
            os.utime(found / _DONE)
            return Entry(found, was_cached=True)
        self.root.mkdir(parents=True, exist_ok=True)
        with (
            exclusive(self.root / f".{kind}.lock", f"the cache {self.root} ({kind})"),
            temporary_tree(self.work) as tree,
        ):
            made = tree / "entry"
            made.mkdir()
            make(made)
            record = {"kind": kind, "key": key, "inputs": inputs, "made": int(time.time())}
            (made / _DONE).write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
            path = self._path(kind, key)
            if path.exists():  # left by a power cut between rename and sync
                remove_tree(path)
            made.rename(path)
            sync_directory(self.root)
            self._drop_old(kind, keep)
        return Entry(path, was_cached=False)

    def clear(self) -> int:
        """Remove all entries; returns the bytes that they took."""
        size = sum(f.stat().st_size for f in self.root.rglob("*") if f.is_file())
        if self.root.exists():
            shutil.rmtree(self.root)
        return size

    def _path(self, kind: str, key: str) -> Path:
        return self.root / f"{kind}-{key[:24]}"

    def _drop_old(self, kind: str, keep: int) -> None:
        def last_used(path: Path) -> float:
            done = path / _DONE
            return done.stat().st_mtime if done.exists() else 0.0

        entries = sorted(self.root.glob(f"{kind}-*"), key=last_used, reverse=True)
        for old in entries[keep:]:
            remove_tree(old)
