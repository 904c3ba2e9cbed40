"""What an agent costs: memory, processor, and how long it takes to do things."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import REPOSITORY, spread, table
from benchmarks.lab import Host, Lab, LabError

_IDLE_S = 60.0
_SETTLED_S = 75.0
"""After a crowd has been found: its news are told, every path was measured."""

_EVENTS = 50_000
_CROWD_NUMBER = 200


@dataclass(frozen=True)
class Costs:
    """Of an agent with so many peers: MiB, percent of one processor."""

    peers: int
    rss: float
    pss: float
    cpu: float


def costs(lab: Lab, counts: tuple[int, ...], say: Callable[[str], None]) -> str:
    """Measure memory and processor time of an agent in crowds of these sizes."""
    found = []
    for count in counts:
        with crowded(lab, count) as host:
            time.sleep(_SETTLED_S if count else 5.0)
            before = cpu_seconds(host.pid)
            time.sleep(_IDLE_S)
            cpu = (cpu_seconds(host.pid) - before) / _IDLE_S * 100
            found.append(Costs(count, *_memory(host.pid), cpu))
            say(f"{count} peers: {found[-1]}")
    rows = [[str(c.peers), f"{c.rss:.1f}", f"{c.pss:.1f}", f"{c.cpu:.2f}"] for c in found]
    return table(["peers", "RSS, MiB", "PSS, MiB", f"processor over {_IDLE_S:.0f} s, %"], rows)


def times(lab: Lab, count: int, runs: int, say: Callable[[str], None]) -> str:
    """Measure start to ready, resync of a crowd's entries, and a burst of events."""
    rows = []
    with crowded(lab, count) as host:
        resyncs = []
        for _ in range(runs):
            time.sleep(1)
            resyncs.append(_resync(host, count))
            say(f"resync: {resyncs[-1]:.3f} s")
        rows.append([f"{count} peers' entries again after all were flushed", str(runs),
                     spread(resyncs, 3)])  # fmt: skip
        spent = [_burst(host) for _ in range(3)]
        say(f"burst: {spent}")
        rows.append([f"{_EVENTS} netlink events: answers again after their end", "3",
                     spread([s[0] for s in spent], 3)])  # fmt: skip
        rows.append(["the same: processor time of the agent", "3", spread([s[1] for s in spent])])
        starts = []
        for _ in range(runs):
            host.end_agent()
            starts.append(_start(host))
        say(f"start with {count} peers in the kernel: {spread(starts, 3)}")
        rows.append([f"start to ready, {count} peers in the kernel", str(runs), spread(starts, 3)])
    with crowded(lab, 0) as host:
        starts = []
        for _ in range(runs):
            host.end_agent()
            starts.append(_start(host))
        rows.append(["start to ready, stored address, no peer", str(runs), spread(starts, 3)])
    return table(["what", "N", "s"], rows)


@contextmanager
def crowded(lab: Lab, count: int) -> Iterator[Host]:
    """A host that is up and knows `count` peers."""
    host = lab.host(1, ipv6=True, cidr="100.64.192.0/20")
    try:
        host.plug("10.1.7.23")
        host.start_agent()
        host.wait_for("up")
        # With a stored address it is up before its link-local address is; the crowd asks once.
        _until(lambda: "fe80:" in str(host.status()["underlay"]), "a link-local address", 10)
        with crowd_on(lab, count) if count else nullcontext():
            _until(lambda: _entries(host) >= count, f"{count} peers in the kernel", 180)
            yield host
    finally:
        lab.remove(host)


@contextmanager
def crowd_on(lab: Lab, count: int) -> Iterator[None]:
    """Simulated hosts on the segment."""
    members = lab.host(_CROWD_NUMBER, ipv6=True)
    try:
        members.plug("10.1.99.1")
        crowd = subprocess.Popen(
            members.words(sys.executable, "-m", "benchmarks.crowd", str(count)), cwd=REPOSITORY
        )
        try:
            yield
        finally:
            crowd.kill()
            crowd.wait()
    finally:
        lab.remove(members)


def _entries(host: Host) -> int:
    """Return how many peers the VXLAN devices forward to."""
    words = ["bridge", "-n", host.namespace, "fdb", "show", "dev", "edge-vx6"]
    told = subprocess.run(words, capture_output=True, text=True, check=False).stdout
    return len(re.findall(r"^00:00:00:00:00:00 ", told, re.MULTILINE))


def _resync(host: Host, count: int) -> float:
    """Flush everything; return the seconds until all is back."""
    subprocess.run(["ip", "-n", host.namespace, "link", "set", "edge-vx6", "down"], check=True)
    began = time.monotonic()
    subprocess.run(["ip", "-n", host.namespace, "link", "del", "edge-vx6"], check=True)
    _until(lambda: _entries(host) >= count, "all entries again", 20)
    return time.monotonic() - began


def _burst(host: Host) -> tuple[float, float]:
    """Make many events; return how long the agent takes to answer after them, and its time."""
    half = _EVENTS // 2
    adds = [f"addr add 10.200.{n >> 8 & 255}.{n & 255}/32 dev lo" for n in range(250)]
    removes = [line.replace(" add ", " del ") for line in adds]
    before = cpu_seconds(host.pid)
    text = "\n".join((adds + removes) * (half // 250)) + "\n"
    subprocess.run(["ip", "-n", host.namespace, "-batch", "-"], input=text, text=True, check=True)
    began = time.monotonic()
    subprocess.run(["ip", "-n", host.namespace, "addr", "flush", "dev", "scbr-100"], check=True)
    address = ["ip", "-n", host.namespace, "-4", "-o", "addr", "show", "dev", "scbr-100"]
    _until(lambda: subprocess.run(address, capture_output=True).stdout, "its address again", 60)
    answered = time.monotonic() - began
    time.sleep(1)
    return answered, cpu_seconds(host.pid) - before


def _start(host: Host) -> float:
    """Start the agent; return the seconds until it tells systemd that it is ready."""
    with tempfile.TemporaryDirectory() as directory:
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        path = f"{directory}/notify"
        listener.bind(path)
        listener.settimeout(20)
        began = time.monotonic()
        host.start_agent(NOTIFY_SOCKET=path)
        while b"READY=1" not in listener.recv(4096):
            pass
        took = time.monotonic() - began
        listener.close()
    return took


def cpu_seconds(pid: int) -> float:
    """Return the seconds of processor time of a process (schedstat: nanoseconds)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


def _memory(pid: int) -> tuple[float, float]:
    """Return RSS and PSS in MiB."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = dict(re.findall(r"^(Rss|Pss): +(\d+) kB", text, re.MULTILINE))
    return int(found["Rss"]) / 1024, int(found["Pss"]) / 1024


def _until(condition: Callable[[], object], what: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise LabError(f"not within {seconds} s: {what}")
        time.sleep(0.002)
