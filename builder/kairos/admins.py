"""Whether Kairos would install with this user-data: it refuses to without an administrator."""

from __future__ import annotations

from collections.abc import Iterator

from overlay_runtime.config.document import Value, read_document
from overlay_runtime.userdata.lookup import child, entries, items, text

_ADMINS = "admin"


def refusal(user_data: str) -> str | None:
    """What stands in the way of an unattended install, or None if nothing does.

    Kairos wants a user in the group `admin`, in `users` or in any stage, or else
    `install.nousers` (kairos-agent, `CheckConfigForUsers`). Raises ConfigError if this is no YAML.
    """
    top = read_document(user_data, "user-data")
    if text(child(top, "install", "auto")) != "true":
        return None
    if text(child(top, "install", "nousers")) == "true":
        return None
    if any(_is_admin(user) for user in _users(top)):
        return None
    return (
        "`install.auto`: Kairos refuses to install without a user in the group `admin`; give one "
        "of `users` the key `groups: [admin]`, or say `install: {nousers: true}`"
    )


def _users(top: Value) -> Iterator[Value]:
    yield from items(child(top, "users"))
    for stage in entries(child(top, "stages")).values():
        for step in items(stage.value):
            for user in entries(child(step, "users")).values():
                yield user.value


def _is_admin(user: Value) -> bool:
    groups = [text(group) for group in items(child(user, "groups"))]
    return _ADMINS in (*groups, text(child(user, "primary_group")))
