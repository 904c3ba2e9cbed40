"""Nothing half made is left, nothing good is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from builder.cache import Cache, digest
from builder.errors import BusyError, DiskFullError, OutputError
from builder.output.checksum import checksummed_file, read_checksum
from builder.workspace import atomic_file, check_writable, exclusive, require_space, temporary_tree


def test_atomic_file_replaces_only_when_done(tmp_path: Path) -> None:
    final = tmp_path / "a.iso"
    final.write_text("old")
    with pytest.raises(ValueError, match="half"), atomic_file(final) as path:
        path.write_text("half")
        raise ValueError("half")
    assert final.read_text() == "old"
    assert list(tmp_path.iterdir()) == [final]
    with atomic_file(final) as path:
        path.write_text("new")
        assert final.read_text() == "old"
    assert final.read_text() == "new"
    assert list(tmp_path.iterdir()) == [final]


def test_a_full_disk_is_a_full_disk(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError), atomic_file(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    with pytest.raises(DiskFullError, match="MiB"):
        require_space(tmp_path, 1 << 60, "everything")


def test_output_that_is_no_directory(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        check_writable(tmp_path / "file")


def test_trees_of_killed_builds_are_removed(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from builder.workspace import temporary_tree\n"
        "with temporary_tree(Path(sys.argv[1])) as tree:\n"
        "    (tree / 'big').touch(); print(tree, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as killed:
        assert killed.stdout is not None
        abandoned = Path(killed.stdout.readline().strip())
        with temporary_tree(tmp_path) as mine:
            assert abandoned.exists(), "a tree in use was taken for abandoned"
            assert mine != abandoned
        killed.kill()
    assert abandoned.exists()
    with temporary_tree(tmp_path):
        assert not abandoned.exists()


def test_exclusive(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with exclusive(lock, "it"), pytest.raises(BusyError, match="it"), exclusive(lock, "it"):
        pass
    with exclusive(lock, "it"):
        pass


def test_cache_entries_appear_whole_or_not_at_all(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def fail(directory: Path) -> None:
        (directory / "half").touch()
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError):
        cache.get("x", {"a": 1}, fail)
    assert list(tmp_path.glob("x-*")) == []
    made = cache.get("x", {"a": 1, "b": 2}, _nothing)
    assert not made.was_cached
    again = cache.get("x", {"b": 2, "a": 1}, fail)
    assert again.was_cached
    assert again.path == made.path


def test_cache_is_bounded_by_last_use(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    for number in range(3):
        entry = cache.get("x", number, _nothing)
        old = time.time() - 100 + number
        os.utime(entry.path / "entry.json", (old, old))
    cache.get("x", 0, _nothing)  # used again: now the newest
    cache.get("x", 3, _nothing)
    assert [number for number in range(4) if cache.find("x", digest(number))] == [0, 2, 3]


def _nothing(_directory: Path) -> None:
    pass


def test_a_damaged_entry_is_made_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)

    def make(directory: Path) -> None:
        (directory / "layer").write_bytes(b"whole")

    entry = cache.get("x", 1, make)
    (entry.path / "layer").write_bytes(b"wh")
    assert cache.find("x", digest(1)) is None
    again = cache.get("x", 1, make)
    assert not again.was_cached
    assert (again.path / "layer").read_bytes() == b"whole"


def test_clearing_removes_only_what_is_the_caches(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "precious").touch()
    (tmp_path / "my-photos").mkdir()
    cache = Cache(tmp_path)
    cache.get("x", 1, _nothing)
    cache.clear()
    assert cache.find("x", digest(1)) is None
    assert (tmp_path / "docs" / "precious").exists()
    assert (tmp_path / "my-photos").exists()


def test_images_are_readable_by_their_owner_only(tmp_path: Path) -> None:
    """They hold the overlay's secret."""
    with atomic_file(tmp_path / "a.iso") as path:
        path.write_text("secret")
    assert (tmp_path / "a.iso").stat().st_mode & 0o777 == 0o600


def test_checksum_and_image_are_of_one_build(tmp_path: Path) -> None:
    image = tmp_path / "a.iso"
    with checksummed_file(image) as path:
        path.write_text("one")
    one = read_checksum(image)
    with pytest.raises(ValueError, match="half"), checksummed_file(image) as path:
        path.write_text("tw")
        raise ValueError("half")
    assert (image.read_text(), read_checksum(image)) == ("one", one)
    assert len(list(tmp_path.iterdir())) == 2


def test_interrupt_ends_the_tools_children(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from builder import process\n"
        "process.run(['sh', '-c', 'sleep 300 & echo $! >pid; wait'], Path('log'))\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stderr=subprocess.DEVNULL
    ) as p:
        deadline = time.monotonic() + 20
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text().strip():
            assert time.monotonic() < deadline, "the tool did not start"
            time.sleep(0.02)
        child = int((tmp_path / "pid").read_text())
        p.send_signal(signal.SIGINT)
        p.wait(20)
    deadline = time.monotonic() + 10
    while Path(f"/proc/{child}").exists() and "State:\tZ" not in _status(child):
        assert time.monotonic() < deadline, "the tool's child is still running"
        time.sleep(0.02)


def _status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "State:\tZ"
