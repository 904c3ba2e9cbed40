"""The file by which Kubernetes' units learn of the overlay."""

from __future__ import annotations

import json
from pathlib import Path

from overlay_runtime.trigger import Trigger


def _status(state: str, address: str | None) -> dict[str, object]:
    return {"state": state, "overlay": {"address": address, "vip": "100.64.192.1"}}


def test_it_changes_with_the_overlay_alone(tmp_path: Path) -> None:
    path = tmp_path / "kubernetes" / "overlay.json"
    trigger = Trigger(path)
    trigger.tell(_status("claiming", None))
    trigger.tell(_status("up", "100.64.192.5"))
    assert json.loads(path.read_text()) == {
        "state": "up", "address": "100.64.192.5", "vip": "100.64.192.1",
    }  # fmt: skip
    before = path.stat().st_ino
    trigger.tell(_status("up", "100.64.192.5"))
    assert path.stat().st_ino == before, "a write would start a program"
    trigger.tell(_status("up", "100.64.192.6"))
    assert path.stat().st_ino != before


def test_what_the_disk_refuses_stops_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    Trigger(tmp_path / "file" / "overlay.json").tell(_status("up", "100.64.192.5"))
