"""`authorized_keys`: public keys, given or fetched (yip, `pkg/plugins/ssh.go`)."""

from __future__ import annotations

import re
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
        path = _prepare(context, fields)
    except (OSError, ValueError, Refused) as error:
        context.failed(f"{called}: {reason(error)}")
        return
    for number, key in enumerate(keys, start=1):
        try:
            _add(context, path, _fetched(context, key), int(fields[2]), int(fields[3]))
        except (OSError, ValueError, Refused) as error:
            context.failed(f"{called}: number {number}: {reason(error)}")


def _prepare(context: Context, fields: list[str]) -> str:
    """Make ~/.ssh, which must be the user's own, and return the path of the file."""
    tree, home = context.tree, fields[5]
    directory = f"{home.rstrip('/')}/.ssh"
    file = f"{directory}/authorized_keys"
    if not tree.is_dir(home or "/"):
        raise Refused("there is no home directory")
    for path in (directory, file):
        _no_link(context, path)
    if not tree.exists(directory):
        tree.make_directory(directory, 0o700)
    tree.chown(directory, int(fields[2]), int(fields[3]))
    return file


def _no_link(context: Context, path: str) -> None:
    """Refuse a link that a user has put there: root would write where that leads."""
    try:
        found = context.tree.link_status(path)
    except FileNotFoundError:
        return
    if stat.S_ISLNK(found.st_mode) and found.st_uid != 0:
        raise Refused("a symbolic link is in the place of ~/.ssh or of a file in it")


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


def _add(context: Context, path: str, key: str, owner: int, group: int) -> None:
    tree = context.tree
    if not tree.exists(path):
        tree.write(path, b"", 0o600)
        tree.chmod(path, 0o600)
    data, new = tree.read(path), key.encode(errors="surrogateescape")
    if new in data:
        return
    tree.replace(path, data + new + b"\n")
    tree.chown(path, owner, group)
