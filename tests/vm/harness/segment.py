"""One Ethernet segment: a Linux bridge in a network namespace of its own, and its DHCP server.

Nothing here touches the machine's own network.
"""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path

from tests.vm.harness.process import end, run, start, tail
from tests.vm.harness.waiting import WaitedInVainError, wait_until

BRIDGE = "switch"
LEASE_S = 120
"""dnsmasq gives no shorter ones."""
_RENEW_S = 15

_PREFIX = "edgevm-"
_serial = itertools.count(1)


@dataclass
class Segment:
    """The namespace `name` with bridge `switch`; logs and leases lie in `directory`."""

    name: str
    directory: Path
    network: IPv4Network
    _dnsmasq: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    _taps: int = 0

    @property
    def server(self) -> IPv4Interface:
        """The DHCP server's address, which is the bridge's."""
        return IPv4Interface(f"{self.network[1]}/{self.network.prefixlen}")

    def words(self, *words: str | Path) -> list[str | Path]:
        """A command line that runs inside the namespace."""
        return ["ip", "netns", "exec", self.name, *words]

    def run(self, *words: str | Path, limit_s: float = 30.0) -> str:
        """Run a command inside the namespace; its standard output."""
        return run(self.words(*words), limit_s=limit_s)

    def add_tap(self) -> str:
        """A tap device on the bridge, for one NIC of one guest."""
        self._taps += 1
        tap = f"tap{self._taps}"
        self.run("ip", "tuntap", "add", tap, "mode", "tap")
        self.run("ip", "link", "set", tap, "master", BRIDGE, "up")
        return tap

    def lease(self, mac: str) -> IPv4Address | None:
        """The address that the DHCP server gave to this MAC address out of the present range."""
        leases = self._lease_file
        lines = leases.read_text().splitlines() if leases.exists() else []
        given = [line.split()[2] for line in lines if line.split()[1:2] == [mac]]
        return IPv4Address(given[-1]) if given else None

    def renumber(self, network: IPv4Network) -> None:
        """From now on DHCP gives addresses of `network` only, and refuses to renew others.

        The old server address stays until `forget`, so that guests which ask it hear the refusal.
        """
        self.stop_dhcp()
        self.network = network
        self.run("ip", "address", "add", str(self.server), "dev", BRIDGE)
        self.start_dhcp()

    def forget(self, network: IPv4Network) -> None:
        """Take the server's address in a former network away: nobody can reach that one now."""
        self.run("ip", "address", "del", f"{network[1]}/{network.prefixlen}", "dev", BRIDGE)

    def start_dhcp(self) -> None:
        """Start dnsmasq with an empty memory: it has never seen any of the guests."""
        self._lease_file.unlink(missing_ok=True)
        log = self.directory / "dnsmasq.log"
        self._dnsmasq = start(self.words("dnsmasq", *self._dnsmasq_options()), log)
        wait_until("dnsmasq to listen", self._dhcp_listens, 10, evidence=lambda: tail(log))

    def stop_dhcp(self) -> None:
        """End dnsmasq."""
        if self._dnsmasq:
            end(self._dnsmasq)
            self._dnsmasq = None

    @property
    def _lease_file(self) -> Path:
        return self.directory / f"leases-{self.network.network_address}"

    def _dhcp_listens(self) -> bool:
        if self._dnsmasq is None or self._dnsmasq.poll() is not None:
            raise WaitedInVainError(f"dnsmasq ended\n{tail(self.directory / 'dnsmasq.log')}")
        return ":67 " in self.run("ss", "-Hlun")

    def _dnsmasq_options(self) -> Sequence[str | Path]:
        first, last = self.network[100], self.network[199]
        return [
            "--keep-in-foreground",
            "--conf-file=/dev/null",
            "--log-facility=-",
            "--log-dhcp",
            "--user=root",
            "--port=0",  # no DNS
            f"--interface={BRIDGE}",
            "--bind-interfaces",
            "--dhcp-authoritative",  # refuses requests for addresses of another range at once
            "--no-ping",
            # renew early: a new range reaches every guest within seconds
            f"--dhcp-option=option:T1,{_RENEW_S}s",
            f"--dhcp-option=option:T2,{_RENEW_S * 2}s",
            f"--dhcp-range={first},{last},{self.network.netmask},{LEASE_S}",
            f"--dhcp-leasefile={self._lease_file}",
            "--pid-file=",
        ]


@contextmanager
def segment(directory: Path, network: IPv4Network) -> Iterator[Segment]:
    """A segment with DHCP running; everything of it is gone at the block's end."""
    directory.mkdir(parents=True, exist_ok=True)
    _remove_left_over()
    made = Segment(f"{_PREFIX}{os.getpid()}-{next(_serial)}", directory, network)
    run(["ip", "netns", "add", made.name])
    try:
        made.run("ip", "link", "set", "lo", "up")
        made.run(
            "ip", "link", "add", BRIDGE, "type", "bridge", "stp_state", "0", "forward_delay", "0"
        )
        made.run("ip", "link", "set", BRIDGE, "up")
        made.run("ip", "address", "add", str(made.server), "dev", BRIDGE)
        made.start_dhcp()
        yield made
    finally:
        made.stop_dhcp()
        run(["ip", "netns", "del", made.name])


def _remove_left_over() -> None:
    """Namespaces of test runs that were killed outright, and the dnsmasq in them: it changes its
    credentials, and the kernel then forgets to kill it with its parent (prctl(2))."""
    for line in run(["ip", "netns", "list"]).splitlines():
        name = line.split()[0]
        owner = name.removeprefix(_PREFIX).partition("-")[0]
        if name.startswith(_PREFIX) and owner.isdigit() and not Path(f"/proc/{owner}").exists():
            for process in run(["ip", "netns", "pids", name], check=False).split():
                with suppress(ProcessLookupError):
                    os.kill(int(process), signal.SIGKILL)
            run(["ip", "netns", "del", name], check=False)
