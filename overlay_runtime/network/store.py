"""What is kept of a configuration: the last good one for ever, what is asked for until a reboot."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from overlay_runtime.files import write_atomic
from overlay_runtime.network.bundle import Bundle, read_bundle
from overlay_runtime.paths import Paths

log = logging.getLogger(__name__)


class Mode(Enum):
    """Which configuration is in effect."""

    ASKED = "as asked"
    LAST_GOOD = "last good"
    BESIDES = "as asked, and DHCP besides"


@dataclass(frozen=True)
class Asked:
    """What is to be in effect, what is, and what was wrong when it was read."""

    bundle: Bundle
    mode: Mode = Mode.ASKED
    fallback: bool = False
    """Whether the bundle is itself the last good one, since the description can't be used."""
    partial: bool = False
    """Whether some of its devices have DHCP because they could not be used as described."""
    problems: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    looked: bool = False
    """Whether it has had its time to prove itself."""
    returns: int = 0
    """How often it was gone back to."""
    hold_until: float = 0.0
    """CLOCK_BOOTTIME, seconds: not to go back before."""


def save_good(paths: Paths, bundle: Bundle) -> None:
    """Keep a configuration that was proved good (0600: proxies may have passwords)."""
    path = _good(paths)
    data = json.dumps(bundle.as_dict(), indent=1).encode()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (path.exists() and path.read_bytes() == data):
            write_atomic(path, data, 0o600)
    except OSError as error:
        log.error("the configuration that works can't be kept: %s", error.strerror)


def load_good(paths: Paths) -> Bundle | None:
    """Return the last good configuration; None if there is none, or it can't be read."""
    try:
        return read_bundle(json.loads(_good(paths).read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        log.error("%s can't be read", _good(paths))
        return None


def save_asked(paths: Paths, asked: Asked | None) -> None:
    """Keep for `watch` what is asked for; None: there is nothing to watch."""
    path = scratch(paths) / "asked.json"
    if asked is None:
        path.unlink(missing_ok=True)
        return
    content = {
        "bundle": asked.bundle.as_dict(), "mode": asked.mode.value, "fallback": asked.fallback,
        "partial": asked.partial, "problems": asked.problems, "notes": asked.notes,
        "looked": asked.looked, "returns": asked.returns, "hold_until": asked.hold_until,
    }  # fmt: skip
    write_atomic(path, json.dumps(content).encode(), 0o600, sync=False)


def load_asked(paths: Paths) -> Asked | None:
    """Return what is asked for, if anything is."""
    try:
        content: Mapping[str, Any] = json.loads((scratch(paths) / "asked.json").read_bytes())
        return Asked(
            read_bundle(content["bundle"]), Mode(content["mode"]), bool(content["fallback"]),
            bool(content["partial"]), tuple(content["problems"]), tuple(content["notes"]),
            bool(content["looked"]), int(content["returns"]), float(content["hold_until"]),
        )  # fmt: skip
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def scratch(paths: Paths) -> Path:
    """Return the directory for work (0700), made if it is not there."""
    path = paths.run_dir / "network"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


def _good(paths: Paths) -> Path:
    return paths.state_dir / "network" / "last-good.json"
