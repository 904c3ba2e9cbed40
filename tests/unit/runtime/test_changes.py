"""What happened between two statuses, and how the journal gets it."""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import pytest

from overlay_runtime.changes import EVENTS, Change, changes
from overlay_runtime.logs import entry, event, set_up


def _peer(state: str = "up", **fields: Any) -> dict[str, Any]:
    return {"id": "1" * 16, "name": "other", "address": "100.64.192.8", "physical": ["fe80::2"],
            "transport": "ipv6-link-local", "state": state, **fields}  # fmt: skip


def _status(*peers: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"state": "up", "problems": [], "overlay": {"address": "100.64.192.9"},
            "peers": list(peers), **fields}  # fmt: skip


def _events(before: dict[str, Any] | None, after: dict[str, Any]) -> list[str]:
    return [change.event for change in changes(before, after)]


def test_the_first_status_tells_all_that_is() -> None:
    assert _events(None, _status(_peer())) == ["state", "address-held", "peer-up"]


@pytest.mark.parametrize(
    ("before", "after", "events"),
    [
        (_status(_peer()), _status(_peer()), []),
        (_status(), _status(_peer()), ["peer-up"]),
        (_status(_peer()), _status(_peer("lost")), ["peer-lost"]),
        (_status(_peer("lost")), _status(_peer()), ["peer-up"]),
        (_status(_peer("lost")), _status(_peer("lost", physical=["fe80::3"])), []),
        (_status(_peer()), _status(_peer(physical=["fe80::3"])), ["peer-moved"]),
        (_status(_peer()), _status(_peer(physical=["fe80::2", "10.0.0.1"])), []),
        (_status(_peer()), _status(_peer("conflict", conflict="in the way")), ["conflict"]),
        (_status(_peer("conflict")), _status(_peer()), ["conflict-over"]),
        (_status(_peer("claiming")), _status(_peer()), ["peer-up"]),
        (_status(_peer()), _status(), ["peer-gone"]),
        (_status(), _status(problems=["odd"]), ["problem"]),
        (_status(problems=["odd"]), _status(), ["problem-over"]),
        (_status(), {**_status(), "state": "stopped"}, ["state"]),
    ],
)
def test_changes(before: dict[str, Any], after: dict[str, Any], events: list[str]) -> None:
    assert _events(before, after) == events
    assert set(events) <= set(EVENTS)


def _parsed(data: bytes) -> dict[str, str]:
    """Read an entry as systemd.io/JOURNAL_NATIVE_PROTOCOL says."""
    fields: dict[str, str] = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[8 + size + 1 :]
        fields[name.decode()] = value.decode()
        data = rest
    return fields


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    root = logging.getLogger()
    before = root.handlers, root.level
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(str(tmp_path / "socket"))
        listener.settimeout(2)
        set_up(debug=False, journal=tmp_path / "socket")
        yield listener
    for handler in root.handlers:
        handler.close()
    root.handlers, root.level = before


def test_an_event_reaches_the_journal_with_its_fields(journal: socket.socket) -> None:
    change = Change("peer-lost", "host x: is silent", "1" * 16, "x", "100.64.192.8")
    event(logging.getLogger("overlay_runtime.report"), change)
    got = _parsed(journal.recv(65536))
    assert got["MESSAGE"] == "host x: is silent"
    assert got["PRIORITY"] == "4"
    assert got["SYSLOG_IDENTIFIER"] == "edge-overlay"
    assert got["EDGE_OVERLAY_EVENT"] == "peer-lost"
    assert got["EDGE_OVERLAY_PEER"] == "1" * 16
    assert got["EDGE_OVERLAY_ADDRESS"] == "100.64.192.8"


def test_a_newline_makes_no_field(journal: socket.socket) -> None:
    logging.getLogger("overlay_runtime").warning("one\nPRIORITY=0\ntwo")
    got = _parsed(journal.recv(65536))
    assert got["MESSAGE"] == "one\nPRIORITY=0\ntwo"
    assert got["PRIORITY"] == "4"


def test_without_a_journal_lines_have_priorities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    root = logging.getLogger()
    before = root.handlers, root.level
    try:
        set_up(debug=False, journal=tmp_path / "nobody")
        logging.getLogger("overlay_runtime").error("broken\nin two")
    finally:
        root.handlers, root.level = before
    assert capsys.readouterr().err == "<3>broken\n<3>in two\n"


def test_a_huge_message_is_cut() -> None:
    record = logging.LogRecord("x", logging.INFO, "f", 1, "m" * 100_000, (), None)
    assert len(entry(record, record.getMessage())) < 9000
