"""The journal and the way back, whatever was done of it; in a directory of the test."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from overlay_runtime.errors import HostError
from overlay_runtime.host.filestate import beside
from overlay_runtime.host.transaction import Transaction, Wanted, begin, load

_OLD = 1_700_000_000_123_456_789


def _tree(root: Path) -> list[tuple[object, ...]]:
    found: list[tuple[object, ...]] = []
    for path in sorted(root.rglob("*")):
        about = path.lstat()
        name, mode = str(path.relative_to(root)), stat.S_IMODE(about.st_mode)
        if path.is_symlink():
            found.append((name, str(path.readlink())))
        elif path.is_file():
            found.append((name, mode, about.st_uid, about.st_mtime_ns, path.read_bytes()))
        else:
            found.append((name, mode))
    return found


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    etc = tmp_path / "etc"
    (etc / "netplan").mkdir(parents=True)
    yaml = etc / "netplan/50.yaml"
    yaml.write_text("network: {}\n")
    yaml.chmod(0o600)
    os.utime(yaml, ns=(_OLD, _OLD))
    (etc / "resolv.conf").symlink_to("../run/stub")
    (etc / "kept").write_text("as it is")
    return etc


def _begin(etc: Path) -> Transaction:
    wanted = [
        Wanted(etc / "netplan/backup/50.yaml", b"network: {}\n", mode=0o600, mtime=_OLD),
        Wanted(etc / "netplan/50.yaml"),
        Wanted(etc / "systemd/network/10.network", b"[Match]\n"),
        Wanted(etc / "kept", b"changed", mode=0o640),
        Wanted(etc / "systemd/system/x.service", target="/dev/null"),
        Wanted(etc / "resolv.conf", target="/run/resolv.conf"),
    ]
    return begin(etc.parent / "home", wanted, {})


@pytest.mark.parametrize("done", range(7))
def test_any_part_of_it_is_taken_back(etc: Path, done: int) -> None:
    before = _tree(etc)
    tx = _begin(etc)
    assert _tree(etc) == before
    for change in tx.changes[:done]:
        tx.redo(change)
    if done < len(tx.changes):  # killed while it made the next file
        parent = tx.changes[done].path.parent
        parent.mkdir(parents=True, exist_ok=True)
        beside(tx.changes[done].path).write_text("half")
    again = load(tx.home)
    assert again is not None
    for _ in range(2):  # a second time is no harm
        for change in reversed(again.changes):
            again.take_back(change)
        again.remove_directories()
        assert _tree(etc) == before


def test_what_it_makes(etc: Path) -> None:
    tx = _begin(etc)
    for change in tx.changes:
        tx.redo(change)
    moved = etc / "netplan/backup/50.yaml"
    assert (moved.stat().st_mtime_ns, stat.S_IMODE(moved.stat().st_mode)) == (_OLD, 0o600)
    assert not (etc / "netplan/50.yaml").exists()
    assert str((etc / "resolv.conf").readlink()) == "/run/resolv.conf"
    assert stat.S_IMODE(tx.home.stat().st_mode) == 0o700
    assert tx.foreign() == []


def test_what_somebody_changed_is_found_and_kept(etc: Path) -> None:
    before = _tree(etc)
    tx = _begin(etc)
    for change in tx.changes:
        tx.redo(change)
    (etc / "kept").write_text("by somebody")
    assert tx.foreign() == [etc / "kept"]
    for change in reversed(tx.changes):
        tx.take_back(change)
    tx.remove_directories()
    assert _tree(etc) == before
    [kept] = (tx.home / "kept").iterdir()
    assert kept.read_text() == "by somebody"


def test_one_at_a_time(etc: Path) -> None:
    tx = _begin(etc)
    assert (tx.home / "pending").exists()
    with pytest.raises(HostError, match="under way"):
        _begin(etc)
    tx.record("done")
    assert not (tx.home / "pending").exists()
    with pytest.raises(HostError, match="undo"):
        _begin(etc)
    tx.record("undone")
    assert _begin(etc).state == "planned"


def test_a_damaged_journal_is_an_error(etc: Path) -> None:
    tx = _begin(etc)
    (tx.home / "transaction.json").write_text("{")
    with pytest.raises(HostError, match="damaged"):
        load(tx.home)
