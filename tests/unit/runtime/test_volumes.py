"""How a volume is mounted and let go; real file systems are the VM tier's business."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from overlay_runtime.config import volumes
from overlay_runtime.config.volumes import find_volume

# Stands in for mount(8): only vfat "works", by copying the tree that lies beside the image.
_MOUNT = """#!/bin/sh
echo "$*" >> "$LOG"
[ "$2" = vfat ] || { echo "mount: wrong fs type, bad superblock" >&2; exit 32; }
cp "$5.content/"* "$6"
"""
_UMOUNT = """#!/bin/sh
echo "umount $*" >> "$LOG"
rm "$2"/*
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tools = tmp_path / "bin"
    tools.mkdir()
    for name, text in (("mount", _MOUNT), ("umount", _UMOUNT)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    labels = tmp_path / "root/dev/disk/by-label"
    labels.mkdir(parents=True)
    (tmp_path / "stick").touch()
    (labels / "CIDATA").symlink_to(tmp_path / "stick")
    return tmp_path / "root"


def test_a_volume_is_mounted_read_only_copied_and_let_go(root: Path) -> None:
    content = root.parent / "stick.content"
    content.mkdir()
    (content / "USER-DATA").write_text("#cloud-config\n")
    (content / "autorun.inf").write_text("no")
    volume = find_volume(root)
    assert volume is not None
    assert volume.files == {"user-data": b"#cloud-config\n"}
    tried = (root.parent / "log").read_text().splitlines()
    assert [line.split()[1] for line in tried] == ["iso9660", "vfat", "--lazy"]
    assert "ro,nosuid,nodev,noexec" in tried[1]
    assert list((root / "run").iterdir()) == []


def test_a_volume_that_can_not_be_mounted_is_told(root: Path) -> None:
    volume = find_volume(root)
    assert volume is not None
    assert volume.files == {}
    assert volume.fault and "iso9660: mount: wrong fs type" in volume.fault


def test_a_disc_that_hangs_is_given_up(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(volumes, "_PATIENCE", 0.3)
    # The reading itself hangs, not only mount(8): what a scratched CD does.
    monkeypatch.setattr(volumes, "_copy", lambda _: time.sleep(60))
    (root.parent / "stick.content").mkdir()
    (root.parent / "stick.content/user-data").touch()
    start = time.monotonic()
    volume = find_volume(root)
    assert volume is not None and volume.files == {}
    assert volume.fault and "no answer" in volume.fault
    assert time.monotonic() - start < 10


def test_a_full_run_is_told(root: Path) -> None:
    (root / "run").touch()  # no directory can be made in it
    volume = find_volume(root)
    assert volume is not None
    assert volume.files == {}
    assert volume.fault


def test_a_big_file_comes_whole(root: Path) -> None:
    (root.parent / "stick.content").mkdir()
    (root.parent / "stick.content/user-data").write_bytes(bytes(range(256)) * 4096)
    volume = find_volume(root)
    assert volume is not None
    assert volume.files == {"user-data": bytes(range(256)) * 4096}


def test_no_volume(tmp_path: Path) -> None:
    assert find_volume(tmp_path) is None
