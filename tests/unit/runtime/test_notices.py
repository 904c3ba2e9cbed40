"""What programs that run once tell, and how status shows it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from overlay_runtime.cli import main
from overlay_runtime.notices import Notice, problems, tell, told


def test_a_notice_is_read_as_it_was_told(tmp_path: Path) -> None:
    notice = Notice("stages", ("step 3 failed",), {"failed": 1})
    tell(tmp_path, notice)
    tell(tmp_path, Notice("network"))
    assert told(tmp_path) == [Notice("network"), notice]
    assert problems(told(tmp_path)) == ["step 3 failed"]


@pytest.mark.parametrize("content", ["", "[1]", '{"problems": 1, "details": []}', "\x00"])
def test_a_broken_notice_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / "stages.json").write_text(content)
    assert problems(told(tmp_path)) == []


def test_a_place_that_cant_be_written_stops_nobody(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    tell(tmp_path / "file", Notice("stages"))
    assert told(tmp_path / "file") == []


def test_status_shows_it_without_an_agent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = tmp_path / "run"
    tell(run_dir / "notices", Notice("stages", ("step 3 failed",), {"failed": 1}))
    assert main(["status", "--json", "--run-dir", str(run_dir)]) == 1
    status = json.loads(capsys.readouterr().out)
    assert "step 3 failed" in status["problems"]
    assert status["notices"] == {"stages": {"failed": 1}}
    main(["status", "--run-dir", str(run_dir)])
    assert "step 3 failed" in capsys.readouterr().out
