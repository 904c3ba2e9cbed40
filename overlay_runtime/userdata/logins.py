"""Who could log in, and what cloud-init, which acts on these keys here, takes in its own way.

Kairos's executor hashes a plain `passwd`, fetches keys of github:NAME, renders templates in
`hostname`; cloud-init writes all three as they stand (cc_users_groups, cc_ssh, cc_set_hostname).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from overlay_runtime.config.document import Value
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding
from overlay_runtime.userdata.lookup import child, entries, items, text, texts

_FETCHED = re.compile(r"(github|gitlab|https?):", re.IGNORECASE)
_HASHED = ("$", "!", "*")


def check_logins(top: Value) -> Iterator[Finding]:
    """Yield what can be said about users, their passwords and keys, and the host's name."""
    users = [user for user in items(child(top, "users")) if isinstance(user.data, dict)]
    yield from _none(top, users)
    for user in users:
        yield from _password(user)
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


def _password(user: Value) -> Iterator[Finding]:
    given, locked = child(user, "passwd"), child(user, "lock_passwd")
    if given is None or not text(given) or (locked is not None and locked.data is True):
        return
    if not text(given).startswith(_HASHED):
        yield Finding(rules.AS_CLOUD_INIT, given.position, "`passwd` is no hash: cloud-init hashes "
                      "none, and nobody could log in with it", "a hash (mkpasswd -m yescrypt)",
                      "or `plain_text_passwd`; and `lock_passwd: false`")  # fmt: skip
    elif locked is None:
        yield Finding(rules.AS_CLOUD_INIT, given.position, "a password without `lock_passwd`: "
                      "cloud-init locks it", "`lock_passwd: false`, or `true`")  # fmt: skip


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
    password = any(text(child(user, key)) for key in ("passwd", "hashed_passwd",
                                                      "plain_text_passwd"))  # fmt: skip
    locked = child(user, "lock_passwd")
    keys = items(child(user, "ssh_authorized_keys")) or text(child(user, "ssh_authorized_keys"))
    return bool(keys or child(user, "ssh_import_id") or (
        password and locked is not None and locked.data is False))  # fmt: skip
