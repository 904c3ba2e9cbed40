"""The Go program that renders with yip's own function: built, and asked."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

SOURCE = Path(__file__).parent
BUILD = SOURCE.parents[2] / "build" / "yip-render"
NEEDED = (1, 26)
"""The Go that yip v1.24's go.mod asks for."""
_ENV = os.environ | {"GOFLAGS": "-mod=readonly", "CGO_ENABLED": "0", "GOTOOLCHAIN": "auto"}


def missing() -> str:
    """Say in words why the program can't be built here; empty if it can."""
    go = shutil.which("go")
    if go is None:
        return "no Go toolchain: templates are not compared with the real yip"
    # A Go since 1.21 fetches the toolchain that go.mod asks for, where it may.
    ran = subprocess.run(
        [go, "env", "GOVERSION"], cwd=SOURCE, env=_ENV, capture_output=True, text=True, timeout=300
    )
    found = re.match(r"go(\d+)\.(\d+)", ran.stdout)
    if found is None or (int(found[1]), int(found[2])) < NEEDED:
        there = (ran.stdout or ran.stderr).strip()[:200]
        return f"no Go toolchain of version {NEEDED[0]}.{NEEDED[1]}: there is {there}"
    return ""


def build() -> Path:
    """Build it: in a minute the first time, as its modules are fetched (go.sum has their sums)."""
    BUILD.mkdir(parents=True, exist_ok=True)
    binary = BUILD / "render"
    subprocess.run(
        ["go", "build", "-o", str(binary), "."],
        cwd=SOURCE,
        env=_ENV,
        check=True,
        timeout=600,
    )
    return binary


def ask(binary: Path, requests: Sequence[dict[str, Any]], zone: str) -> list[tuple[str, str]]:
    """Render a batch: return each one's output and error. `zone`: TZ."""
    ran = subprocess.run(
        [str(binary)],
        input=json.dumps(list(requests)).encode(),
        capture_output=True,
        check=True,
        timeout=300,
        env=os.environ | {"TZ": zone},
    )
    return [
        (base64.b64decode(one["output"]).decode("utf-8", "surrogateescape"), one["error"])
        for one in json.loads(ran.stdout)
    ]


def values(binary: Path, root: Path | None = None) -> dict[str, Any]:
    """What yip's templates see of this host as `.Values`; within `root` by chroot."""
    command = [str(binary), "values"]
    if root is not None:
        shutil.copy(binary, root / "render")
        command = ["chroot", str(root), "/render", "values"]
    ran = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found = json.loads(ran.stdout)
    assert isinstance(found, dict)
    return found
