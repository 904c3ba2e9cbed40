"""How the service ends when there is nothing to run, or when something goes wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from overlay_runtime import service
from overlay_runtime.paths import Paths, find_paths
from overlay_runtime.service import run_service

BLOCK = "#cloud-config\noverlay:\n  secret: sixteen characters\n"


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    paths = find_paths(str(tmp_path))
    paths.run_dir.mkdir(parents=True)
    return paths


def _status(paths: Paths) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(paths.status.read_bytes())
    return status


def test_no_block(paths: Paths) -> None:
    paths.user_data.write_text("#cloud-config\n")
    assert run_service(paths, "me") == 0
    assert (_status(paths)["state"], _status(paths)["exit_code"]) == ("off", 0)


def test_no_block_because_its_volume_could_not_be_read(paths: Paths) -> None:
    paths.sources.write_text(json.dumps({"origin": None, "problems": ["a scratched disc"]}))
    assert run_service(paths, "me") == 78
    status = _status(paths)
    assert (status["state"], status["problems"]) == ("error", ["a scratched disc"])


def test_a_wrong_block(paths: Paths) -> None:
    paths.user_data.write_text(f"{BLOCK}  vni: x\n")
    assert run_service(paths, "me") == 78
    status = _status(paths)
    assert (status["state"], status["exit_code"]) == ("error", 78)
    assert f"{paths.user_data}:4:8" in status["problems"][0]


@pytest.mark.parametrize("place", ["load", "_run"])
def test_a_fault_of_our_own_is_told_without_the_secret(
    paths: Paths, place: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    paths.user_data.write_text(BLOCK)

    def fail(*_: object) -> None:
        raise KeyError(BLOCK)

    monkeypatch.setattr(service, place, fail)
    assert run_service(paths, "me") == 70
    status = _status(paths)
    assert (status["state"], status["exit_code"]) == ("error", 70)
    assert "KeyError at test_service.py" in status["problems"][0]
    assert "sixteen" not in caplog.text + paths.status.read_text()
