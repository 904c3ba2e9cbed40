"""What is dropped on the way into an ISO is an error, and an interrupted build leaves nothing."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from builder.errors import DroppedError
from builder.kairos.tree import TarLayer, Tree
from builder.kairos.verify import Wanted, check_iso
from tests.image.conftest import COMMAND, REPOSITORY
from tests.kairos import images
from tests.kairos.conftest import Built, Miniature

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(600)]


@contextmanager
def _open(path: Path) -> Iterator[IO[bytes]]:
    with path.open("rb") as stream:
        yield stream


def tree_of(*tars: Path) -> Tree:
    return Tree([TarLayer(str(tar), lambda tar=tar: _open(tar)) for tar in tars])  # type: ignore[misc]


def test_dropped_things_are_named(built: Built, miniature: Miniature, tmp_path: Path) -> None:
    text = built.user_data.read_text()
    log = tmp_path / "log"
    check_iso(
        built.iso, Wanted({"config.yaml": built.user_data}, tree_of(miniature.tar), text), log
    )
    extra = tmp_path / "extra"
    (extra / "srv").mkdir(parents=True)
    (extra / "srv/dropped").write_text("x")
    tar = images.small_tar(tmp_path / "extra.tar", extra)
    other = tmp_path / "other.yaml"
    other.write_text(text + "# changed\n")
    files = {"config.yaml": other, "boot/absent": other}
    with pytest.raises(DroppedError) as caught:
        check_iso(built.iso, Wanted(files, tree_of(miniature.tar, tar), other.read_text()), log)
    for words in (
        "/config.yaml as it was made",
        "/boot/absent",
        "/srv/dropped in rootfs.squashfs",
        "the user-data in /usr/lib/edge-overlay/user-data",
    ):
        assert words in caught.value.message


def test_lost_boot_entries_are_named(built: Built, miniature: Miniature, tmp_path: Path) -> None:
    """As xorriso leaves it that was not told to replay them."""
    bare = tmp_path / "bare.iso"
    words = ["xorriso", "-indev", str(built.iso), "-outdev", str(bare)]
    words += ["-boot_image", "any", "discard", "-rm", "/config.yaml", "--"]
    subprocess.run(words, check=True, capture_output=True, timeout=120)
    with pytest.raises(DroppedError, match="a BIOS boot entry and a UEFI boot entry"):
        check_iso(bare, Wanted({}, tree_of(miniature.tar), None), tmp_path / "log")


def test_an_interrupted_build_leaves_nothing(
    miniature: Miniature, user_data: Path, tmp_path: Path
) -> None:
    words = [*COMMAND, "image", "--base", f"oci:{miniature.layout}", "--cache-dir"]
    words += [str(tmp_path / "cache"), "--user-data", str(user_data)]
    words += ["--output", str(tmp_path / "out")]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY) as build:
        deadline = time.monotonic() + 120
        while not list(tmp_path.glob("cache/work/work-*/rootfs.squashfs")):
            assert time.monotonic() < deadline, "tar2sqfs did not start"
            assert build.poll() is None
            time.sleep(0.05)
        build.send_signal(signal.SIGTERM)
        _, said = build.communicate(timeout=60)
    assert build.returncode == 130, said
    assert "nothing half made was left" in said and "Traceback" not in said
    left = {path.name for path in (tmp_path / "out").iterdir()}
    assert left == {"edge-installer.log", ".edge-installer.lock"}
    assert not list((tmp_path / "cache/work").iterdir())
    running = subprocess.run(["pgrep", "-f", str(tmp_path)], check=False, capture_output=True)
    assert running.stdout == b"", "tools are still running"
    shutil.rmtree(tmp_path / "cache")
