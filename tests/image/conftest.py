"""Running the real `edge-build` as a user would: as a process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "builder.cli")

USER_DATA = """\
#cloud-config
overlay:
  cidr: 10.77.0.0/24
  secret: a secret of the image tests
"""


@dataclass(frozen=True)
class Outcome:
    """How a command ended, and what it said."""

    status: int
    out: str
    err: str


def edge_build(
    *words: str | Path, env: Mapping[str, str] | None = None, before: Sequence[str] = ()
) -> Outcome:
    """Run `edge-build` to its end; `before` is put in front of it (unshare, setpriv, …)."""
    done = subprocess.run(
        [*before, *COMMAND, *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        cwd=REPOSITORY,
        env={**os.environ, **(env or {})},
        timeout=900,
    )
    return Outcome(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="session")
def user_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user-data file without a fault."""
    path = tmp_path_factory.mktemp("user-data") / "user-data.yaml"
    path.write_text(USER_DATA)
    return path


@pytest.fixture(scope="session")
def output(tmp_path_factory: pytest.TempPathFactory, user_data: Path) -> Path:
    """A directory with an ISO and an OCI archive, made with the cache that all tiers share."""
    directory = tmp_path_factory.mktemp("output")
    words: list[str | Path] = ["--user-data", user_data, "--output", directory]
    words += ["--format", "iso", "--format", "oci"]
    made = edge_build("image", *words)
    assert made.status == 0, made.err
    return directory
