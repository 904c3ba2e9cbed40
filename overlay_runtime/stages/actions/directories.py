"""`directories`: made with those above them; of those that are there permissions and owner are set.

yip: `pkg/plugins/dir.go`.
"""

from __future__ import annotations

import posixpath
import stat
from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.actions.owners import DIRECTORY_MODE, within
from overlay_runtime.stages.context import Context, Refused, reason

_UMASK = 0o022  # Kairos's agent, and so its parents of files, are under systemd's


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Make each directory."""
    for number, item in enumerate(step["directories"], start=1):
        try:
            _make(context, item, number)
        except (OSError, ValueError, Refused) as error:
            context.failed(f"directory {number} can't be made: {reason(error)}")
    if step["directories"]:
        context.did(f"{len(step['directories'])} directories")


def _make(context: Context, item: Mapping[str, Any], number: int) -> None:
    path, mode = clean(item["path"]), item["permissions"]
    owner, group = within(item["owner"]), within(item["group"])
    if mode is None:
        context.note(f"directory {number} has no `permissions`: 0755 if it is new, else as it was "
                     "(Kairos: 0000)")  # fmt: skip
    elif mode & ~0o1777:
        context.note(f"directory {number}: of its permissions {mode & 0o1777:04o} is used")
    tree = context.tree
    if tree.exists(path):
        if not tree.is_dir(path):
            raise Refused("something else is there")
    else:
        wanted = DIRECTORY_MODE if mode is None else mode & 0o777
        make_parents(context, path, wanted, owner, group)
        tree.make_directory(path, DIRECTORY_MODE)
    if mode is not None:
        tree.chmod(path, mode & 0o1777)
    tree.chown(path, owner, group)


def make_parents(context: Context, path: str, mode: int, owner: int, group: int) -> None:
    """Make the directories above `path` that are missing. Kairos's umask counts."""
    missing = []
    above = posixpath.dirname(path)
    while above not in ("", "/") and not context.tree.exists(above):
        missing.append(above)
        above = posixpath.dirname(above)
    for one in reversed(missing):
        context.tree.make_directory(one, mode & 0o777 & ~_UMASK)
        context.tree.chown(one, owner, group)


def clean(path: str) -> str:
    """Return a path from the root, without `.` and `//`. Raises Refused for one that is empty."""
    if not path.strip():
        raise Refused("it has no path")
    return posixpath.normpath("/" + path.lstrip("/"))


def regular(context: Context, path: str) -> bool:
    """Whether there is a regular file."""
    try:
        return stat.S_ISREG(context.tree.status(path).st_mode)
    except (OSError, ValueError):
        return False
