"""What programs that run once (at boot, on a timer, by hand) have to tell `edge-overlay status`.

The agent writes its own status file. Everything else that acts on the host — the check of
user-data, the stages, the network block — leaves a notice, one file a subject below
/run/edge-overlay/notices: the commands show them beside the agent's status, also when no agent
runs. A notice is replaced by the next one of its subject, and gone after a reboot.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overlay_runtime.files import write_atomic

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Notice:
    """What one subject has to tell.

    `problems`: what is wrong, in sentences, the gravest first; shown at the top of status.
    `details`: for `status --json`, as JSON has it. Neither may hold a secret: the file is 0644.
    """

    subject: str
    problems: tuple[str, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


def tell(directory: Path, notice: Notice) -> None:
    """Leave a notice. Never raises: who tells has more important things to do."""
    content = {"problems": notice.problems, "details": dict(notice.details)}
    try:
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        data = json.dumps(content, indent=1).encode() + b"\n"
        write_atomic(directory / f"{notice.subject}.json", data, 0o644, sync=False)
    except OSError as error:
        log.error("the notice about %s can't be written: %s", notice.subject, error)


def told(directory: Path) -> list[Notice]:
    """Return all notices, by subject; what can't be read is left out."""
    try:
        paths = sorted(directory.glob("*.json"))
    except OSError:
        return []
    return [notice for path in paths if (notice := _read(path)) is not None]


def problems(notices: Sequence[Notice]) -> list[str]:
    """Return the problems of all notices."""
    return [problem for notice in notices for problem in notice.problems]


def _read(path: Path) -> Notice | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict):
        return None
    found, details = content.get("problems"), content.get("details")
    texts = tuple(str(one) for one in found) if isinstance(found, list) else ()
    return Notice(path.stem, texts, details if isinstance(details, dict) else {})
