"""A site: a router with DHCP and DNS in a namespace, and hosts in containers on its segment."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
from docker.models.containers import Container

from tests.netns.namespaces import run
from tests.vm.harness.process import end, start
from tests.vm.harness.waiting import wait_until

ROUTER, TARGET, DNS_NAME = "10.77.0.1", "10.88.0.1", "site.test"
_RIGHTS: dict[str, Any] = {
    "cap_add": ["SYS_ADMIN", "NET_ADMIN", "NET_RAW"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "cgroupns": "private",
    "tmpfs": {"/run": "", "/tmp": ""},
    "tty": True,
    "detach": True,
    "stop_signal": "SIGRTMIN+3",
}
_SNAPSHOT = (
    # Directories without their times: files come and go in them. resolv.conf is written anew by
    # the managers themselves, with the same content.
    r"find /etc -type d -printf '%p %y %m %u %g\n'; "
    r"find /etc ! -type d ! -path /etc/resolv.conf -printf '%p %y %m %u %g %T@ %l\n'; "
    r"find /etc -type f -exec sha256sum {} +"
)


@dataclass
class Site:
    """The router's namespace: a bridge that all hosts are on."""

    namespace: str
    directory: Path

    def run(self, *command: str) -> str:
        """Run a command in the router."""
        return run("ip", "netns", "exec", self.namespace, *command)

    def drop(self, address: str) -> None:
        """Drop what comes for an address, or for all (`ip`), until `restore`."""
        self.run("nft", f"add table ip t; add chain ip t i {{ type filter hook prerouting priority "
                 f"-400; }}; add rule ip t i ip daddr {address} drop")  # fmt: skip

    def restore(self) -> None:
        """Let all through again."""
        self.run("nft", "delete table ip t")

    def leases(self) -> dict[str, str]:
        """What dnsmasq has given, by MAC: the address."""
        path = self.directory / "leases"
        lines = path.read_text().splitlines() if path.exists() else []
        return {line.split()[1]: line.split()[2] for line in lines}


@contextlib.contextmanager
def site() -> Iterator[Site]:
    """A router with 10.77.0.1/24, DHCP from .50 on, DNS for site.test; gone at the block's end."""
    name = f"eh{os.getpid()}"
    with tempfile.TemporaryDirectory(prefix="edge-test-site-") as directory:
        found = Site(name, Path(directory))
        run("ip", "netns", "add", name)
        try:
            for words in (
                "link set lo up", "link add br0 type bridge", "link set br0 up",
                f"address add {ROUTER}/24 dev br0", f"address add {TARGET}/32 dev lo",
            ):  # fmt: skip
                run("ip", "-n", name, *words.split())
            command = ["ip", "netns", "exec", name, "dnsmasq", "--conf-file=/dev/null",
                       "--no-resolv",
                     "--keep-in-foreground", "--interface=br0", "--bind-interfaces",
                     "--dhcp-range=10.77.0.50,10.77.0.199,1h", f"--pid-file={directory}/pid",
                     f"--dhcp-leasefile={directory}/leases", f"--address=/{DNS_NAME}/{TARGET}",
                     f"--log-facility={directory}/log", "--log-dhcp",
                     "--dhcp-authoritative"]  # fmt: skip
            process = start(command, Path(directory) / "dnsmasq.log")
            try:
                yield found
            finally:
                end(process)
        finally:
            run("ip", "netns", "delete", name)


@dataclass
class Machine:
    """One host: a container, and another that holds its network namespace over reboots."""

    name: str
    container: Container
    holder: Container
    site: Site
    mac: str
    kept: dict[str, str] = field(default_factory=dict)

    def try_run(self, command: str) -> tuple[int, str]:
        """Run a shell command; its exit code and what it said."""
        code, said = self.container.exec_run(["sh", "-c", command])
        assert code is not None and isinstance(said, bytes)
        return code, said.decode(errors="replace")

    def run(self, command: str) -> str:
        """Run a shell command; AssertionError if it fails."""
        code, said = self.try_run(command)
        assert code == 0, f"{self.name}: {command}: exit {code}\n{said}\n{self.evidence()}"
        return said

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Put a file there."""
        where = shlex.quote(path)
        self.run(
            f"mkdir -p $(dirname {where}) && printf %s {shlex.quote(text)} > {where} && "
            f"chmod {mode:o} {where}"
        )

    def addresses(self) -> list[str]:
        """Its IPv4 addresses on eth0, sorted."""
        [link] = json.loads(self.run("ip -json -4 address show dev eth0")) or [{}]
        found = link.get("addr_info", [])
        return sorted(f"{a['local']}/{a['prefixlen']}" for a in found)

    def gateway(self) -> str:
        """The next hop of its default route, "" without one."""
        routes = json.loads(self.run("ip -json route show default"))
        return str(routes[0]["gateway"]) if routes else ""

    def on_the_network(self) -> bool:
        """Whether names are resolved and the router's inner address answers."""
        return self.try_run(f"getent ahostsv4 {DNS_NAME} | grep -q {TARGET} && "
                            f"ping -c1 -W1 {TARGET}")[0] == 0  # fmt: skip

    def tree(self) -> list[str]:
        """All that lies below /etc, a line each."""
        lines = self.run(_SNAPSHOT).splitlines()
        return sorted(lines)

    def ready(self) -> bool:
        """What `host check` says by its exit code."""
        return self.try_run("edge-overlay host check")[0] == 0

    def state(self) -> dict[str, Any]:
        """The transaction's journal."""
        code, said = self.try_run("cat /var/lib/edge-overlay/host/transaction.json")
        loaded = json.loads(said) if code == 0 else {}
        assert isinstance(loaded, dict)
        return loaded

    def wait_for_state(self, *states: str, seconds: float = 60) -> None:
        """Wait for the transaction to get there."""
        wait_until(f"{self.name}: {' or '.join(states)}",
                   lambda: self.state().get("state") in states, seconds,
                   evidence=self.evidence)  # fmt: skip

    def wait_for_network(self, seconds: float = 40) -> None:
        """Wait until it is on the network."""
        wait_until(f"{self.name}: its network", self.on_the_network, seconds,
                   evidence=self.evidence)  # fmt: skip

    def wait_for_boot(self) -> None:
        """Wait for the end of its boot."""
        wait_until(f"{self.name}: the end of its boot", self._booted, 60, evidence=self.evidence)

    def reboot(self) -> None:
        """Stop it, take away all that a kernel forgets, start it again."""
        self.container.stop(timeout=20)
        for link in ("scbr-100", "edge-vx4", "edge-vx6"):
            subprocess.run(
                self._in_network("link", "delete", link), capture_output=True, check=False
            )
        for words in ("address flush dev eth0", "link set eth0 down", "link set eth0 mtu 1500"):
            subprocess.run(self._in_network(*words.split()), check=True, timeout=20)
        subprocess.run(self._in_network("route", "flush", "table", "main"), check=False)
        self.container.start()
        self.wait_for_boot()

    def evidence(self) -> str:
        """What it says about itself, for a failure."""
        words = ("ip address; ip route; cat /etc/resolv.conf; systemctl --failed --no-legend; "
                 "journalctl --no-pager -n 80")  # fmt: skip
        return f"--- {self.name}:\n{self.try_run(words)[1]}"

    def _booted(self) -> bool:
        return self.try_run("systemctl is-system-running")[1].strip() in ("running", "degraded")

    def _in_network(self, *words: str) -> list[str]:
        self.holder.reload()
        return ["nsenter", f"--net=/proc/{self.holder.attrs['State']['Pid']}/ns/net", "ip", *words]


@contextlib.contextmanager
def machine(client: docker.DockerClient, image: str, where: Site, number: int) -> Iterator[Machine]:
    """A host on the site, with eth0; gone at the block's end."""
    name = f"edge-host-{os.getpid()}-{number}"
    mac = f"02:00:00:00:77:{number:02x}"
    holder = client.containers.run(image, ["sleep", "infinity"], name=f"{name}-net", detach=True,
                                   hostname=f"host{number}", network_mode="none")  # fmt: skip
    container = None
    try:
        holder.reload()
        port = f"p{number}"
        run(
            "ip", "-n", where.namespace, "link", "add", "eth0", "type", "veth", "peer", "name", port
        )
        run("ip", "-n", where.namespace, "link", "set", "eth0", "address", mac)
        run("ip", "-n", where.namespace, "link", "set", "eth0", "netns",
            str(holder.attrs["State"]["Pid"]))  # fmt: skip
        run("ip", "-n", where.namespace, "link", "set", port, "master", "br0", "up")
        container = client.containers.run(image, name=name, network_mode=f"container:{holder.id}",
                                          **_RIGHTS)  # fmt: skip
        made = Machine(name, container, holder, where, mac)
        made.wait_for_boot()
        yield made
    finally:
        for one in (container, holder):
            if one is not None:
                one.remove(force=True)
        subprocess.run(["ip", "-n", where.namespace, "link", "delete", f"p{number}"],
                       capture_output=True, check=False)  # fmt: skip
