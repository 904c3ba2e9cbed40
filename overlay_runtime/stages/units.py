"""Units that early stages brought or changed start in the same boot.

Kairos runs `rootfs` and `initramfs` before systemd: what they enable is seen when that starts.
Here systemd is there already, and must be told.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from overlay_runtime.stages.host import Host
from overlay_runtime.stages.limits import CHROOTED
from overlay_runtime.stages.tree import Tree

_WHERE = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system",
          "/usr/local/lib/systemd/system", "/etc/netplan")  # fmt: skip
"""netplan's generator makes networkd's files when systemd reads its units."""

_LIMIT_S = 60.0

State = frozenset[tuple[str, int, int]]


def units_state(tree: Tree) -> State:
    """Return what tells whether a unit, a drop-in, a link or netplan's files were changed."""
    found: set[tuple[str, int, int]] = set()
    for top in _WHERE:
        for directory, _, files in os.walk(tree.real(top)):
            for path in (directory, *(f"{directory}/{name}" for name in files)):
                try:
                    status = os.lstat(path)
                except OSError:
                    continue
                found.add((path, status.st_mtime_ns, status.st_ino))
    return frozenset(found)


def after_early_stages(host: Host, stages: Sequence[str], before: State) -> None:
    """Let systemd read its units again, and start those that are wanted now."""
    if not CHROOTED & set(stages) or units_state(host.tree) == before:
        return
    host.run(["systemctl", "daemon-reload"], _LIMIT_S)
    # What is wanted now and was not when the boot began; nobody waits for it.
    host.run(["systemctl", "--no-block", "start", "default.target"], _LIMIT_S)
