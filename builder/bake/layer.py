"""Puts the edge layer together and packs it: milliseconds, whatever the base."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import overlay_runtime
from builder import __version__
from builder.squashfs import make_squashfs
from builder.templates import TEMPLATES, render_tree

RUNTIME_HOME = Path("usr/lib/edge-overlay")
"""Where the runtime, its dependencies and the embedded user-data lie in an image."""


def make_edge_layer(
    user_data: str | None,
    vendor: Path,
    about: Mapping[str, Any],
    work: Path,
    epoch: int,
    log: Path,
) -> Path:
    """Make `20-edge.squashfs` in `work` and return its path.

    `user_data` is embedded as it is (readable by root only: it holds the secret), `about` becomes
    `image.json`. The same inputs give the same bytes; every time is `epoch` (seconds since 1970).
    """
    tree = work / "edge"
    tree.mkdir()
    render_tree(TEMPLATES / "edge", tree, {"version": __version__})
    home = tree / RUNTIME_HOME
    home.mkdir(parents=True, exist_ok=True)
    copy_runtime(home / "overlay_runtime")
    shutil.copytree(vendor, home / "vendor")
    record = {"edge-build": __version__, **about}
    (home / "image.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    set_modes(tree)
    if user_data is not None:
        embedded = home / "user-data"
        embedded.write_text(user_data)
        embedded.chmod(0o600)
    layer = work / "20-edge.squashfs"
    make_squashfs(tree, layer, log, owned_by_root=True, all_times=epoch)
    os.utime(layer, (epoch, epoch))  # the ISO shows this time
    return layer


def copy_runtime(destination: Path) -> None:
    """Copy the runtime's code as it lies beside this builder."""
    source = Path(overlay_runtime.__file__).parent
    shutil.copytree(source, destination, ignore=shutil.ignore_patterns("__pycache__", "*.lock"))


def set_modes(tree: Path) -> None:
    """Readable by all, whatever the umask was when the repository was cloned: networkd, for one,
    is not root."""
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            executable = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if executable else 0o644)
