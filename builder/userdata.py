"""The user-data that is embedded: checked as the host will check it, with the flags' values in."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from builder.config import read_text
from builder.errors import InputError
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.check import findings
from overlay_runtime.userdata.finding import Finding, Severity

_OVERLAY = "overlay"
_FOR_KAIROS = (rules.KAIROS_ONLY, rules.KAIROS_ONLY_STEP)


@dataclass(frozen=True)
class EmbeddedUserData:
    """Text to embed, and what the user should know about it."""

    text: str
    warnings: tuple[str, ...]


def load_user_data(
    path: Path, cidr: str | None, hostname: str | None, *, kairos: bool = False
) -> EmbeddedUserData:
    """Read and check `path`, then set what flags say.

    Without flags the text is embedded byte by byte as it is. For a `kairos` image nothing is said
    of keys that Kairos alone acts on. Raises MissingFileError, or InputError with every problem as
    `file:line:column: …`.
    """
    text = read_text(path, "the user-data file")
    found = [one for one in findings(text, str(path)) if not (kairos and one.rule in _FOR_KAIROS)]
    _refuse(found, f"{path} can't be used")
    if cidr is not None or hostname is not None:
        text = _with_flags(text, cidr, hostname)
        flags = " ".join(
            f"{flag} {value}"
            for flag, value in (("--cidr", cidr), ("--hostname", hostname))
            if value is not None
        )
        _refuse(findings(text, flags), f"{flags} can't be used with {path}")
    return EmbeddedUserData(text, tuple(one.problem.render() for one in found))


def _refuse(found: list[Finding], message: str) -> None:
    lines = [one.problem.render() for one in found if one.severity is Severity.ERROR]
    if lines:
        raise InputError(message, "mend what is named above, then build again", lines)


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
        document.setdefault(_OVERLAY, {})["cidr"] = cidr
    if hostname is not None:
        document["hostname"] = hostname
    out = io.StringIO()
    yaml.dump(document, out)
    changed = out.getvalue()
    return changed if changed.startswith("#cloud-config") else "#cloud-config\n" + changed
