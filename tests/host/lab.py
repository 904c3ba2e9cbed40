"""A site: a router with DHCP and DNS in a namespace, and hosts in containers on its segment."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import docker
from docker.models.containers import Container

from tests.netns.namespaces import run
from tests.oci.host import run_inside
from tests.vm.harness.process import end, start
from tests.vm.harness.waiting import wait_until

ROUTER, TARGET, DNS_NAME = "10.77.0.1", "10.88.0.1", "site.test"
ROUTER6 = "fd77::1"
_RIGHTS: dict[str, Any] = {
    "cap_add": ["SYS_ADMIN", "NET_ADMIN", "NET_RAW"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "cgroupns": "private",
    "tmpfs": {"/run": "", "/tmp": ""},
    "tty": True,
    "detach": True,
    "stop_signal": "SIGRTMIN+3",
}
_NOT_ITS_OWN = ("lo", "scbr-100", "edge-vx4", "edge-vx6")
_IPV6 = {f"net.ipv6.conf.{which}.disable_ipv6": "0" for which in ("all", "default")}
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

    def reserve(self, mac: str, address: str) -> None:
        """Have the DHCP server know an address for a NIC, and refuse it any other; "": no more."""
        line = f"{mac},{address}\n" if address else ""
        (self.directory / "reserved" / mac).write_text(line)
        self.run("kill", "-HUP", (self.directory / "pid").read_text().strip())

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
                "link set lo up",
                # A MAC of its own: else it changes with each port, and hosts know a wrong one.
                "link add br0 address 02:00:00:00:77:00 type bridge", "link set br0 up",
                f"address add {ROUTER}/24 dev br0", f"address add {TARGET}/32 dev lo",
                f"address add {ROUTER6}/64 dev br0 nodad",
            ):  # fmt: skip
                run("ip", "-n", name, *words.split())
            # A port without the bridge is another segment: the router must not answer there, as
            # Linux does by itself for the addresses of all its links.
            run("ip", "netns", "exec", name, "sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=1")
            command = ["ip", "netns", "exec", name, "dnsmasq", "--conf-file=/dev/null",
                       "--no-resolv",
                     "--keep-in-foreground", "--interface=br0", "--bind-interfaces",
                     "--dhcp-range=10.77.0.50,10.77.0.199,1h", f"--pid-file={directory}/pid",
                     f"--dhcp-leasefile={directory}/leases", f"--address=/{DNS_NAME}/{TARGET}",
                     f"--dhcp-hostsdir={directory}/reserved",
                     f"--log-facility={directory}/log", "--log-dhcp",
                     "--dhcp-authoritative", "--no-ping", "--user=root"]  # fmt: skip
            (Path(directory) / "reserved").mkdir()
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
    ports: tuple[str, ...]
    """In the router, those of eth0, eth1…"""
    static: str
    """The address that is its own where it is set by hand; ADDRESS/LENGTH."""
    static6: str

    def try_run(self, command: str) -> tuple[int, str]:
        """Run a shell command; its exit code and what it said."""
        return run_inside(self.container, command)

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

    def addresses(self, link: str = "eth0") -> list[str]:
        """The addresses of a link, sorted; of IPv6 only what isn't the link's own."""
        found = json.loads(self.run(f"ip -json address show dev {link} scope global"))
        held = [a for one in found for a in one.get("addr_info", []) if "local" in a]
        return sorted(f"{a['local']}/{a['prefixlen']}" for a in held)

    @contextlib.contextmanager
    def port(self, during: str, after: str) -> Iterator[None]:
        """Inside, the router's port of eth0 is `during`, then `after` (words of ip-link(8))."""
        self.set_port(during)
        try:
            yield
        finally:
            self.set_port(after)

    def set_port(self, words: str) -> None:
        """Set the router's port of eth0 (words of ip-link(8))."""
        run("ip", "-n", self.site.namespace, "link", "set", self.ports[0], *words.split())

    @contextlib.contextmanager
    def without(self, address: str) -> Iterator[None]:
        """Inside, nothing of it reaches an address beyond the router."""
        table, mine = self.ports[0], self.addresses()[0].partition("/")[0]
        self.site.run(
            "nft", f"add table ip {table}; add chain ip {table} i {{ type filter hook prerouting "
            f"priority -400; }}; add rule ip {table} i ip saddr {mine} ip daddr {address} drop",
        )  # fmt: skip
        try:
            yield
        finally:
            self.site.run("nft", "delete", "table", "ip", table)

    def gateways(self, version: int = 4) -> list[tuple[str, str]]:
        """The next hops of its default routes, and their links."""
        routes = json.loads(self.run(f"ip -{version} -json route show default"))
        return [(str(route["gateway"]), str(route["dev"])) for route in routes]

    def network(self) -> dict[str, Any]:
        """What others see of it: addresses by link, the ports of bridges, gateways."""
        links = json.loads(self.run("ip -json link show"))
        names = [link["ifname"] for link in links if link["ifname"] not in _NOT_ITS_OWN]
        return {
            "addresses": {name: self.addresses(name) for name in names},
            "ports": {link["ifname"]: link["master"] for link in links if "master" in link
                      and link["master"] not in _NOT_ITS_OWN},
            "gateways": sorted({*self.gateways(4), *self.gateways(6)}),
        }  # fmt: skip

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

    def wait_for_state(self, *states: str, seconds: float = 120) -> None:
        """Wait for the transaction to get there."""
        wait_until(f"{self.name}: {' or '.join(states)}",
                   lambda: self.state().get("state") in states, seconds,
                   evidence=self.evidence)  # fmt: skip

    def wait_for_network(self, seconds: float = 80) -> None:
        """Wait until it is on the network."""
        wait_until(f"{self.name}: its network", self.on_the_network, seconds,
                   evidence=self.evidence)  # fmt: skip

    def wait_for_boot(self) -> None:
        """Wait for the end of its boot."""
        wait_until(f"{self.name}: the end of its boot", self._booted, 120, evidence=self.evidence)

    def reboot(self) -> None:
        """Stop it, take away all that a kernel forgets, start it again."""
        self.container.stop(timeout=20)
        for link in ("scbr-100", "edge-vx4", "edge-vx6", "br0"):
            subprocess.run(
                self._in_network("link", "delete", link), capture_output=True, check=False
            )
        for number in range(len(self.ports)):
            nic = f"eth{number}"
            for words in (f"address flush dev {nic}", f"link set {nic} down mtu 1500"):
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
def machine(
    client: docker.DockerClient, image: str, where: Site, number: int, nics: int = 1,
    kind: type[Machine] = Machine, rights: Mapping[str, Any] = MappingProxyType({}),
) -> Iterator[Machine]:  # fmt: skip
    """A host on the site, with eth0, eth1…; gone at the block's end. `rights`: what `docker run`
    takes beside the usual, or in its place."""
    name = f"edge-host-{os.getpid()}-{number}"
    macs = [f"02:00:00:{nic:02x}:77:{number:02x}" for nic in range(nics)]
    ports = tuple(f"p{number}n{nic}" for nic in range(nics))
    holder = client.containers.run(image, ["sleep", "infinity"], name=f"{name}-net", detach=True,
                                   hostname=f"host{number}", network_mode="none",
                                   sysctls=_IPV6)  # fmt: skip
    container = None
    try:
        holder.reload()
        process = str(holder.attrs["State"]["Pid"])
        for nic, (mac, port) in enumerate(zip(macs, ports, strict=True)):
            made_as = f"n{number}n{nic}"  # others may be made at the same time
            words = ("type", "veth", "peer", "name", port)
            in_router = ("ip", "-n", where.namespace, "link")
            run(*in_router, "add", made_as, "address", mac, *words)
            run(*in_router, "set", made_as, "netns", process, "name", f"eth{nic}")
            run(*in_router, "set", port, "master", "br0", "up")
        container = client.containers.run(image, name=name, network_mode=f"container:{holder.id}",
                                          **(_RIGHTS | dict(rights)))  # fmt: skip
        static, static6 = f"10.77.0.{200 + number}/24", f"fd77::1{number:02x}/64"
        made = kind(name, container, holder, where, macs[0], ports, static, static6)
        made.wait_for_boot()
        yield made
    finally:
        for one in (container, holder):
            if one is not None:
                one.remove(force=True, v=True)
        for port in ports:
            subprocess.run(["ip", "-n", where.namespace, "link", "delete", port],
                           capture_output=True, check=False)  # fmt: skip
