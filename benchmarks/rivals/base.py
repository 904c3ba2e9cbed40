"""What all of them need."""

from __future__ import annotations

import subprocess
import time
from abc import ABC, abstractmethod
from pathlib import Path

import jinja2

from benchmarks.lab import Host, LabError, ip

OVERLAY = ("10.77.0.1", "10.77.0.2")
_PATIENCE_S = 60.0
_TEMPLATES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).with_name("templates")),
    undefined=jinja2.StrictUndefined, keep_trailing_newline=True, trim_blocks=True,
)  # fmt: skip


class Rival(ABC):
    """An overlay between two hosts. The first keeps its physical address: whoever needs a fixed
    point (a route reflector, a lighthouse) has it there."""

    label = ""
    ipv6 = True
    patience_s = 10.0

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def connect(self, peer: Host, host: Host) -> tuple[str, str]:
        """Make it; return both addresses on it when traffic flows. Raises LabError."""
        self.make(peer, host)
        until_reached(peer, OVERLAY[1])
        until_reached(host, OVERLAY[0])
        return OVERLAY

    @abstractmethod
    def make(self, peer: Host, host: Host) -> None:
        """Set up both."""

    def renumbered(self, host: Host) -> None:  # noqa: B027 - most find out by themselves
        """Do what a DHCP client's hook would do on the host whose address has changed."""

    def disconnect(self) -> None:
        """End the daemons; devices go with the namespaces."""
        for process in reversed(self._running):
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._running.clear()

    def start(self, host: Host, *words: str | Path) -> None:
        """Start a daemon in the foreground in the host's namespace."""
        with (host.directory / "rival.log").open("ab") as log:
            self._running.append(
                subprocess.Popen(
                    host.words(*map(str, words)), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            )


def render(template: str, target: Path, **values: object) -> None:
    """Write a configuration file from its template."""
    target.write_text(_TEMPLATES.get_template(template).render(values))


def run(*words: str | Path) -> None:
    """Run a tool; raises LabError."""
    done = subprocess.run(list(map(str, words)), capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{words[0]}: {done.stderr or done.stdout}")


def bridge(host: Host, vxlan: str, number: int) -> None:
    """Put a VXLAN device into a bridge with the overlay address, as ours is."""
    ip(f"link add br77 type bridge mcast_snooping 0\n"
       f"link add vx77 type vxlan id 77 dev eth0 dstport 4789 {vxlan}\n"
       "link set vx77 master br77 up\nlink set br77 up\n"
       f"addr add {OVERLAY[number]}/24 dev br77\n", host.namespace)  # fmt: skip


def until_reached(host: Host, address: str) -> None:
    """Wait until an address answers."""
    deadline = time.monotonic() + _PATIENCE_S
    while time.monotonic() < deadline:
        words = host.words("ping", "-q", "-c", "1", "-W", "1", address)
        if subprocess.run(words, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    raise LabError(f"{host.namespace} does not reach {address}: see {host.directory}")
