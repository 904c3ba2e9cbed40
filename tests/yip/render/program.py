"""The Go program that renders with yip's own function: built, and asked."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.yip.toolchain import go_build

SOURCE = Path(__file__).parent
BUILD = SOURCE.parents[2] / "build" / "yip-render"


def build() -> Path:
    """Build it."""
    BUILD.mkdir(parents=True, exist_ok=True)
    return go_build(SOURCE, BUILD / "render")


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
