"""Our stage files, executed by the real yip in the miniature base."""

from __future__ import annotations

import dataclasses
import ipaddress
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from builder.templates import TEMPLATES
from overlay_runtime.state import State, StateStore
from tests.kairos import images
from tests.kairos.conftest import Miniature
from tests.kairos.test_extension import PLACE, extension
from tests.yip.conftest import yip

__all__ = ["extension", "yip"]  # fixtures

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(900)]

_CIDR = ipaddress.ip_network("100.64.192.0/23")
_STATE = State(_CIDR, _CIDR[77], "uuid:1234", "DMI product UUID", 12)

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


@pytest.fixture
def claimed(root: Path) -> Path:
    """A live system that has claimed an address; returns where the new COS_OEM is mounted."""
    script = "usr/lib/edge-overlay/carry-address"
    (root / script).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(TEMPLATES / "edge-kairos" / script, root / script)
    (root / "run/edge-overlay").mkdir()
    StateStore(root / "var/lib/edge-overlay").save(_STATE)
    oem = root / "run/cos/oem"
    oem.mkdir()
    return oem


@contextmanager
def mounted(place: Path, *source: str) -> Iterator[None]:
    subprocess.run(["mount", *source, str(place)], check=True, timeout=30)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True, timeout=30)


def test_the_address_of_the_installer_is_the_installed_systems(root: Path, claimed: Path) -> None:
    with mounted(claimed, "-t", "tmpfs", "tmpfs"):
        stage(root, "before-install", "/system/oem")
        installed = StateStore(root / "nothing-yet", claimed / "edge-overlay")
        assert installed.load() == _STATE
        place = claimed / "edge-overlay"
        assert [path.name for path in place.iterdir()] == ["state.json"]
        assert place.stat().st_mode & 0o777 == 0o700
        assert (place / "state.json").stat().st_mode & 0o777 == 0o600
        later = dataclasses.replace(_STATE, address=_STATE.cidr[99])
        StateStore(root / "var/lib/edge-overlay").save(later)
        stage(root, "after-install", "/system/oem")
        assert installed.load() == later


def test_an_address_that_came_late_goes_to_the_unmounted_partition(
    root: Path, claimed: Path
) -> None:
    """With a label of the test's own: other disks of this machine may well be Kairos's."""
    label = f"EDGE{os.getpid()}"
    disk = root / "disk"
    with disk.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-L", label, str(disk)], check=True, timeout=60)
    words = ["losetup", "--find", "--show", str(disk)]
    loop = subprocess.run(words, capture_output=True, text=True, check=True, timeout=30)
    device = loop.stdout.strip()
    try:
        with ExitStack() as stack:
            for folder in ("dev", "proc", "sys"):  # where libblkid looks
                stack.enter_context(mounted(root / folder, "--bind", f"/{folder}"))
            words = ["chroot", str(root), "/usr/lib/edge-overlay/carry-address", label]
            subprocess.run(words, check=True, timeout=60)
        with mounted(claimed, device):
            assert StateStore(claimed / "edge-overlay").load() == _STATE
    finally:
        subprocess.run(["losetup", "--detach", device], check=True, timeout=30)


def test_an_install_never_fails_for_the_address(root: Path, claimed: Path) -> None:
    words = ["chroot", str(root), "/usr/lib/edge-overlay/carry-address", "NO_SUCH_LABEL"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")
    assert "can't be mounted" in done.stderr
    shutil.rmtree(root / "var/lib/edge-overlay")
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert list(claimed.iterdir()) == []


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
