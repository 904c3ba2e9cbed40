"""Programs of the host, with a time limit each."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from overlay_runtime.errors import HostError

_SECONDS = 90.0
_ENVIRONMENT = {"LC_ALL": "C.UTF-8", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:"
                "/sbin:/bin", "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}  # fmt: skip


def attempt(*words: str, seconds: float = _SECONDS) -> tuple[int, str, str]:
    """Run a program; return its exit code (127: not there, 124: too slow), output and errors."""
    environment = {**os.environ, **_ENVIRONMENT}
    try:
        done = subprocess.run(words, capture_output=True, timeout=seconds, env=environment,
                              stdin=subprocess.DEVNULL, check=False)  # fmt: skip
    except subprocess.TimeoutExpired:
        return 124, "", f"no answer in {seconds:.0f} s"
    except OSError as error:
        return 127, "", str(error.strerror)
    return done.returncode, _text(done.stdout), _text(done.stderr)


def run(*words: str, seconds: float = _SECONDS) -> str:
    """Run a program that must succeed; return its output. Raises HostError."""
    code, out, errors = attempt(*words, seconds=seconds)
    if code != 0:
        said = (errors or out).strip().splitlines()
        raise HostError(f"`{' '.join(words)}` failed ({code}): {said[-1] if said else 'no word'}")
    return out


def run_json(*words: str) -> list[dict[str, Any]]:
    """Run a program that prints a JSON array of objects. Raises HostError."""
    try:
        found = json.loads(run(*words) or "[]")
    except ValueError as error:
        raise HostError(f"`{' '.join(words)}` printed no JSON") from error
    # iproute2 prints an empty object for what a filter left out.
    return [one for one in found if one]


def unit_state(unit: str) -> tuple[str, str]:
    """Return a unit's (LoadState, ActiveState): ("not-found", "inactive") for one that isn't."""
    out = attempt("systemctl", "show", "--property=LoadState,ActiveState", unit)[1]
    values = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    return values.get("LoadState", "not-found"), values.get("ActiveState", "inactive")


def is_active(unit: str) -> bool:
    """Whether a unit runs, or has run and stays in effect."""
    return unit_state(unit)[1] in ("active", "activating", "reloading")


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
