"""`edge-build init`: a user-data to start from, with a secret of its own."""

from __future__ import annotations

import ipaddress
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from builder.errors import InputError, MissingFileError, OutputError
from builder.templates import TEMPLATES, render
from overlay_runtime.userdata.check import findings
from overlay_runtime.userdata.finding import Severity

_TEMPLATE = TEMPLATES / "user-data" / "user-data.yaml.j2"
_KEY_TYPES = ("ssh-", "ecdsa-", "sk-")


@dataclass(frozen=True)
class Answers:
    """What a new user-data is made of."""

    cidr: str = "100.64.192.0/23"
    hostname: str | None = None
    user: str = "edge"
    keys: Sequence[str] = ()
    peers: Sequence[str] = ()
    address: str | None = None
    """Static, with its prefix length; None: DHCP."""
    gateway: str | None = None
    nameserver: str | None = None


def make(answers: Answers) -> str:
    """Return the text. Raises InputError if what was answered can't be used."""
    values = {
        "cidr": answers.cidr,
        "vip": _vip(answers.cidr),
        "secret": secrets.token_hex(32),
        "hostname": answers.hostname,
        "user": answers.user,
        "keys": list(answers.keys),
        "peers": list(answers.peers),
        "address": answers.address,
        "gateway": answers.gateway,
        "nameserver": answers.nameserver,
    }
    text = render(_TEMPLATE, values)
    wrong = [one for one in findings(text, "") if one.severity is Severity.ERROR]
    if wrong:
        lines = [f"{one.found}; expected {one.expected}" for one in wrong]
        raise InputError("these answers can't be used", wrong[0].remedy or "correct them", lines)
    return text


def public_keys(path: Path) -> list[str]:
    """Return the SSH keys in a file such as ~/.ssh/id_ed25519.pub or authorized_keys.

    Raises MissingFileError, or InputError if there is none, or if it is a private key.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise MissingFileError(f"can't read {path}: {error.strerror}", "check the path") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} holds no SSH key", "name a .pub file") from error
    if any("PRIVATE KEY" in line for line in lines):
        raise InputError(f"{path} is a private key", f"name its public half: {path}.pub")
    found = [line.strip() for line in lines if line.strip().startswith(_KEY_TYPES)]
    if not found:
        raise InputError(f"{path} holds no SSH key", "name a .pub file")
    return found


def write(path: Path, text: str) -> None:
    """Write a new file that nobody else can read. Raises OutputError if there is one already."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise OutputError(
            f"{path} is there already", "its secret may be in use: name another file"
        ) from error
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def _vip(cidr: str) -> str:
    try:
        return str(ipaddress.ip_network(cidr)[1])
    except (ValueError, IndexError):
        return "its first address"
