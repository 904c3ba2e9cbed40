"""What the commands print, without an agent and with one's status file."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from overlay_runtime.cli import main
from overlay_runtime.state import State, StateStore
from overlay_runtime.status import boottime
from overlay_runtime.status_writer import write_status
from overlay_runtime.table import age
from tests.unit.runtime.samples import CIDR


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EDGE_OVERLAY_RUN_DIR", str(tmp_path))
    monkeypatch.setenv("EDGE_OVERLAY_STATE_DIR", str(tmp_path / "state"))
    return tmp_path


def _status(state: str = "up") -> dict[str, Any]:
    now = boottime()
    return {
        "state": state, "problems": ["something is odd"], "pid": 1,
        "host": {"id": "0" * 16, "name": "me", "identity": "given"},
        "overlay": {"interface": "scbr-100", "cidr": "100.64.192.0/23", "address": "100.64.192.9",
                    "prefix": 23, "vip": "100.64.192.1", "mtu": 1430, "vni": 100, "port": 4797},
        "underlay": [{"name": "eth0", "mtu": 1500, "addresses": ["10.9.0.1/24", "fe80::1"]}],
        "peers": [{"id": "1" * 16, "name": "other", "address": "100.64.192.8", "mac": "",
                   "transport": "ipv6-link-local", "physical": ["fe80::2", "10.9.0.2"],
                   "last_seen": now - 200, "since": now - 999, "state": "lost"}],
        "strangers": [], "sources": {},
    }  # fmt: skip


def test_the_table(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_status(run_dir / "status.json", _status())
    assert main(["status"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "The overlay is up."
    assert lines[1] == "  ! something is odd"
    own = next(line for line in lines if line.startswith("*"))
    assert own.split()[1:3] == ["me", "100.64.192.9"]
    other = next(line for line in lines if "other" in line)
    assert "fe80::2, 10.9.0.2" in other and "3 min" in other and other.endswith("lost")
    assert "VIP 100.64.192.1" in lines


def test_an_agent_that_is_gone_is_told(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status"]) == 1
    assert "not running" in capsys.readouterr().out
    status = {**_status(), "written": boottime() - 60}
    (run_dir / "status.json").write_text(json.dumps(status))
    assert main(["status", "--json"]) == 1
    shown = json.loads(capsys.readouterr().out)
    assert shown["state"] == "stopped"
    assert "not running" in shown["problems"][0]
    assert main(["wait", "--timeout", "0"]) == 1


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "soon"])
def test_a_time_that_is_none_is_refused(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    """With `nan` the wait would never end."""
    with pytest.raises(SystemExit) as ended:
        main(["wait", f"--timeout={text}"])
    assert ended.value.code == 2
    assert repr(text) in capsys.readouterr().err


def test_addresses_for_scripts(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["address"]) == 1
    write_status(run_dir / "status.json", _status())
    capsys.readouterr()
    assert main(["address"]) == 0
    assert main(["vip"]) == 0
    assert main(["wait", "--timeout", "0"]) == 0
    assert capsys.readouterr().out == "100.64.192.9\n100.64.192.1\n"


def test_reset(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store = StateStore(run_dir / "state")
    store.save(State(CIDR, CIDR[9], "me", "given", 0))
    assert main(["reset"]) == 64  # no terminal to ask at
    assert store.load() is not None
    assert main(["reset", "--yes"]) == 0
    assert store.load() is None
    assert "systemctl restart edge-overlay" in capsys.readouterr().out


@pytest.mark.parametrize("kind", [EOFError, KeyboardInterrupt])
def test_reset_without_an_answer(
    kind: type[BaseException], run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(_: str) -> str:
        raise kind

    store = StateStore(run_dir / "state")
    store.save(State(CIDR, CIDR[9], "me", "given", 0))
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", ask)
    assert main(["reset"]) == 130
    assert store.load() is not None


def _without(*path: str) -> dict[str, Any]:
    status: Any = {**_status(), "written": boottime()}
    inner = status
    for key in path[:-1]:
        inner = inner[0][key] if isinstance(inner, list) else inner[key]
    inner = inner[0] if isinstance(inner, list) else inner
    del inner[path[-1]]
    return dict(status)


@pytest.mark.parametrize(
    "status",
    [
        {"state": "up"},
        {"x": 1},
        [],
        {**_status(), "written": "just now"},
        {**_status(), "written": True},
        {**_status(), "written": 1e12, "overlay": None},
        {**_status(), "written": 1e12, "problems": "odd"},
        _without("overlay", "mtu"),
        _without("host", "name"),
        _without("peers", "last_seen"),
        _without("underlay", "addresses"),
    ],
)
def test_a_status_file_of_another_make(
    run_dir: Path, capsys: pytest.CaptureFixture[str], status: object
) -> None:
    (run_dir / "status.json").write_text(json.dumps(status))
    for command in (["status"], ["status", "--json"], ["address"], ["wait", "--timeout", "0"]):
        assert main(command) == 1
        told = capsys.readouterr()
        assert "not running" in told.out + told.err


def test_an_unknown_transport_is_shown_as_it_is(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status = _status()
    status["peers"][0]["transport"] = "carrier pigeon"
    write_status(run_dir / "status.json", status)
    assert main(["status"]) == 0
    assert "carrier pigeon" in capsys.readouterr().out


def test_the_address_of_a_dead_agent_is_no_answer(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "status.json").write_text(json.dumps({**_status(), "written": boottime() - 60}))
    assert main(["address"]) == 1
    told = capsys.readouterr()
    assert told.out == ""
    assert "not running" in told.err


@pytest.mark.parametrize(
    ("state", "code", "waits", "words"),
    [
        ("off", 0, False, "has no `overlay:` block"),
        ("error", 78, False, "something is odd"),
        ("error", 71, True, "something is odd"),  # systemd starts it again
        ("claiming", None, True, "an address is being claimed"),
    ],
)
def test_wait_ends_when_waiting_is_useless(
    run_dir: Path,
    capsys: pytest.CaptureFixture[str],
    state: str,
    code: int | None,
    waits: bool,
    words: str,
) -> None:
    write_status(run_dir / "status.json", {**_status(state), "exit_code": code})
    start = time.monotonic()
    assert main(["wait", "--timeout", "0.5"]) == 1
    assert (time.monotonic() - start >= 0.5) is waits
    assert words in capsys.readouterr().err


def test_ages() -> None:
    assert [age(s) for s in (0.2, 42, 180, 8000, 200000)] == ["now", "42 s", "3 min", "2 h", "2 d"]
