"""The user-data that is embedded: checked as the host will check it, with the flags' values in."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from builder.config import checked, read_text, suggestion
from builder.errors import InputError
from builder.known_keys import CLOUD_INIT, EXPECTED_TYPES, KAIROS, OVERLAY
from overlay_runtime.config.checks import shown
from overlay_runtime.config.document import Entry, read_document
from overlay_runtime.config.schema import problems as overlay_problems
from overlay_runtime.errors import ConfigError, Problem

EXAMPLE_SECRET = "change-me: openssl rand -hex 32"
"""The secret of `examples/user-data.yaml`: works, and everybody knows it."""


_TYPE_NAMES = {dict: "a mapping", tuple: "a list", str: "text", bool: "true or false"}


@dataclass(frozen=True)
class EmbeddedUserData:
    """Text to embed, and what the user should know about it."""

    text: str
    warnings: tuple[str, ...]


def load_user_data(path: Path, cidr: str | None, hostname: str | None) -> EmbeddedUserData:
    """Read and check `path`, then set what flags say.

    Without flags the text is embedded byte by byte as it is. Raises MissingFileError, or
    InputError with every problem as `file:line:column: …`.
    """
    text = read_text(path, "the user-data file")
    _refuse(_problems(text, str(path)), f"{path} can't be used")
    if cidr is not None or hostname is not None:
        text = _with_flags(text, cidr, hostname)
        flags = " ".join(
            f"{flag} {value}"
            for flag, value in (("--cidr", cidr), ("--hostname", hostname))
            if value is not None
        )
        _refuse(_problems(text, flags), f"{flags} can't be used with {path}")
    return EmbeddedUserData(text, _warnings(text, path))


def _refuse(problems: list[Problem], message: str) -> None:
    if problems:
        lines = [problem.render() for problem in problems]
        raise InputError(message, "mend what is named above, then build again", lines)


def _problems(text: str, name: str) -> list[Problem]:
    found = list(overlay_problems(text, name))
    at_overlay = {problem.position for problem in found}
    try:
        top = read_document(text, name)
    except ConfigError:
        return found
    if not isinstance(top.data, dict):
        return found
    for key, entry in top.data.items():
        if entry.key not in at_overlay:
            found.extend(_top_level_problem(key, entry))
    return sorted(found, key=lambda problem: problem.position)


def _top_level_problem(key: str, entry: Entry) -> list[Problem]:
    if key in ("hostname", "fqdn"):
        try:
            checked("hostname", entry.value.data)
        except InputError:
            what = f"{key}: found {shown(entry.value)}"
            return [Problem(entry.value.position, what, "a host name (RFC 1123)", "as in shop-17")]
        return []
    expected = EXPECTED_TYPES.get(key)
    if expected and not isinstance(entry.value.data, expected):
        names = " or ".join(_TYPE_NAMES[kind] for kind in expected)
        what = f"{key}: found {entry.value.kind()}"
        return [Problem(entry.value.position, what, names, "see cloud-init's reference")]
    known = [OVERLAY, *CLOUD_INIT, *KAIROS]
    if key in known or key.startswith("x-"):
        return []
    hint = suggestion(key, known) or "prefix it with x- if it is a note of your own"
    what = f"unknown key {key!r}"
    return [Problem(entry.key, what, "a key of cloud-init, Kairos or `overlay`", hint)]


def _with_flags(text: str, cidr: str | None, hostname: str | None) -> str:
    """Set values in the text and keep its comments and order."""
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 4096
    try:
        document = yaml.load(text) or {}
    except (YAMLError, ValueError) as error:
        raise InputError(
            f"--cidr and --hostname can't be set in this user-data: {error}",
            "write the values into the file itself",
        ) from error
    if cidr is not None:
        document.setdefault(OVERLAY, {})["cidr"] = cidr
    if hostname is not None:
        document["hostname"] = hostname
    out = io.StringIO()
    yaml.dump(document, out)
    changed = out.getvalue()
    return changed if changed.startswith("#cloud-config") else "#cloud-config\n" + changed


def _warnings(text: str, path: Path) -> tuple[str, ...]:
    top = read_document(text, str(path)).data
    assert isinstance(top, dict)
    warnings = [
        f"{entry.key}: {key!r} is known, but the Debian base does not act on it yet"
        for key, entry in top.items()
        if key in KAIROS
    ]
    overlay = top[OVERLAY].value.data if OVERLAY in top else None
    if overlay is None:
        warnings.append(
            f"{path} has no `overlay:` block: the hosts need one on a `cidata` volume, "
            "without it they bring up no overlay"
        )
    elif isinstance(overlay, dict):
        secret = overlay.get("secret")
        if secret and secret.value.data == EXAMPLE_SECRET:
            warnings.append(
                f"{secret.value.position}: this is the example's secret, which everybody knows; "
                "make your own: openssl rand -hex 32"
            )
        insecure = overlay.get("insecure")
        if insecure and insecure.value.data is True:
            warnings.append(
                f"{insecure.key}: insecure: anybody on the network can join the overlay"
            )
    return tuple(warnings)
