"""`edge-build kairos-extension`: what kairos-init -x reads, carried out on the miniature base.

The commands of the stage file are run by sh(1) in a chroot, as yip does; yip itself is not needed
to see what they do.
"""

from __future__ import annotations

import shutil
import stat
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.image.conftest import USER_DATA, edge_build
from tests.kairos import images
from tests.kairos.conftest import Miniature

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(300)]

PLACE = "etc/kairos-init/stage-extensions"
FILES = {"50_edge-overlay.yaml", "edge-overlay-install.sh", "edge-overlay.tar.gz"}


@pytest.fixture(scope="module")
def extension(place: Path, user_data: Path) -> Path:
    target = place / "stage-extensions"
    done = edge_build("kairos-extension", "--user-data", user_data, "--output", target)
    assert done.status == 0, done.err
    assert {path.name for path in target.iterdir()} == FILES
    return target


@pytest.fixture
def root(miniature: Miniature, extension: Path, place: Path) -> Iterator[Path]:
    """The miniature base, unpacked, with the extension in it."""
    made = images.directory(miniature.tar, place / "extended")
    shutil.copytree(extension, made / PLACE)
    yield made
    shutil.rmtree(made)


def after_install(root: Path) -> subprocess.CompletedProcess[str]:
    """Run the stage's commands in the image."""
    stages = yaml.safe_load((root / PLACE / "50_edge-overlay.yaml").read_text())["stages"]
    commands = [line for step in stages["after-install"] for line in step["commands"]]
    words = ["chroot", str(root), "sh", "-c", "\n".join(commands)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def test_it_installs_the_overlay(root: Path) -> None:
    modes = {path: path.stat().st_mode for path in (root / "usr/lib", root / "system/oem")}
    done = after_install(root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "edge-overlay" in done.stdout, "the command runs"
    embedded = root / "usr/lib/edge-overlay/user-data"
    assert embedded.read_text() == USER_DATA
    assert stat.S_IMODE(embedded.stat().st_mode) == 0o600
    assert {path: path.stat().st_mode for path in modes} == modes
    folder = (root / "usr/lib/edge-overlay/overlay_runtime").stat()
    assert (stat.S_IMODE(folder.st_mode), folder.st_uid) == (0o755, 0)
    assert not (root / PLACE / "edge-overlay.tar.gz").exists(), "the secret stays in one place"
    wanted = root / "usr/lib/systemd/system/multi-user.target.wants/edge-overlay.service"
    assert wanted.is_symlink() and wanted.exists()


def test_it_takes_the_python_that_is_new_enough(root: Path) -> None:
    newer = root / "usr/bin/python3.11"  # as SUSE has it beside an old python3
    (root / "usr/bin/python3").unlink()
    newer.symlink_to("python3.13")
    (root / "usr/bin/python3.13").rename(root / "usr/bin/python3.13-real")
    newer.unlink()
    newer.symlink_to("python3.13-real")
    (root / "usr/bin/python3").write_text("#!/bin/sh\nexit 1\n")
    (root / "usr/bin/python3").chmod(0o755)
    done = after_install(root)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (root / "usr/bin/edge-overlay").read_text().startswith("#!/usr/bin/python3.11 -IS\n")


def test_without_python_it_says_so_and_installs_nothing(root: Path) -> None:
    for path in (root / "usr/bin").glob("python3*"):
        path.unlink()
    done = after_install(root)
    assert done.returncode != 0
    assert "has no Python 3.11 or newer" in done.stderr
    assert not (root / "usr/bin/edge-overlay").exists()


def test_the_same_input_gives_the_same_bytes(
    extension: Path, user_data: Path, tmp_path: Path
) -> None:
    done = edge_build("kairos-extension", "--user-data", user_data, "--output", tmp_path)
    assert done.status == 0, done.err
    for name in FILES:
        assert (tmp_path / name).read_bytes() == (extension / name).read_bytes(), name
    with tarfile.open(tmp_path / "edge-overlay.tar.gz") as tar:
        assert not [member.name for member in tar if member.isdir()]
