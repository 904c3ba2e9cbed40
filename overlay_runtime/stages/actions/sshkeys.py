"""`authorized_keys`: public keys, given or fetched (yip, `pkg/plugins/ssh.go`)."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import secrets
import stat
from collections.abc import Mapping, Sequence
from typing import Any

from overlay_runtime.stages.actions.owners import entry
from overlay_runtime.stages.context import Context, Refused, reason
from overlay_runtime.stages.model import shown_name

_PROVIDERS = {"github": "https://github.com/{}.keys", "gitlab": "https://gitlab.com/{}.keys"}
_TRIES = 10
_TRY_S = 10.0
_MOST = 1 << 18
_MOST_THERE = 1 << 24
_NAME, _FILE = ".ssh", "authorized_keys"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Add each user's keys."""
    for name, keys in step["authorized_keys"].items():
        authorize(context, name, keys)
    if step["authorized_keys"]:
        context.did("authorized_keys")


def authorize(context: Context, name: str, keys: Sequence[str]) -> None:
    """Add keys to a user's file, each once. Never raises but OutOfTime."""
    if not keys:
        return
    called = f"SSH keys of {shown_name(name)}"
    try:
        fields = entry(context, "/etc/passwd", name)
        if fields is None or len(fields) < 6:
            raise Refused("there is no such user")
        directory = _prepare(context, fields)
    except (OSError, ValueError, Refused) as error:
        context.failed(f"{called}: {reason(error)}")
        return
    try:
        for number, key in enumerate(keys, start=1):
            try:
                _add(context, directory, _fetched(context, key), (int(fields[2]), int(fields[3])))
            except (OSError, ValueError, Refused) as error:
                context.failed(f"{called}: number {number}: {reason(error)}")
    finally:
        os.close(directory)


def _prepare(context: Context, fields: list[str]) -> int:
    """Make ~/.ssh, which must be the user's own, and return it, open.

    The user may put a link in the place of anything there, at any moment: root must not write, nor
    give away, what that leads to. So everything below goes by the open directory, never by a path.
    """
    tree, home = context.tree, fields[5]
    if not tree.is_dir(home or "/"):
        raise Refused("there is no home directory")
    above = os.open(tree.real(home), _DIRECTORY)
    try:
        with contextlib.suppress(FileExistsError):
            os.mkdir(_NAME, 0o700, dir_fd=above)
        found = os.lstat(_NAME, dir_fd=above)
        if stat.S_ISLNK(found.st_mode) and found.st_uid == 0:  # an operator's
            directory = os.open(tree.real(f"{home}/{_NAME}"), _DIRECTORY)
        else:
            directory = _opened(_NAME, _DIRECTORY, above)
    finally:
        os.close(above)
    try:
        tree.chown_open(directory, int(fields[2]), int(fields[3]))
    except BaseException:
        os.close(directory)
        raise
    return directory


def _opened(name: str, flags: int, directory: int) -> int:
    """Open what is no link."""
    try:
        return os.open(name, flags | os.O_NOFOLLOW, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR):
            raise Refused("a symbolic link, or no directory, is in the place of ~/.ssh or of a "
                          "file in it") from None  # fmt: skip
        raise


def _fetched(context: Context, key: str) -> str:
    """Return the key; fetched, if it is a URL, github:NAME or gitlab:NAME."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", key)
    if not found:
        return key
    scheme = found[1].lower()
    url = _PROVIDERS[scheme].format(key.partition(":")[2]) if scheme in _PROVIDERS else key
    if re.search(r"\s", url):
        raise Refused("a URL with a space")
    for number in range(_TRIES):
        context.check_time()
        try:
            data = context.host.fetch(url, context.limit(_TRY_S)).data
            break
        except OSError as error:
            # As with yip: an answer that is an error is not asked for again.
            if number == _TRIES - 1 or " answers " in str(error):
                raise
            context.host.wait(1.0)
    if len(data) > _MOST:
        raise Refused(f"more than {_MOST} bytes of keys")
    return data.decode(errors="replace")


def _add(context: Context, directory: int, key: str, owner: tuple[int, int]) -> None:
    """Add a key to the file in an open directory: a new file takes the old one's place."""
    new = key.encode(errors="surrogateescape")
    data, mode = _read(directory)
    if new in data:
        return
    name = f".{_FILE}.{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=directory), "wb") as file:
            file.write(data + new + b"\n")
            os.fchmod(file.fileno(), mode)
            context.tree.chown_open(file.fileno(), *owner)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, _FILE, src_dir_fd=directory, dst_dir_fd=directory)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name, dir_fd=directory)
        raise


def _read(directory: int) -> tuple[bytes, int]:
    """Return the file's content and permissions; nothing and 0600 if it is not there."""
    try:
        descriptor = _opened(_FILE, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK, directory)
    except FileNotFoundError:
        return b"", 0o600
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            raise Refused("something else is in the place of the file")
        return file.read(_MOST_THERE), stat.S_IMODE(about.st_mode)
