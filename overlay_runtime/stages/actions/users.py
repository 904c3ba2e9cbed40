"""`users`: made if they are not there; of those that are, the password is set.

yip: `pkg/plugins/user.go`. Without a password Kairos makes users who log in with none at all; here
they have no login by password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.actions import accounts
from overlay_runtime.stages.actions.directories import clean
from overlay_runtime.stages.actions.sshkeys import authorize
from overlay_runtime.stages.context import Context, Refused, reason
from overlay_runtime.stages.model import shown_name

_PASSWD, _SHADOW, _GROUP = "/etc/passwd", "/etc/shadow", "/etc/group"


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Make each user, by name, so that IDs are the same at each boot."""
    for name in sorted(step["users"], key=lambda one: one.encode(errors="surrogateescape")):
        user = step["users"][name]
        try:
            with accounts.locked(context):
                _one(context, name, user)
        except (OSError, ValueError, Refused) as error:
            context.failed(f"the user {shown_name(name)} can't be made: {reason(error)}")
        authorize(context, name, user["ssh_authorized_keys"])
    if step["users"]:
        context.did(f"{len(step['users'])} users")


def _one(context: Context, name: str, user: Mapping[str, Any]) -> None:
    if accounts.find(accounts.lines_of(context, _PASSWD), name) is None:
        _make(context, name, user)
    elif user["passwd"]:
        _set_password(context, name, user["passwd"])


def _make(context: Context, name: str, user: Mapping[str, Any]) -> None:
    defaults = _defaults(context)
    home = clean(user["homedir"] or f"{defaults['HOME']}/{name}")
    users = accounts.lines_of(context, _PASSWD)
    groups = accounts.lines_of(context, _GROUP)
    uid = _uid(context, users, user, home)
    primary = user["primary_group"] or name
    if user["primary_group"]:
        accounts.gid_of(groups, primary)
    new = accounts.find(groups, primary) is None
    gid = str(accounts.free_id(groups)) if new else ""
    accounts.put_group(groups, primary, "x", gid, name)
    number = accounts.gid_of(groups, primary)
    for other in user["groups"]:
        if accounts.find(groups, other) is None:
            context.note(f"the user {shown_name(name)}: there is no group {shown_name(other)}")
        else:
            accounts.put_group(groups, other, "", "", name)
    info = user["gecos"] or "Created by entities"
    shell = user["shell"] or defaults["SHELL"]
    accounts.put(users, [name, "x", str(uid), str(number), info, home, shell])
    accounts.store_lines(context, _GROUP, groups)
    accounts.store_lines(context, _PASSWD, users)
    _set_password(context, name, "!" if user["lock_passwd"] else user["passwd"])
    if not user["no_create_home"]:
        context.tree.make_directories(home)
        context.tree.chown(home, uid, number)


def _uid(context: Context, users: list[str], user: Mapping[str, Any], home: str) -> int:
    """The ID that is given, else that of the home directory that is there, else a free one."""
    if user["uid"]:
        if not re.fullmatch(r"\+?[0-9]{1,10}", user["uid"]) or int(user["uid"]) >= 2**32 - 1:
            raise Refused("a `uid` that can't be")
        return int(user["uid"])
    if context.tree.exists(home):
        return context.tree.status(home).st_uid
    return accounts.free_id(users)


def _set_password(context: Context, name: str, password: str) -> None:
    if not password:
        context.note(f"the user {shown_name(name)} has no password: none is taken (with Kairos "
                     "anybody could log in)")  # fmt: skip
        password = "*"
    lines = accounts.lines_of(context, _SHADOW)
    accounts.put_shadow(lines, [name, password, "now", "", "", "", "", "", ""])
    accounts.store_lines(context, _SHADOW, lines, 0o640)


def _defaults(context: Context) -> dict[str, str]:
    found = {}
    for line in context.tree.read_text("/etc/default/useradd").splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith("#"):
            found[name.strip()] = value.strip().strip("\"'")
    return {"SHELL": found.get("SHELL") or "/bin/sh", "HOME": found.get("HOME") or "/home"}
