"""The Go toolchain of the tests: the one that pip installs beside pytest (pyproject.toml)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

GO = Path(sys.executable).with_name("go")


def go_build(module: Path, program: Path) -> Path:
    """Build a Go program with the modules whose sums are in its go.sum; a minute the first time,
    as they are fetched."""
    subprocess.run(
        [GO, "build", "-o", program, "."], cwd=module, check=True, timeout=600,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly", "GOSUMDB": "off",
             "GOTOOLCHAIN": "local"},
    )  # fmt: skip
    return program
