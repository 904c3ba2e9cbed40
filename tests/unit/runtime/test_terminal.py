"""`watch` and completion in a real bash on a real (pseudo) terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from overlay_runtime.status import boottime
from overlay_runtime.status_writer import write_status

REPOSITORY = Path(__file__).parents[3]
EDGE = REPOSITORY / "image-templates/edge"
_ENTER, _LEAVE, _CLEAR = "\x1b[?1049h", "\x1b[?1049l", "\x1b[J"


class Terminal:
    """A bash with job control on a terminal of its own."""

    def __init__(self, columns: int, lines: int, environment: dict[str, str]) -> None:
        self.seen = ""
        self.pid, self._fd = pty.fork()
        if self.pid == 0:
            os.chdir(REPOSITORY)
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "-i"], os.environ | environment)
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        """Tell the terminal's size, as a window that is dragged does."""
        fcntl.ioctl(self._fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press keys; what was seen before is forgotten."""
        self.seen = ""
        os.write(self._fd, text.encode())

    def until(self, text: str, seconds: float = 20.0) -> str:
        """Wait until a text was shown; return all that was shown since the last keys."""
        end = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < end, f"{text!r} is not in {self.seen!r}"
            if select.select([self._fd], [], [], 0.1)[0]:
                self.seen += os.read(self._fd, 65536).decode(errors="replace")
                self.seen = self.seen.replace("\a", "")
        return self.seen

    def run(self, command: str) -> str:
        """Let bash run a command, and wait for its end; return what was shown."""
        self.type(f"{command}; echo en''ded\n")
        return self.until("ended\r")

    def close(self) -> None:
        """Hang up."""
        os.close(self._fd)
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    """An 80 columns wide terminal whose bash shows the prompt `ready> `."""
    found = Terminal(80, 24, {
        "PS1": "ready> ", "TERM": "xterm-256color", "EDGE_OVERLAY_RUN_DIR": str(tmp_path),
        "INPUTRC": "/dev/null", "HISTFILE": "", "NO_COLOR": "1",
    })  # fmt: skip
    try:
        found.until("ready> ")
        found.run("bind 'set enable-bracketed-paste off'")
        yield found
    finally:
        found.close()


def _status(peers: int, *lost: int) -> dict[str, Any]:
    now = boottime()
    return {
        "state": "up", "problems": ["a problem that needs more words than a line has room for, "
                                    "and whose remedy stands at the very end: restart it"],
        "host": {"id": "0" * 16, "name": "me"},
        "overlay": {"interface": "scbr-100", "cidr": "100.64.192.0/23", "address": "100.64.192.9",
                    "prefix": 23, "vip": "100.64.192.1", "mtu": 1430, "vni": 100, "port": 4797},
        "underlay": [{"name": "eth0", "mtu": 1500,
                      "addresses": ["10.9.0.1/24", "fe80::5054:ff:fe00:1"]}],
        "peers": [{"id": f"{n:016x}", "name": f"edge-{n:04}", "address": f"100.64.193.{n}",
                   "transport": "ipv6-link-local", "physical": ["fe80::5054:ff:fe12:3456",
                   "10.9.0.2"], "last_seen": now, "transport_since": now - 70,
                   "state": "lost" if n in lost else "up"} for n in range(peers)],
    }  # fmt: skip


def _watch(terminal: Terminal, directory: Path, status: dict[str, Any]) -> None:
    write_status(directory / "status.json", status, 60)
    terminal.type(f"{sys.executable} -m overlay_runtime watch; echo ended with $?\n")
    terminal.until("q leaves")


def _pictures(seen: str) -> list[list[str]]:
    """Return the pictures that were drawn whole, as lines without escape sequences."""
    pictures = [part.split(_CLEAR)[0] for part in seen.split("\x1b[H")[1:] if _CLEAR in part]
    return [
        [line.replace("\x1b[0m\x1b[K", "").strip("\r") for line in p.split("\r\n")]
        for p in pictures
    ]


def test_the_view_fits_80_columns_and_says_what_matters(terminal: Terminal, tmp_path: Path) -> None:
    _watch(terminal, tmp_path, _status(40, 33))
    terminal.until(_CLEAR)
    picture = _pictures(terminal.seen)[-1]
    assert len(picture) == 24 and max(map(len, picture)) <= 80, picture
    assert "very end: restart it" in "\n".join(picture)
    odd = next(line for line in picture if "edge-0033" in line)
    assert odd.endswith("lost") and "fe80::5054:ff:fe12:3456" in odd and "70 s" in odd
    assert picture.index(odd) < next(n for n, line in enumerate(picture) if "edge-0000" in line)
    assert "lines more: edge-overlay status" in "\n".join(picture)
    terminal.resize(200, 60)
    terminal.until("edge-0039")
    terminal.until("IPv6 link-local")
    write_status(tmp_path / "status.json", _status(40, 33, 7), 60)
    terminal.until("host edge-0007 (0000000000000007, 100.64.193.7): is silent")
    assert "peer-up" not in terminal.seen  # what was there at the start is no event
    terminal.type("q")
    assert _LEAVE in terminal.until("ended with 0")


@pytest.mark.parametrize(("key", "code"), [("\x03", 130), ("q", 0)])
def test_the_terminal_is_given_back(
    terminal: Terminal, tmp_path: Path, key: str, code: int
) -> None:
    _watch(terminal, tmp_path, _status(2))
    assert _ENTER in terminal.seen
    terminal.type(key)
    assert _LEAVE in terminal.until(f"ended with {code}")
    assert "Traceback" not in terminal.seen
    assert " icanon" in terminal.run("stty -a")


def test_the_terminal_is_given_back_for_a_while(terminal: Terminal, tmp_path: Path) -> None:
    _watch(terminal, tmp_path, _status(2))
    terminal.type("\x1a")  # Ctrl-Z
    assert _LEAVE in terminal.until("Stopped")
    assert " icanon" in terminal.run("stty -a")
    terminal.type("fg\n")
    assert _ENTER in terminal.until("q leaves")
    terminal.type("q")
    assert _LEAVE in terminal.until("ready> ")


def test_tab_completes(terminal: Terminal, tmp_path: Path) -> None:
    profile = (EDGE / "etc/profile.d/edge-overlay.sh").read_text()
    (tmp_path / "profile").write_text(profile.replace("/usr/", f"{EDGE}/usr/"))
    peers = [{"name": f"till-{n}", "address": f"100.64.192.{n}"} for n in (5, 6)]
    (tmp_path / "status.json").write_text(json.dumps({"peers": peers}))
    terminal.run(f'unset PROMPT_COMMAND; . {tmp_path}/profile; edge-overlay() {{ echo ran "$@"; }}')
    for typed, shown in (
        ("edge-overlay doc\tpath\t", "edge-overlay doctor path-mtu"),
        ("edge-overlay peers t\t", "edge-overlay peers till-"),
        ("edge-overlay peers --j\t", "edge-overlay peers --json"),
    ):
        terminal.type(typed)
        terminal.until(shown)
        terminal.run("\x15true")
    terminal.type("edge-overlay peers till-\t\t")
    assert "till-5" in terminal.until("till-6")
