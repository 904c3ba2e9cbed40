"""Processes of the laboratory: none of them outlives the test run."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path


def run(words: Sequence[str | Path], *, limit_s: float = 30.0, check: bool = True) -> str:
    """Run a short command and return its standard output.

    Raises AssertionError with all that it said if it fails and `check` is set.
    """
    answer = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, timeout=limit_s, check=False
    )
    if check and answer.returncode:
        line = " ".join(map(str, words))
        raise AssertionError(f"{line}: exit {answer.returncode}\n{answer.stdout}{answer.stderr}")
    return answer.stdout


def start(words: Sequence[str | Path], log: Path) -> subprocess.Popen[bytes]:
    """Start a process whose words go to `log`; the kernel kills it when we die, however we die."""
    with log.open("ab") as record:
        return subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *map(str, words)],
            stdin=subprocess.DEVNULL,
            stdout=record,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is ours to handle, in order
        )


def end(process: subprocess.Popen[bytes], grace_s: float = 5.0) -> None:
    """End a process that `start` started: politely, then, after `grace_s` seconds, not."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(grace_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    """A TCP port of the loopback that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def tail(path: Path, lines: int = 40) -> str:
    """The last lines of a text file, without the control characters of a console."""
    if not path.exists():
        return f"({path} is not there)"
    text = path.read_bytes()[-(1 << 16) :].decode(errors="replace").replace("\r", "")
    kept = "".join(c for c in text if c == "\n" or c >= " ").splitlines()[-lines:]
    return "\n".join([f"--- the last lines of {path}:", *kept])
