"""`ensure_entities`, `delete_entities`: lines of the users' files (yip, `pkg/plugins/entities.go`;
mudler/entities v0.8)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from overlay_runtime.config.document import read_document
from overlay_runtime.errors import ConfigError
from overlay_runtime.stages.actions import accounts
from overlay_runtime.stages.actions.directories import clean
from overlay_runtime.stages.context import Context, Refused, reason
from overlay_runtime.stages.decode import Wrong, decode
from overlay_runtime.userdata.kinds import NUMBER, SECRET, TEXT, block
from overlay_runtime.userdata.lookup import child, entries, text
from overlay_runtime.userdata.model import By

_SHADOW = ("last_changed", "minimum_changed", "maximum_changed", "warn", "inactive", "expire",
           "reserved")  # fmt: skip
_KINDS = {
    "user": block(By.EDGE, "a user", ("username", TEXT, ""), ("password", SECRET, ""),
                  ("uid", NUMBER, ""), ("gid", NUMBER, ""), ("group", TEXT, ""), ("info", TEXT, ""),
                  ("homedir", TEXT, ""), ("shell", TEXT, "")),
    "shadow": block(By.EDGE, "an entry", ("username", TEXT, ""), ("password", SECRET, ""),
                    *((name, TEXT, "") for name in _SHADOW)),
    "group": block(By.EDGE, "a group", ("group_name", TEXT, ""), ("password", SECRET, ""),
                   ("gid", NUMBER, ""), ("users", TEXT, "")),
    "gshadow": block(By.EDGE, "an entry", ("name", TEXT, ""), ("password", SECRET, ""),
                     ("administrators", TEXT, ""), ("members", TEXT, "")),
}  # fmt: skip
_FILES = {"user": "/etc/passwd", "shadow": "/etc/shadow", "group": "/etc/group",
          "gshadow": "/etc/gshadow"}  # fmt: skip


def ensure(context: Context, step: Mapping[str, Any]) -> None:
    """Set each entity's line."""
    _each(context, step, "ensure_entities", _ensure)


def delete(context: Context, step: Mapping[str, Any]) -> None:
    """Take each entity's line out."""
    _each(context, step, "delete_entities", _delete)


def _each(
    context: Context,
    step: Mapping[str, Any],
    key: str,
    act: Callable[[Context, str, str, Mapping[str, Any]], None],
) -> None:
    for number, item in enumerate(step[key], start=1):
        try:
            kind, entity = _read(context.rendered(item["entity"], f"`{key}` {number}"))
            path = clean(item["path"] or _FILES[kind])
            with accounts.locked(context):
                act(context, path, kind, entity)
        except (OSError, ValueError, Refused) as error:
            context.failed(f"`{key}` {number} failed: {reason(error)}")
    if step[key]:
        context.did(key)


def _read(written: str) -> tuple[str, dict[str, Any]]:
    try:
        top = read_document(written, "entity")
        kind = text(child(top, "kind"))
        if kind not in _KINDS:
            raise Refused("its `kind` is none of " + ", ".join(_KINDS))
        entity: dict[str, Any] = decode(top, _KINDS[kind])
    except (ConfigError, Wrong):
        raise Refused("the entity is no YAML, or has a wrong type") from None
    gid = entries(top).get("gid")
    entity["has_gid"] = gid is not None and gid.value.data is not None
    return kind, entity


def _ensure(context: Context, path: str, kind: str, entity: Mapping[str, Any]) -> None:
    there = kind != "gshadow" or context.tree.exists(path)
    lines = accounts.lines_of(context, path) if there else []
    if kind == "user":
        accounts.put(lines, _user(context, lines, entity))
    elif kind == "shadow":
        accounts.put_shadow(lines, accounts.text(entity, "username", "password", *_SHADOW))
    elif kind == "group":
        name, password, members = accounts.text(entity, "group_name", "password", "users")
        gid = _gid(lines, name, entity)
        accounts.put_group(lines, name, password, gid, members)
    else:
        accounts.put(lines, accounts.text(entity, "name", "password", "administrators", "members"))
    accounts.store_lines(context, path, lines, 0o400 if kind == "gshadow" else 0o644)


def _user(context: Context, lines: list[str], entity: Mapping[str, Any]) -> list[str]:
    uid, gid = entity["uid"], entity["gid"]
    if uid < 0:
        uid = accounts.free_id(lines)
    if entity["group"]:
        gid = accounts.gid_of(accounts.lines_of(context, "/etc/group"), entity["group"])
    name, password, info, home, shell = accounts.text(
        entity, "username", "password", "info", "homedir", "shell"
    )
    info = info or "Created by entities"
    return [name, password, str(uid), str(gid), info, home, shell]


def _gid(lines: list[str], name: str, entity: Mapping[str, Any]) -> str:
    if not entity["has_gid"]:
        return ""
    if entity["gid"] >= 0:
        return str(entity["gid"])
    # Kairos would give a group that is there another ID, and its files to nobody.
    return "" if accounts.find(lines, name) is not None else str(accounts.free_id(lines))


def _delete(context: Context, path: str, kind: str, entity: Mapping[str, Any]) -> None:
    """A group goes by its name, everything else only if the line is exactly the same, as in yip.
    A name that is not there changes nothing; Kairos takes out the first line then."""
    lines = accounts.lines_of(context, path)
    if kind == "group":
        number = accounts.find(lines, entity["group_name"])
    else:
        line = _line(kind, entity)
        number = lines.index(line) if line in lines else None
    if number is None:
        context.note("`delete_entities`: there is no such line: nothing is done")
        return
    del lines[number]
    accounts.store_lines(context, path, lines)


def _line(kind: str, entity: Mapping[str, Any]) -> str:
    names: tuple[str, ...]
    if kind == "user":
        names = ("username", "password", "uid", "gid", "info", "homedir", "shell")
    elif kind == "shadow":
        names = ("username", "password", *_SHADOW)
    else:
        names = ("name", "password", "administrators", "members")
    return ":".join(str(entity[name]) for name in names)
