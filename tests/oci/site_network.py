"""A site's wire: a bridge and a router with DHCP in a namespace, and NICs moved into a container.

The router is Linux itself and dnsmasq; the NICs are veth pairs, whose other ends are ports of the
bridge in the router's namespace.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.netns.namespaces import run
from tests.oci.host import Host

GATEWAY = "10.77.0.1"
GATEWAY6 = "fd77::1"
POOL = "10.77.0.100,10.77.0.150,255.255.255.0,120"


@dataclass
class Router:
    """The router of a site, and its switch `wire`."""

    namespace: str
    directory: Path
    _dhcp: subprocess.Popen[bytes] | None = None

    def ip(self, *words: str) -> str:
        """Run ip(8) in its namespace."""
        return run("ip", "-n", self.namespace, *words)

    def answer(self, *addresses: str) -> None:
        """Have these addresses from now on."""
        for address in addresses:
            self.ip("address", "add", address, "dev", "wire", "nodad")

    def fall_silent(self) -> None:
        """Have no address any more."""
        self.ip("address", "flush", "dev", "wire", "scope", "global")

    def serve_dhcp(self) -> None:
        """Answer DHCP on the wire."""
        with (self.directory / "dnsmasq.log").open("ab") as log:
            self._dhcp = subprocess.Popen(
                ["ip", "netns", "exec", self.namespace, "dnsmasq", "--keep-in-foreground",
                 "--conf-file=/dev/null", "--no-resolv", "--interface=wire", "--bind-interfaces",
                 "--except-interface=lo", f"--dhcp-range={POOL}", "--dhcp-authoritative",
                 f"--dhcp-option=3,{GATEWAY}", "--dhcp-option=6,10.77.0.53", "--port=0",
                 f"--dhcp-leasefile={self.directory}/leases", f"--pid-file={self.directory}/pid"],
                stdout=log, stderr=log,
            )  # fmt: skip

    def stop_dhcp(self) -> None:
        """Answer DHCP no more."""
        if self._dhcp is not None:
            self._dhcp.terminate()
            self._dhcp.wait(10)
            self._dhcp = None

    def plug(self, host: Host, nic: str, mac: str | None = None) -> None:
        """Give a container one more NIC, on this wire."""
        host.container.reload()
        pid = str(host.container.attrs["State"]["Pid"])
        port = f"p{pid}{nic}"[-15:]
        self.ip("link", "add", port, "type", "veth", "peer", "name", nic, *(
            ("address", mac) if mac else ()), "netns", pid)  # fmt: skip
        self.ip("link", "set", port, "master", "wire", "up")


@contextlib.contextmanager
def router(directory: Path) -> Iterator[Router]:
    """A router without addresses; gone at the block's end, with its wire."""
    namespace = f"edge-test-site-{os.getpid()}"
    run("ip", "netns", "add", namespace)
    made = Router(namespace, directory)
    try:
        made.ip("link", "set", "lo", "up")
        made.ip("link", "add", "wire", "type", "bridge")
        made.ip("link", "set", "wire", "up")
        yield made
    finally:
        made.stop_dhcp()
        run("ip", "netns", "delete", namespace)
