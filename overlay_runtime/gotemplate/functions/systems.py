"""sprig's paths, environment and names of hosts."""

from __future__ import annotations

import os
import re

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.functions.strings import limited
from overlay_runtime.gotemplate.values import GoError


def _clean(path: str) -> str:
    """path.Clean."""
    rooted = path.startswith("/")
    parts: list[str] = []
    for part in path.split("/"):
        if part in ("", "."):
            continue
        if part == ".." and parts and parts[-1] != "..":
            parts.pop()
        elif part != ".." or not rooted:
            parts.append(part)
    made = "/".join(parts)
    return "/" + made if rooted else made or "."


def _base(path: str) -> str:
    if not path:
        return "."
    return path.rstrip("/").rpartition("/")[2] or "/"


def _dir(path: str) -> str:
    return _clean(path[: path.rfind("/") + 1])


def _ext(path: str) -> str:
    name = path.rpartition("/")[2]
    return name[name.rfind(".") :] if "." in name else ""


_REFERENCE = re.compile(r"\$(?:\{([^}]*)\}|([*#$@!?0-9-]|[A-Za-z0-9_]+)|(\{)?)", re.DOTALL)
_SPECIAL = re.compile(r"[*#$@!?0-9-]")


def _expandenv(text: str) -> str:
    """os.ExpandEnv: what is not set is empty, what is no name goes with its $."""

    def one(found: re.Match[str]) -> str:
        name = found[1] if found[1] is not None else found[2]
        if found[1] is None and found[2] is None:
            return "" if found[3] else found[0]
        if found[1] is not None and not found[1]:
            return ""  # ${}
        return os.environ.get(name, "")

    made = _REFERENCE.sub(one, text)
    limited(len(made))
    return made


def _host(name: str) -> str:
    """One of a host's addresses. Where there is none Go panics, too."""
    import secrets
    import socket

    try:
        found = sorted({str(row[4][0]) for row in socket.getaddrinfo(name, None)})
    except (OSError, UnicodeError, ValueError):
        raise GoError("invalid argument to Intn") from None
    return secrets.choice(found)


TABLE = table(
    {
        "base": ("string", _base),
        "clean": ("string", _clean),
        "dir": ("string", _dir),
        "env": ("string", lambda name: os.environ.get(name, "")),
        "expandenv": ("string", _expandenv),
        "ext": ("string", _ext),
        "getHostByName": ("string", _host),
        "isAbs": ("string", lambda path: path.startswith("/")),
        "osBase": ("string", _base),
        "osClean": ("string", _clean),
        "osDir": ("string", _dir),
        "osExt": ("string", _ext),
        "osIsAbs": ("string", lambda path: path.startswith("/")),
    }
)
