"""Fixtures of the Kairos tier: the miniature base as every source that `--base` takes.

Tests that need a real Kairos image take it from EDGE_BUILD_KAIROS_BASE (whatever `--base` takes).
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from tests.image.conftest import USER_DATA, Outcome, edge_build
from tests.kairos import images
from tests.kairos.miniature import miniature_base
from tests.oci.daemon import docker_daemon

NOBODY = 65534
VARIABLE = "EDGE_BUILD_KAIROS_BASE"


@dataclass(frozen=True)
class Miniature:
    """The miniature base: its root file system as a tar, and an OCI layout and archive of it."""

    tar: Path
    layout: Path
    archive: Path


@dataclass(frozen=True)
class Built:
    """What one `edge-build image` made."""

    iso: Path
    oci: Path
    user_data: Path
    outcome: Outcome


@pytest.fixture(scope="session")
def place() -> Iterator[Path]:
    """Room for big files; empty after the run."""
    with tempfile.TemporaryDirectory(prefix="edge-test-kairos-") as directory:
        yield Path(directory)


@pytest.fixture(scope="session")
def miniature(place: Path) -> Miniature:
    tar = miniature_base()
    layout = images.layout(place / "layout", tar)
    return Miniature(tar, layout, images.archive(layout, place / "base.oci.tar"))


@pytest.fixture(scope="session")
def user_data(place: Path) -> Path:
    path = place / "user-data.yaml"
    path.write_text(USER_DATA)
    return path


@pytest.fixture(scope="session")
def built(miniature: Miniature, user_data: Path, place: Path) -> Built:
    """ISO and OCI archive from the base as an OCI archive."""
    return build(f"oci-archive:{miniature.archive}", user_data, place / "built")


@pytest.fixture(scope="session")
def daemon() -> Iterator[docker.DockerClient]:
    """A client of the machine's Docker daemon, or of one started for this run."""
    with docker_daemon() as client:
        yield client


@pytest.fixture(scope="session")
def real_base() -> str:
    """A real Kairos image, where there is one."""
    found = os.environ.get(VARIABLE)
    if not found:
        pytest.skip(f"no real Kairos image: set {VARIABLE} to what --base takes")
    return found


def build(base: str, user_data: Path, output: Path, *words: str | Path) -> Built:
    """Both images from a base; AssertionError with all that was said if that fails."""
    formats = () if "--format" in words else ("--format", "iso", "--format", "oci")
    command: list[str | Path] = ["image", "--base", base, "--user-data", user_data]
    outcome = edge_build(*command, "--output", output, *formats, *words)
    assert outcome.status == 0, outcome.out + outcome.err
    made = output / "edge-installer"
    return Built(made.with_suffix(".iso"), made.with_suffix(".oci.tar"), user_data, outcome)


def as_nobody(*words: str | Path) -> Outcome:
    """Run `edge-build` as a user with no rights and no home."""
    before = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--"]
    return edge_build(*words, before=before, env={"HOME": "/nonexistent"})


def remove(path: Path) -> None:
    """A file or a tree, if it is there."""
    shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
