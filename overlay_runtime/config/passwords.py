"""Passwords of `users` as Kairos takes them, said in cloud-init's way.

Kairos hashes a plain `passwd`, and locks none unless told to; cloud-init takes each for a hash, and
locks it unless told not to. The user's file stays as it is: cloud-init gets `users` once more, in a
second part that replaces the first one's.
"""

from __future__ import annotations

import json
from typing import Any

from overlay_runtime.config.document import read_document
from overlay_runtime.config.multipart import multipart
from overlay_runtime.config.schema import HEADER
from overlay_runtime.errors import ConfigError
from overlay_runtime.userdata.lookup import child, items
from overlay_runtime.userdata.plain import plain

HASHED = ("$", "!", "*")
"""What a password starts with that crypt(5) made, or that nobody can have."""

_REPLACE = "dict(replace)+list()+str()"


def with_kairos_passwords(data: bytes) -> bytes:
    """Return user-data in which passwords work as on Kairos: the same, where they do already.

    Whatever is no #cloud-config is returned as it is.
    """
    if not data.startswith(HEADER.encode()) or b"passwd" not in data:
        return data
    try:
        users = child(read_document(data.decode(), ""), "users")
    except (ConfigError, UnicodeDecodeError):
        return data
    before = [plain(user) for user in items(users)]
    after = [as_on_kairos(user) for user in before]
    if before == after:
        return data
    part = f"{HEADER}\n{json.dumps({'users': after})}\n"  # JSON is YAML
    return multipart("user-data", ((data, _REPLACE), (part.encode(), _REPLACE)))


def as_on_kairos(user: Any) -> Any:
    """Return an item of `users` with its password as Kairos means it, in cloud-init's words."""
    password = user.get("passwd") if isinstance(user, dict) else None
    if not password or user.get("lock_passwd") is True:
        return user
    made = {"lock_passwd": False, **user}
    if not str(password).startswith(HASHED):
        made["plain_text_passwd"] = str(made.pop("passwd"))
    return made
