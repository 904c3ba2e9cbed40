"""What a step can do, one module a subject; all in yip's order (`pkg/executor/executor.go`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from overlay_runtime.stages.actions import (
    commands,
    directories,
    dns,
    downloads,
    entities,
    environment,
    files,
    git,
    hostname,
    modules,
    packages,
    sshkeys,
    sysctl,
    systemctl,
    timesyncd,
    users,
)
from overlay_runtime.stages.context import Context

Action = Callable[[Context, Mapping[str, Any]], None]

ACTIONS: tuple[tuple[str, Action], ...] = (
    ("dns", dns.apply),
    ("downloads", downloads.apply),
    ("git", git.apply),
    ("ensure_entities", entities.ensure),
    ("directories", directories.apply),
    ("files", files.apply),
    ("commands", commands.apply),
    ("delete_entities", entities.delete),
    ("hostname", hostname.apply),
    ("sysctl", sysctl.apply),
    ("users", users.apply),
    ("authorized_keys", sshkeys.apply),
    ("modules", modules.apply),
    ("timesyncd", timesyncd.apply),
    ("systemctl", systemctl.apply),
    ("environment", environment.apply),
    ("systemd_firstboot", systemctl.firstboot),
    ("package_pins", packages.pin),
    ("packages", packages.apply),
)
"""Key of a step, and what does it. Each is given the whole step, and does nothing without its
key."""

NOT_HERE = ("datasource", "layout", "unpack_images")
"""Known, and not acted on with the Debian base: its user-data comes from elsewhere, its disks are
laid out by the installer, and it has no program that unpacks container images."""
