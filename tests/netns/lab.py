"""Hosts in network namespaces on bridges, each with a real agent."""

from __future__ import annotations

import contextlib
import functools
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests.netns.namespaces import kill_all, run
from tests.vm.harness.waiting import wait_until

REPOSITORY = Path(__file__).parents[2]
SECRET = "a secret of the laboratory"
_numbers = itertools.count()


def until(condition: Callable[[], object], what: str, seconds: float = 10.0) -> None:
    """Wait until `condition` is true; fail with `what` if it does not become so."""
    wait_until(what, condition, seconds, poll_s=0.02)


class Host:
    """A host: a namespace with NICs, directories, and perhaps an agent."""

    def __init__(self, name: str, namespace: str, directory: Path) -> None:
        self.name = name
        self.namespace = namespace
        self.directory = directory
        self.identity = f"identity of {name}"
        self.library = REPOSITORY / "image-templates/edge/usr/lib/edge-overlay"
        self.debug = True
        self._agent: subprocess.Popen[bytes] | None = None
        for part in ("run", "state"):
            (directory / part).mkdir(parents=True)

    def ip(self, *arguments: str) -> str:
        """Run ip(8) in the namespace."""
        return run("ip", "-n", self.namespace, *arguments)

    def bridge(self, *arguments: str) -> str:
        """Run bridge(8) in the namespace."""
        return run("bridge", "-n", self.namespace, *arguments)

    def sysctl(self, name: str, value: str | None = None) -> str:
        """Read or write a sysctl of the namespace, `/`-separated."""
        path = f"/proc/sys/{name}"
        shell = f"cat {path}" if value is None else f"echo {value} > {path}"
        return run("ip", "netns", "exec", self.namespace, "sh", "-c", shell).strip()

    def start(self, *lines: str, secret: str | None = SECRET) -> Host:
        """Write user-data with these lines in the overlay block, and start the agent."""
        block = [f"  secret: {secret}"] if secret else []
        block += [f"  {line}" for line in lines]
        text = "\n".join(["#cloud-config", "overlay:", *block]) + "\n"
        (self.directory / "user-data").write_text(text)
        return self.restart()

    def restart(self) -> Host:
        """Start the agent with the user-data that is there."""
        with (self.directory / "log").open("ab") as log:
            self._agent = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, sys.executable, "-m", "overlay_runtime",
                 "run", *(["--debug"] if self.debug else []), "--identity", self.identity],
                cwd=REPOSITORY, env=self._environment(), stdout=log, stderr=log,
            )  # fmt: skip
        return self

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send the agent a signal and return its exit code."""
        if self._agent is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            self._agent.send_signal(number)
        return self.exit_code()

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Stop the agent's process (SIGSTOP) for as long as this lasts."""
        if self._agent is None:
            raise AssertionError("no agent was started")
        self._agent.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._agent.send_signal(signal.SIGCONT)

    def exit_code(self, seconds: float = 10.0) -> int:
        """Wait for the agent to end by itself."""
        if self._agent is None:
            raise AssertionError("no agent was started")
        code = self._agent.wait(seconds)
        self._agent = None
        return code

    def cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run another command of edge-overlay on this host."""
        return subprocess.run(
            [sys.executable, "-m", "overlay_runtime", *arguments],
            cwd=REPOSITORY, env=self._environment(), capture_output=True, text=True, timeout=20,
        )  # fmt: skip

    def status(self) -> dict[str, Any]:
        """Return the status file, or an empty one."""
        try:
            found = json.loads((self.directory / "run/status.json").read_bytes())
        except FileNotFoundError:
            return {"state": "none", "problems": [], "peers": [], "overlay": {}}
        return dict(found)

    def up(self) -> bool:
        """Whether this agent (not an earlier one) says that the overlay is up."""
        status = self.status()
        if self._agent is None or self._agent.poll() is not None:
            return False
        return bool(status["state"] == "up" and status["pid"] == self._agent.pid)

    @property
    def address(self) -> str:
        """The overlay address."""
        return str(self.status()["overlay"]["address"])

    @property
    def end(self) -> tuple[str, str]:
        """Where probes start and end: the namespace and the overlay address."""
        return self.namespace, self.address

    def knows(self, other: Host) -> dict[str, Any] | None:
        """Return what status says about another host, if it says anything."""
        wanted = other.status().get("host", {}).get("id")
        return next((p for p in self.status()["peers"] if p["id"] == wanted), None)

    def peer(self, other: Host) -> dict[str, Any]:
        """Return what status says about a host that must be in it."""
        found = self.knows(other)
        assert found is not None, f"{other.address} is not in status: {self.status()['peers']}"
        return found

    def names(self, physical: str) -> bool:
        """Return whether status names this address as of somebody who isn't trusted."""
        return physical in str(self.status()["foreign"])

    def log(self) -> str:
        """Return all that the agent wrote."""
        return (self.directory / "log").read_text()

    def _environment(self) -> dict[str, str]:
        return os.environ | {
            "EDGE_OVERLAY_RUN_DIR": str(self.directory / "run"),
            "EDGE_OVERLAY_STATE_DIR": str(self.directory / "state"),
            "EDGE_OVERLAY_USER_DATA": str(self.directory / "user-data"),
            "EDGE_OVERLAY_LIBRARY": str(self.library),
            "EDGE_OVERLAY_ROOT": str(self.directory / "root"),
        }


def _mac(link: str) -> str:
    return link.split("link/ether ")[1].split()[0]


def _knows(one: Host, other: Host) -> bool:
    peer = one.knows(other)
    return peer is not None and peer["state"] == "up"


class Lab:
    """Hosts and the segments between them. Leaves nothing behind, whatever happens in it."""

    def __init__(self, directory: Path, *, logs: bool = True) -> None:
        """`logs`: show the end of the agents' logs when all is over."""
        self.directory = directory
        self._logs = logs
        self._prefix = f"eo{os.getpid()}n{next(_numbers)}"
        self._namespaces: list[str] = []
        self.hosts: list[Host] = []
        self._machines: list[Host] = []
        self._switch = self.namespace("switch")
        self._ports = itertools.count()
        self._plugged: dict[tuple[str, str], str] = {}
        self._macs: dict[str, str] = {}

    def __enter__(self) -> Lab:
        return self

    def __exit__(self, *_: object) -> None:
        for host in self._machines:  # bystanders may run agents too
            with contextlib.suppress(Exception):
                host.stop(signal.SIGKILL)
            if (
                self._logs and (host.directory / "log").exists()
            ):  # pytest shows it if the test failed
                print(f"--- agent of {host.name}\n{host.log()[-6000:]}")
        for namespace in self._namespaces:
            with contextlib.suppress(AssertionError):
                kill_all(namespace)
                run("ip", "netns", "del", namespace)

    def host(self, name: str, *addresses: str, segment: str = "a", ipv6: bool = True) -> Host:
        """Add a host with `eth0` on a segment."""
        host = self.bystander(name, *addresses, segment=segment, ipv6=ipv6)
        self.hosts.append(host)
        return host

    def bystander(self, name: str, *addresses: str, segment: str = "a", ipv6: bool = True) -> Host:
        """Add a machine that is no host of the cluster: nobody waits for its agent."""
        host = Host(name, self.namespace(name), self.directory / name)
        self._machines.append(host)
        if not ipv6:
            host.sysctl("net/ipv6/conf/default/disable_ipv6", "1")
        # No duplicate detection on the lab's NICs: it costs each test a second and a half.
        host.sysctl("net/ipv6/conf/default/dad_transmits", "0")
        self.nic(host, "eth0", *addresses, segment=segment)
        return host

    def nic(self, host: Host, nic: str, *addresses: str, segment: str = "a") -> None:
        """Plug another NIC of a host into a segment."""
        bridge, port = f"br-{segment}", f"p{next(self._ports)}"
        if f" {bridge}:" not in run("ip", "-n", self._switch, "-o", "link"):
            run("ip", "-n", self._switch, "link", "add", bridge, "type", "bridge",
                "mcast_snooping", "0")  # fmt: skip
            run("ip", "-n", self._switch, "link", "set", bridge, "up")
        mac = self._macs.get(host.name) if nic == "eth0" else None
        host.ip("link", "add", nic, *(["address", mac] if mac else []),
                "type", "veth", "peer", "name", port, "netns", self._switch)  # fmt: skip
        run("ip", "-n", self._switch, "link", "set", port, "master", bridge, "up")
        self._plugged[(host.name, nic)] = port
        host.ip("link", "set", nic, "up")
        for address in addresses:
            host.ip("address", "add", address, "dev", nic)

    def switch(self, host: Host, *settings: str, nic: str = "eth0") -> None:
        """Change the switch's port that a NIC is plugged into (ip link set)."""
        port = self._plugged[(host.name, nic)]
        run("ip", "-n", self._switch, "link", "set", port, *settings)

    def switch_port(self, host: Host, *settings: str, nic: str = "eth0") -> None:
        """Change how the switch treats a NIC's port (bridge link set)."""
        port = self._plugged[(host.name, nic)]
        run("bridge", "-n", self._switch, "link", "set", "dev", port, *settings)

    def join(self, one: str, other: str) -> None:
        """Plug a cable between two segments."""
        ends = [f"j{next(self._ports)}" for _ in range(2)]
        run("ip", "-n", self._switch, "link", "add", ends[0], "type", "veth", "peer", ends[1])
        for end, segment in zip(ends, (one, other), strict=True):
            run("ip", "-n", self._switch, "link", "set", end, "master", f"br-{segment}", "up")

    def power_cut(self, host: Host) -> None:
        """Kill all that runs in a host's namespace and take away what its kernel and /run held.

        The directory of its agent's state stays, as a disk does; what was written and not yet
        synced stays as well, which a real power cut would lose.
        """
        self._macs[host.name] = _mac(host.ip("-o", "link", "show", "eth0"))
        kill_all(host.namespace)
        host.stop(signal.SIGKILL)
        host.ip("link", "del", "eth0")  # at once: the kernel takes its time with a namespace
        run("ip", "netns", "del", host.namespace)
        shutil.rmtree(host.directory / "run")

    def power_on(self, host: Host, *addresses: str, segment: str = "a") -> None:
        """Bring a host back after a power cut: its NIC has its MAC, its agent starts."""
        (host.directory / "run").mkdir()
        run("ip", "netns", "add", host.namespace)
        run("ip", "-n", host.namespace, "link", "set", "lo", "up")
        host.sysctl("net/ipv6/conf/default/dad_transmits", "0")
        self.nic(host, "eth0", *addresses, segment=segment)
        host.restart()

    def all_up(self, seconds: float = 30.0) -> None:
        """Wait until every agent is up and every host with the same secret knows every other."""
        for host in self.hosts:
            until(host.up, f"{host.name} up", seconds)
        for one, other in itertools.permutations(self.hosts, 2):
            until(functools.partial(_knows, one, other), f"{one.name} knows {other.name}", seconds)

    def namespace(self, name: str) -> str:
        """Make another namespace, `lo` up."""
        namespace = f"{self._prefix}-{name}"
        run("ip", "netns", "add", namespace)
        self._namespaces.append(namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
        return namespace
