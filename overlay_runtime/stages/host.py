"""What a step may do to a host: files below a root, commands, names, fetches.

The runner reaches the host through this alone. `LiveHost` does it; tests put in one that records.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Protocol

from overlay_runtime.stages.fetch import Fetched, fetch, fetch_into
from overlay_runtime.stages.process import Done, run_process
from overlay_runtime.stages.tree import Tree


class Host(Protocol):
    """The host that steps act on."""

    tree: Tree

    def run(
        self, words: Sequence[str], limit: float, environment: Mapping[str, str] | None = None
    ) -> Done:
        """Run a program to its end, or `limit` seconds. Never raises."""

    def set_name(self, name: str) -> None:
        """Set the kernel's host name. Raises OSError."""

    def fetch(self, url: str, limit: float) -> Fetched:
        """Fetch something small within `limit` seconds. Raises OSError, ValueError."""

    def fetch_into(self, url: str, limit: float, file: BinaryIO) -> str:
        """Fetch a URL into a file; return its name. Raises OSError, ValueError."""

    def wait(self, seconds: float) -> None:
        """Let some time pass."""

    @property
    def clock(self) -> Callable[[], float]:
        """Return a clock in seconds that never goes back."""


class LiveHost:
    """The host that this program runs on; with another root, what lies below that."""

    def __init__(self, root: Path) -> None:
        self.tree = Tree(root)
        self._inside = root.resolve() == Path("/")

    def run(
        self, words: Sequence[str], limit: float, environment: Mapping[str, str] | None = None
    ) -> Done:
        """Run a program; below another root with that as its root (chroot(8))."""
        prefix = () if self._inside else ("chroot", str(self.tree.root))
        return run_process([*prefix, *words], limit, environment or {})

    def set_name(self, name: str) -> None:
        """Set the kernel's host name, unless the root is another."""
        if self._inside:
            socket.sethostname(name)

    def fetch(self, url: str, limit: float) -> Fetched:
        """Fetch a URL; `file:` from below the root."""
        return fetch(url, limit, self.tree)

    def fetch_into(self, url: str, limit: float, file: BinaryIO) -> str:
        """Fetch a URL into a file; `file:` from below the root."""
        return fetch_into(url, limit, self.tree, file)

    def wait(self, seconds: float) -> None:
        """Sleep."""
        time.sleep(seconds)

    @property
    def clock(self) -> Callable[[], float]:
        """The monotonic clock."""
        return time.monotonic
