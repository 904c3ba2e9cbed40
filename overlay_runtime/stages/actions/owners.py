"""Owners and permissions as steps name them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.context import Context, Refused

FILE_MODE, DIRECTORY_MODE = 0o644, 0o755
"""Where a step names none; Kairos takes 0000."""


def owner_of(context: Context, item: Mapping[str, Any]) -> tuple[int, int]:
    """Return user and group ID: by `ownerstring` if there is one, else by the numbers. Raises
    Refused (yip, `pkg/utils/user.go`)."""
    named = item.get("ownerstring", "")
    if not named:
        return within(item["owner"]), within(item["group"])
    user, colon, group = named.partition(":")
    group = group.partition(":")[0]
    found = entry(context, "/etc/passwd", user)
    if found is None:
        raise Refused("the owner is no user of this host")
    if not colon:
        return int(found[2]), int(found[3])
    other = entry(context, "/etc/group", group)
    if other is None:
        raise Refused("the owner's group is no group of this host")
    return int(found[2]), int(other[2])


def within(number: int) -> int:
    """Return an ID that chown(2) takes. Raises Refused."""
    if not -1 <= number < 2**32 - 1:
        raise Refused("an ID that can't be")
    return number


def entry(context: Context, path: str, name: str) -> list[str] | None:
    """Return the fields of a user or group; None if there is no such, or its numbers are none."""
    for line in context.tree.read_text(path).splitlines():
        fields = line.split(":")
        if fields[0] == name and len(fields) >= 4:
            numbers = fields[2:4] if path.endswith("passwd") else fields[2:3]
            return fields if all(one.isascii() and one.isdigit() for one in numbers) else None
    return None
