"""Who could log in, and what cloud-init, which acts on these keys here, takes in its own way.

Kairos's executor fetches keys of github:NAME and renders templates in `hostname`; cloud-init writes
both as they stand (cc_users_groups, cc_ssh, cc_set_hostname). Passwords are taken as on Kairos
(`config/passwords.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from overlay_runtime.config.document import Value
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding
from overlay_runtime.userdata.lookup import child, entries, items, text, texts

_FETCHED = re.compile(r"(github|gitlab|https?):", re.IGNORECASE)


def check_logins(top: Value) -> Iterator[Finding]:
    """Yield what can be said about users, their passwords and keys, and the host's name."""
    users = [user for user in items(child(top, "users")) if isinstance(user.data, dict)]
    yield from _none(top, users)
    for where in (top, *users):
        for value, key in texts(child(where, "ssh_authorized_keys")):
            if _FETCHED.match(key):
                yield Finding(rules.AS_CLOUD_INIT, value.position, "an SSH key to be fetched: "
                              "cloud-init writes it as it stands, and fetches none", "the key",
                              "or a step of the stage `network`: `authorized_keys: {NAME: "
                              "[github:…]}`")  # fmt: skip
    for name in ("hostname", "fqdn"):
        given = child(top, name)
        if given is not None and "{{" in text(given):
            yield Finding(rules.AS_CLOUD_INIT, given.position, f"`{name}` with a template: "
                          "cloud-init renders none, and would name the host so", "a name",
                          "or `hostname` in a step of the stage `initramfs`")  # fmt: skip


def _none(top: Value, named: list[Value]) -> Iterator[Finding]:
    """Users are named, and none of them could log in."""
    users = child(top, "users")
    if users is None or not named or len(named) < len(items(users)):
        return
    general = any(child(top, key) for key in ("password", "chpasswd", "ssh_authorized_keys"))
    steps = any(child(step, "users") or child(step, "authorized_keys")
                for stage in entries(child(top, "stages")).values()
                for step in items(stage.value))  # fmt: skip
    if not general and not steps and not any(map(_may_log_in, named)):
        yield Finding(rules.NO_LOGIN, users.position, "no user has an SSH key or a password: "
                      "nobody could log in", "`ssh_authorized_keys` or a password")  # fmt: skip


def _may_log_in(user: Value) -> bool:
    if items(child(user, "ssh_authorized_keys")) or any(
        text(child(user, key)) for key in ("ssh_authorized_keys", "ssh_import_id")
    ):
        return True
    locked = child(user, "lock_passwd")
    # `passwd` is Kairos's key too, and locked only if it says so; the others are cloud-init's.
    if text(child(user, "passwd")) and (locked is None or locked.data is not True):
        return True
    unlocked = locked is not None and locked.data is False
    return unlocked and any(text(child(user, k)) for k in ("hashed_passwd", "plain_text_passwd"))
