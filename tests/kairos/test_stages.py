"""Our stage files, executed by the real yip in the miniature base."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.templates import TEMPLATES
from tests.kairos import images
from tests.kairos.conftest import Miniature
from tests.kairos.test_extension import PLACE, extension
from tests.yip.conftest import yip

__all__ = ["extension", "yip"]  # fixtures

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(900)]

# As Kairos's own layout file does it: in `rootfs` the list, in `rootfs.after` written anew with the
# user's own mounts.
LAYOUT = """\
name: "layout"
stages:
  rootfs:
    - if: '[ ! -e "/run/cos/recovery_mode" ]'
      environment_file: /run/cos/cos-layout.env
      environment:
        RW_PATHS: "/var /etc"
        PERSISTENT_STATE_PATHS: "/home /var/log"
  rootfs.after:
    - if: '[ -r /run/cos/custom-layout.env ]'
      commands:
        - |
          . /run/cos/cos-layout.env
          . /run/cos/custom-layout.env
          sed -i "/PERSISTENT_STATE_PATHS/d" /run/cos/cos-layout.env
          all="${PERSISTENT_STATE_PATHS} ${CUSTOM_BIND_MOUNTS}"
          echo "PERSISTENT_STATE_PATHS=\\"$all\\"" >> /run/cos/cos-layout.env
"""


@pytest.fixture
def root(miniature: Miniature, yip: Path, place: Path) -> Iterator[Path]:
    made = images.directory(miniature.tar, place / "staged")
    shutil.copy(yip, made / "usr/bin/yip-run")
    for tree in ("edge", "edge-kairos"):
        shutil.copytree(TEMPLATES / tree / "system", made / "system", dirs_exist_ok=True)
    (made / "system/oem/00_layout.yaml").write_text(LAYOUT)
    (made / "run/cos").mkdir(parents=True)
    yield made
    shutil.rmtree(made)


def stage(root: Path, name: str, directory: str) -> str:
    words = ["chroot", str(root), "yip-run", name, directory]
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stderr


def binds(root: Path) -> set[str]:
    """What immucore would bind to the persistent partition: both lists of the layout."""
    layout = root / "run/cos/cos-layout.env"
    found: set[str] = set()
    for line in layout.read_text().splitlines() if layout.exists() else []:
        key, _, value = line.partition("=")
        if key in ("PERSISTENT_STATE_PATHS", "CUSTOM_BIND_MOUNTS"):
            found |= set(value.strip('"').split())
    return found


def test_the_overlay_address_is_kept(root: Path) -> None:
    for _boot in range(2):
        stage(root, "rootfs", "/system/oem")
        assert binds(root) == {"/home", "/var/log", "/var/lib/edge-overlay"}


def test_the_users_own_mounts_stay(root: Path) -> None:
    (root / "run/cos/custom-layout.env").write_text('CUSTOM_BIND_MOUNTS="/var/lib/mine"\n')
    stage(root, "rootfs", "/system/oem")
    assert binds(root) == {"/home", "/var/log", "/var/lib/edge-overlay", "/var/lib/mine"}


def test_recovery_binds_nothing(root: Path) -> None:
    (root / "run/cos/recovery_mode").touch()
    stage(root, "rootfs", "/system/oem")
    assert binds(root) == set()


def test_offloads_are_seen_to_in_initramfs(root: Path) -> None:
    script = root / "usr/lib/edge-overlay/offload"
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text("#!/bin/sh\ntouch /run/offload-ran\n")
    script.chmod(0o755)
    stage(root, "initramfs", "/system/oem")
    assert (root / "run/offload-ran").exists()


def test_the_stage_extension_installs_the_overlay(root: Path, extension: Path) -> None:
    shutil.copytree(extension, root / PLACE)
    stage(root, "after-install", f"/{PLACE}")
    words = ["chroot", str(root), "edge-overlay", "--version"]
    assert subprocess.run(words, timeout=60, check=False).returncode == 0
    assert (root / "usr/lib/edge-overlay/user-data").exists()
