"""passwd(5), shadow(5), group(5) and gshadow(5): lines that are set, merged, taken out.

As mudler/entities v0.8, which yip uses, but: files are replaced as a whole, under the lock that
useradd takes, and no line is written that would break one.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import fcntl
import os
import re
import secrets
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from overlay_runtime.stages.context import Context, Refused

LOWEST, HIGHEST = 1000, 60000
"""IDs of people (systemd.io/UIDS-GIDS)."""

_LOCK = "/etc/.pwd.lock"
_LOCK_S = 15.0
_DAY_S = 86400
_SALT = string.ascii_letters + string.digits


@contextmanager
def locked(context: Context) -> Iterator[None]:
    """Hold lckpwdf(3)'s lock: useradd, passwd and cloud-init wait. Raises OSError, Refused."""
    context.tree.make_directories("/etc")
    flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
    descriptor = os.open(context.tree.real(_LOCK, follow=False), flags, 0o600)
    try:
        until = time.monotonic() + min(_LOCK_S, context.limit())
        while True:
            try:
                fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except OSError:
                if time.monotonic() > until:
                    raise Refused("another program keeps the users' files locked") from None
                context.host.wait(0.1)
        yield
    finally:
        os.close(descriptor)


def lines_of(context: Context, path: str) -> list[str]:
    """Return a file's lines. Raises OSError."""
    text = context.tree.read(path).decode(errors="surrogateescape")
    return text.split("\n")[:-1] if text.endswith("\n") else text.split("\n") if text else []


def store_lines(context: Context, path: str, lines: Sequence[str], mode: int = 0o644) -> None:
    """Replace a file's lines. Raises OSError."""
    text = "".join(f"{line}\n" for line in lines)
    context.tree.replace(path, text.encode(errors="surrogateescape"), mode)


def find(lines: Sequence[str], name: str) -> int | None:
    """Return the number of the line of a user or group."""
    return next((n for n, line in enumerate(lines) if line.split(":", 1)[0] == name), None)


def fields_of(lines: Sequence[str], name: str, count: int) -> list[str] | None:
    """Return the fields of a line; None if there is no such."""
    number = find(lines, name)
    if number is None:
        return None
    found = lines[number].split(":")
    return (found + [""] * count)[:count]


def put(lines: list[str], fields: Sequence[str]) -> None:
    """Set the line of a user or group, or add it at the end. Raises Refused."""
    for one in fields:
        if re.search(r"[:\n\r\0]", one):
            raise Refused("a colon or a line break in a field")
    if not re.fullmatch(r"[^\s/,#+-][^\s/,]{0,255}", fields[0]):
        raise Refused("a name that no user or group can have")
    number = find(lines, fields[0])
    if number is None:
        lines.append(":".join(fields))
    else:
        lines[number] = ":".join(fields)


def free_id(lines: Sequence[str]) -> int:
    """Return the lowest ID that is free among people's. Raises Refused."""
    used = {line.split(":")[2] for line in lines if line.count(":") >= 2}
    for number in range(LOWEST, HIGHEST + 1):
        if str(number) not in used:
            return number
    raise Refused("no ID is free")


def put_group(lines: list[str], name: str, password: str, gid: str, members: str) -> None:
    """Set a group. One that is there keeps its members, and what is empty here."""
    old = fields_of(lines, name, 4)
    if old is not None:
        both = [*old[3].split(","), *members.split(",")] if old[3] else members.split(",")
        members = ",".join(dict.fromkeys(one.strip() for one in both if one.strip()))
        password, gid = password or old[1], gid or old[2]
    put(lines, [name, password, gid, members])


def put_shadow(lines: list[str], fields: Sequence[str]) -> None:
    """Set a user's line of shadow(5). What is empty stays as it was, but for the password, which
    is hashed if it is not (`now`: today)."""
    name, password, changed, *others = fields
    if changed == "now":
        changed = str(max(1, int(time.time()) // _DAY_S))
    old = fields_of(lines, name, 9) or [""] * 9
    rest = [new or before for new, before in zip([changed, *others], old[2:], strict=True)]
    put(lines, [name, hashed(password), *rest])


def hashed(password: str) -> str:
    """Return a password as shadow(5) has it: SHA-512 for one that is not hashed. Raises Refused."""
    if not password or password.startswith(("$", "!")) or password == "*":
        return password
    salt = "".join(secrets.choice(_SALT) for _ in range(16))
    made = _crypt(password, f"$6${salt}")
    if not made.startswith("$6$"):
        raise Refused("the password can't be hashed: give it hashed (mkpasswd -m yescrypt)")
    return made


def _crypt(password: str, setting: str) -> str:
    """crypt(3), of the library that login(1) uses: Python 3.13 has none of its own."""
    try:
        library = ctypes.CDLL(ctypes.util.find_library("crypt") or "libcrypt.so.1")
        library.crypt.restype = ctypes.c_char_p
        made = library.crypt(password.encode(errors="surrogateescape"), setting.encode())
    except (OSError, AttributeError):
        return ""
    return made.decode() if isinstance(made, bytes) else ""


def gid_of(groups: Sequence[str], name: str) -> int:
    """Return a group's ID. Raises Refused."""
    fields = fields_of(groups, name, 4)
    if fields is None or not (fields[2].isascii() and fields[2].isdigit()):
        raise Refused("the group is not there")
    return int(fields[2])


def text(entity: Mapping[str, str], *names: str) -> list[str]:
    """Return values by their names."""
    return [entity[name] for name in names]
