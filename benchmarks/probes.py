"""Starts the ends of `probe.py` in hosts' namespaces and gathers what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from benchmarks.lab import Host, LabError

_PROBE = Path(__file__).with_name("probe.py")
_PATIENCE_S = 60.0


class Probe:
    """One running end."""

    def __init__(self, host: Host, role: str, address: str) -> None:
        """Start it and wait until it is ready; raises LabError."""
        self.role = role
        self._process = subprocess.Popen(
            host.words(sys.executable, "-S", "-E", str(_PROBE), role, address),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        if self._pipe(self._process.stdout).readline() != "ready\n":
            self.end()
            raise LabError(f"the probe {role} did not start in {host.namespace}")

    def begin(self, start: float, end: float) -> None:
        """Tell it its schedule, by the monotonic clock."""
        pipe = self._pipe(self._process.stdin)
        pipe.write(f"{start} {end}\n")
        pipe.flush()

    def result(self) -> Any:
        """Wait for its end; return what it found. Raises LabError."""
        try:
            said, _ = self._process.communicate(timeout=_PATIENCE_S)
        except subprocess.TimeoutExpired:
            raise LabError(f"the probe {self.role} has no result") from None
        if self._process.returncode:
            raise LabError(f"the probe {self.role} failed")
        return json.loads(said)

    def stop(self) -> None:
        """Have it tell its result now."""
        self._process.terminate()

    def received(self) -> tuple[int, int]:
        """Return how many UDP datagrams and TCP segments its namespace has received so far
        (RFC 4113, RFC 4022)."""
        text = Path(f"/proc/{self._process.pid}/net/snmp").read_text()
        found: dict[str, str] = {}
        for protocol in ("Udp", "Tcp"):
            names, values = (line.split() for line in text.splitlines()
                             if line.startswith(f"{protocol}: "))  # fmt: skip
            found |= {protocol + name: value for name, value in zip(names, values, strict=True)}
        return int(found["UdpInDatagrams"]), int(found["TcpInSegs"])

    def end(self) -> None:
        """End it, finished or not."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.communicate()

    @staticmethod
    def _pipe(pipe: IO[str] | None) -> IO[str]:
        assert pipe is not None
        return pipe


@contextmanager
def probes(*ends: tuple[Host, str, str]) -> Iterator[list[Probe]]:
    """Probes by (host, role, address), started in this order, ended with the block."""
    started: list[Probe] = []
    try:
        for host, role, address in ends:
            started.append(Probe(host, role, address))
        yield started
    finally:
        for probe in started:
            probe.end()
