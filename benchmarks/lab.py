"""A network of namespaces: a switch, and hosts with one NIC each that run the real agent."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.figures import REPOSITORY

NIC, PREFIX = "eth0", 16
_USER_DATA = '#cloud-config\noverlay:\n  secret: "the benchmark of the overlay"\n'
_PATIENCE_S = 30.0


class LabError(Exception):
    """The overlay did not get into the state that is to be measured."""


def ip(commands: str, namespace: str | None = None) -> None:
    """Run lines of ip(8) in one process; raises LabError."""
    where = ["-n", namespace] if namespace else []
    words = ["ip", *where, "-batch", "-"]
    answer = subprocess.run(words, input=commands, text=True, capture_output=True, check=False)
    if answer.returncode:
        raise LabError(f"ip {' '.join(where)}: {answer.stderr.strip()} in: {commands.strip()}")


class Host:
    """A namespace with a NIC on the switch, and an agent with its own directories.

    The NIC's MAC address (hence its link-local address) and the identity belong to `number`: made
    again with the same number and directory, it is the same host after a reboot.
    """

    def __init__(self, lab: Lab, number: int, directory: Path, *, ipv6: bool, cidr: str) -> None:
        self.namespace = f"{lab.prefix}h{number}"
        self.physical: str | None = None
        self.directory = directory
        self._lab, self._number, self._ipv6 = lab, number, ipv6
        self._agent: subprocess.Popen[bytes] | None = None
        (directory / "run").mkdir(parents=True, exist_ok=True)
        for old in (directory / "run").iterdir():
            old.unlink()
        (directory / "user-data").write_text(f"{_USER_DATA}  cidr: {cidr}\n")

    def connect(self) -> None:
        """Make the namespace and the cable to the switch; the NIC is down."""
        number, lab = self._number, self._lab
        port, mac = f"p{number}", f"02:ed:9e:00:{number >> 8:02x}:{number & 255:02x}"
        ip(f"netns add {self.namespace}\n")
        if not self._ipv6:
            self._sysctl("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1")
        ip(
            f"link add {NIC} address {mac} type veth peer name {port} netns {lab.switch}\n"
            "link set lo up\n",
            self.namespace,
        )
        ip(f"link set {port} master br0 up\n", lab.switch)

    def words(self, *command: str) -> list[str]:
        """`command` as it is run in this host's namespace."""
        return ["ip", "netns", "exec", self.namespace, *command]

    def _sysctl(self, *settings: str) -> None:
        subprocess.run(self.words("sysctl", "-q", "-w", *settings), check=True)

    def plug(self, physical: str) -> None:
        """Give the NIC its carrier and its address at the same moment."""
        ip(f"link set {NIC} up\naddr add {physical}/{PREFIX} dev {NIC}\n", self.namespace)
        self.physical = physical

    def change(self, physical: str, missing_s: float = 0.0) -> None:
        """Take the address away and, `missing_s` later, give the NIC another."""
        remove = f"addr del {self.physical}/{PREFIX} dev {NIC}\n"
        add = f"addr add {physical}/{PREFIX} dev {NIC}\n"
        if missing_s:
            ip(remove, self.namespace)
            time.sleep(missing_s)
            ip(add, self.namespace)
        else:
            ip(remove + add, self.namespace)
        self.physical = physical

    @property
    def pid(self) -> int:
        """The agent's process."""
        assert self._agent is not None
        return self._agent.pid

    def start_agent(self, **variables: str) -> None:
        """Start the agent, with more environment; it goes on until `stop`."""
        words = self.words("nice", "-n", "-10", sys.executable, "-m", "overlay_runtime", "run")
        words += ["--run-dir", str(self.directory / "run")]
        words += ["--state-dir", str(self.directory / "state")]
        words += ["--identity", f"benchmark-{self._number}"]
        environment = {
            **os.environ,
            "EDGE_OVERLAY_USER_DATA": str(self.directory / "user-data"),
            "EDGE_OVERLAY_LIBRARY": str(REPOSITORY / "image-templates/edge/usr/lib/edge-overlay"),
            **variables,
        }
        with (self.directory / "agent.log").open("ab") as log:
            self._agent = subprocess.Popen(
                words, cwd=REPOSITORY, env=environment, stdin=subprocess.DEVNULL,
                stdout=log, stderr=log,
            )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """The agent's status file; its state is `none` while there is no file."""
        try:
            found: dict[str, Any] = json.loads((self.directory / "run/status.json").read_bytes())
        except (OSError, ValueError):
            found = {"state": "none", "peers": [], "overlay": {}}
        return found

    def wait_for(self, *states: str) -> float:
        """Wait until the agent's state is one of these; return the monotonic time of that."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            if self.status()["state"] in states:
                return time.monotonic()
            time.sleep(0.002)
        raise LabError(f"{self.namespace} is {self.status()['state']}: {self.status()}")

    def wait_for_peer(self, address: str, transport: str) -> None:
        """Wait until the peer with this overlay address is reached by this transport."""
        deadline = time.monotonic() + _PATIENCE_S
        while time.monotonic() < deadline:
            for peer in self.status()["peers"]:
                if peer["address"] == address and peer["transport"] == transport:
                    return
            time.sleep(0.05)
        raise LabError(f"{self.namespace}: no {transport} to {address}: {self.status()['peers']}")

    @property
    def overlay(self) -> str:
        """The overlay address in use."""
        return str(self.status()["overlay"]["address"])

    def stop(self) -> None:
        """End the agent and remove the namespace; what is on disk stays."""
        self.end_agent()
        with contextlib.suppress(LabError):  # the kernel removes a namespace's links later
            ip(f"link del p{self._number}\n", self._lab.switch)
        ip(f"netns del {self.namespace}\n")

    def end_agent(self) -> None:
        """End the agent alone."""
        if self._agent:
            self._agent.terminate()
            try:
                self._agent.wait(5)
            except subprocess.TimeoutExpired:
                self._agent.kill()
                self._agent.wait()
        self._agent = None


class Lab:
    """The switch, and all hosts that are on it at the moment."""

    def __init__(self, directory: Path) -> None:
        self.prefix = f"ebb{os.getpid()}"
        self.switch = f"{self.prefix}sw"
        self._directory = directory
        self._hosts: list[Host] = []
        ip(f"netns add {self.switch}\n")
        ip("link add br0 type bridge mcast_snooping 0\nlink set br0 up\n", self.switch)

    def host(self, number: int, *, ipv6: bool, cidr: str = "100.64.192.0/23") -> Host:
        """Add a host (or bring it back: see Host)."""
        host = Host(self, number, self._directory / f"host{number}", ipv6=ipv6, cidr=cidr)
        self._hosts.append(host)
        host.connect()
        return host

    def remove(self, host: Host) -> None:
        """Switch a host off."""
        self._hosts.remove(host)
        host.stop()

    def close(self) -> None:
        """Remove everything."""
        for host in list(self._hosts):
            self.remove(host)
        ip(f"netns del {self.switch}\n")


@contextmanager
def lab(directory: Path) -> Iterator[Lab]:
    """A lab that is gone when the block ends, however it ends."""
    made = Lab(directory)
    try:
        yield made
    finally:
        made.close()
