"""Runs a program and tells what it took: time, memory of its largest process, disk at the peak."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_DISK_INTERVAL_S = 0.1


@dataclass(frozen=True)
class Cost:
    """What a run took: seconds by the clock, seconds of all processors, bytes.

    `rss` is that of the largest single process among the program and all its children (getrusage(2)
    can't tell more); `disk` is the growth of the whole file system, so others' writing counts too.
    """

    seconds: float
    cpu_seconds: float
    rss: int
    disk: int = 0

    def __add__(self, other: Cost) -> Cost:
        return Cost(
            self.seconds + other.seconds,
            self.cpu_seconds + other.cpu_seconds,
            max(self.rss, other.rss),
            max(self.disk, other.disk),
        )


class RunFailedError(Exception):
    """A measured program failed, so there is nothing to measure."""


def measure(words: Sequence[str | Path], log: Path, env: Mapping[str, str] | None = None) -> Cost:
    """Run `words` to the end, all output appended to `log`; raises RunFailedError.

    What others left to be written is written first, so that this run doesn't pay for it.
    """
    os.sync()
    argv = [str(word) for word in words]
    with log.open("ab") as record:
        record.write(f"+ {' '.join(argv)}\n".encode())
        record.flush()
        began = time.monotonic()
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=record,
            stderr=record,
            env={**os.environ, **(env or {})},
        )
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        seconds = time.monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RunFailedError(f"{argv[0]} failed ({process.returncode}): see {log}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


@dataclass
class DiskPeak:
    """Filled in when `disk_peak`'s block ends: bytes above what was used at its start."""

    bytes: int = 0


@contextmanager
def disk_peak(directory: Path) -> Iterator[DiskPeak]:
    """Watch how much more of `directory`'s file system is used during the block."""
    peak = DiskPeak()
    ended = threading.Event()
    os.sync()
    before = shutil.disk_usage(directory).used

    def watch() -> None:
        while not ended.wait(_DISK_INTERVAL_S):
            peak.bytes = max(peak.bytes, shutil.disk_usage(directory).used - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()
