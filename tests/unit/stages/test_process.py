"""Commands have an end: real processes."""

from __future__ import annotations

import time
from pathlib import Path

from overlay_runtime.stages.process import Done, run_process


def sh(command: str, limit: float = 10.0) -> Done:
    return run_process(["sh", "-c", command], limit, {})


def test_output_and_code() -> None:
    done = sh("echo out; echo err >&2; exit 3")
    assert (done.code, done.output) == (3, "out\nerr\n")
    assert done.failure() == "failed with exit code 3: err"


def test_a_hanging_command_is_ended_with_its_children(tmp_path: Path) -> None:
    mark = tmp_path / "pids"
    began = time.monotonic()
    done = sh(f"sleep 98761 & echo $! > {mark}; sleep 98762 | sleep 98763", 0.5)
    assert time.monotonic() - began < 5
    assert done.code is None
    assert done.failure() == "was ended after 0 s"
    for _ in range(50):
        if not Path(f"/proc/{mark.read_text().strip()}").exists():
            return
        time.sleep(0.1)
    raise AssertionError("a child outlived its command")


def test_who_ignores_sigterm_is_killed() -> None:
    began = time.monotonic()
    assert sh("trap '' TERM; while :; do sleep 1; done", 0.3).code is None
    assert time.monotonic() - began < 10


def test_a_child_that_keeps_the_pipe_open_is_not_waited_for(tmp_path: Path) -> None:
    """It lives on, and can still write: a closed pipe would end it."""
    mark = tmp_path / "lived"
    began = time.monotonic()
    done = sh(f"( sleep 1; echo late; echo later && touch {mark} ) & echo soon")
    assert time.monotonic() - began < 0.9
    assert done.good
    assert done.output == "soon\n"
    for _ in range(100):
        if mark.exists():
            return
        time.sleep(0.1)
    raise AssertionError("the child was ended by its pipe")


def test_much_output_keeps_its_end() -> None:
    done = sh("yes | head -c 5000000; echo end")
    assert len(done.output) <= 1 << 16
    assert done.last_line() == "end"


def test_no_time_no_start(tmp_path: Path) -> None:
    assert sh(f"touch {tmp_path}/x", 0).code is None
    assert not (tmp_path / "x").exists()


def test_not_there() -> None:
    assert run_process(["/no/such"], 1, {}).failure().startswith("can't be started: No such file")


def test_output_is_not_in_the_repr() -> None:
    assert "geheim" not in repr(sh("echo geheim"))


def test_a_password_in_a_url_is_not_told() -> None:
    said = sh("echo 'fatal: can not access https://u:ge@heim@host/x: 403'; exit 1").failure()
    assert said == "failed with exit code 1: fatal: can not access https://…@host/x: 403"
