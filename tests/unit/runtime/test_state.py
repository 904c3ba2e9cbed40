"""The state file: whatever a power cut leaves of it, the address is recovered or the loss told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from overlay_runtime.errors import StateError
from overlay_runtime.state import State, StateStore
from tests.unit.runtime.samples import CIDR

STATE = State(CIDR, CIDR[77], "uuid:1234", "DMI product UUID", 12)


@pytest.fixture
def store(tmp_path: Path) -> StateStore:
    made = StateStore(tmp_path / "state")
    made.save(STATE)
    return made


def test_nothing_stored_is_no_error(tmp_path: Path) -> None:
    assert StateStore(tmp_path / "none").load() is None


def test_round_trip_and_modes(store: StateStore, tmp_path: Path) -> None:
    assert store.load() == STATE
    assert store.recovered is None
    assert (tmp_path / "state").stat().st_mode & 0o777 == 0o700
    names = sorted(path.name for path in (tmp_path / "state").iterdir())
    assert names == ["state.json", "state.json.bak"]
    assert all(p.stat().st_mode & 0o777 == 0o600 for p in (tmp_path / "state").iterdir())


def test_a_file_torn_at_any_byte_is_recovered(store: StateStore, tmp_path: Path) -> None:
    path = tmp_path / "state/state.json"
    whole = path.read_bytes()
    for length in range(len(whole) - 1):  # without its last newline it is still whole
        path.write_bytes(whole[:length])
        assert store.load() == STATE, length
        assert store.recovered
        path.write_bytes(whole[:length] + b"\0" * (len(whole) - length))
        assert store.load() == STATE, length


def test_a_changed_or_missing_field_is_recovered(store: StateStore, tmp_path: Path) -> None:
    path = tmp_path / "state/state.json"
    body = json.loads(path.read_text())
    for name in body:
        path.write_text(json.dumps({k: v for k, v in body.items() if k != name}))
        assert store.load() == STATE
        path.write_text(json.dumps({**body, name: "100.64.192.99"}))
        assert store.load() == STATE
    path.unlink()
    assert store.load() == STATE
    assert store.recovered and "missing" in store.recovered


def test_both_unreadable_is_told_not_guessed(store: StateStore, tmp_path: Path) -> None:
    for name in ("state.json", "state.json.bak"):
        (tmp_path / "state" / name).write_bytes(b"")
    with pytest.raises(StateError, match="reset"):
        store.load()
    assert store.clear()
    assert store.load() is None


def test_a_directory_that_can_not_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file in the way")
    with pytest.raises(StateError, match="can't be stored"):
        StateStore(tmp_path / "state").save(STATE)


def test_a_copy_on_another_storage_brings_the_address_back(tmp_path: Path) -> None:
    oem = tmp_path / "oem/edge-overlay"
    oem.parent.mkdir()
    StateStore(tmp_path / "state", oem).save(STATE)
    assert oem.stat().st_mode & 0o777 == 0o700
    assert [(p.name, p.stat().st_mode & 0o777) for p in oem.iterdir()] == [("state.json", 0o600)]
    after_a_reset = StateStore(tmp_path / "new", oem)
    assert after_a_reset.load() == STATE
    assert after_a_reset.recovered and str(oem) in after_a_reset.recovered


def test_the_state_directory_goes_before_the_copy(tmp_path: Path) -> None:
    oem = tmp_path / "oem"
    StateStore(tmp_path / "state").save(STATE)
    StateStore(oem).save(dataclasses.replace(STATE, address=CIDR[78]))
    both = StateStore(tmp_path / "state", oem)
    assert both.load() == STATE
    both.copy(STATE)
    assert StateStore(oem).load() == STATE


def test_all_copies_are_forgotten(tmp_path: Path) -> None:
    made = StateStore(tmp_path / "state", tmp_path / "oem")
    made.save(STATE)
    assert made.clear()
    assert made.load() is None
    assert list((tmp_path / "oem").iterdir()) == []


def test_a_copy_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "oem").write_text("a file in the way")
    made = StateStore(tmp_path / "state", tmp_path / "oem")
    made.save(STATE)
    assert made.load() == STATE
    assert made.copy_problem and "can't be stored" in made.copy_problem
