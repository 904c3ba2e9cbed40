"""An Edge host in a container: systemd as PID 1, with the rights that the README names."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Any

from docker.models.containers import Container
from docker.models.networks import Network
from testcontainers.core.container import DockerContainer

from tests.vm.harness.waiting import wait_until

_RIGHTS: dict[str, Any] = {
    "cap_add": ["SYS_ADMIN", "NET_ADMIN", "NET_RAW"],
    "security_opt": ["seccomp=unconfined", "apparmor=unconfined"],
    "cgroupns": "private",
    "tty": True,
}
_COMMAND_LIMIT_S = 300.0
_TMPFS = ("/run", "/tmp")
"""What `docker run` of the image takes; `--privileged` is not among it."""


def run_inside(container: Container, command: str) -> tuple[int, str]:
    """Run a shell command in a container; its exit code and what it said.

    By docker(1): docker-py loses the beginning of what is said at once (seen under load).
    """
    words = ["docker", "exec", str(container.id), "sh", "-c", command]
    done = subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=_COMMAND_LIMIT_S, check=False)  # fmt: skip
    return done.returncode, done.stdout.decode(errors="replace")


@dataclass(frozen=True)
class Host:
    """One running container."""

    name: str
    container: Container

    def try_run(self, command: str) -> tuple[int, str]:
        """Run a shell command inside; its exit code and what it said."""
        return run_inside(self.container, command)

    def run(self, command: str) -> str:
        """Run a shell command inside; AssertionError if it fails."""
        code, said = self.try_run(command)
        assert code == 0, f"{self.name}: {command}: exit {code}\n{said}"
        return said

    def booted(self) -> bool:
        """Whether systemd has started all it was to start, with success or without."""
        return self.try_run("systemctl is-system-running")[1].strip() in ("running", "degraded")

    def overlay(self) -> dict[str, Any]:
        """`edge-overlay status --json`; {} while it can't be had."""
        try:
            status = json.loads(self.try_run("edge-overlay status --json")[1])
        except ValueError:
            return {}
        assert isinstance(status, dict)
        return status

    def physical(self) -> IPv4Address:
        """Its address on the one network that it is on."""
        self.container.reload()
        [network] = self.container.attrs["NetworkSettings"]["Networks"].values()
        return IPv4Address(network["IPAddress"])

    def evidence(self) -> str:
        """What it says about itself, for a failure."""
        told = [self.try_run("edge-overlay status; systemctl --failed --no-legend; ip address")[1]]
        told.append(self.try_run("journalctl --no-pager -u 'edge-overlay*' | tail -n 30")[1])
        return "\n".join([f"--- {self.name}:", *told])


_IPV6 = {f"net.ipv6.conf.{which}.disable_ipv6": "0" for which in ("all", "default")}


@contextmanager
def host(name: str, image: str, network: Network | None) -> Iterator[Host]:
    """A container on this network, gone at the block's end; None: without any NIC, and with IPv6
    for those that it will get."""
    made = DockerContainer(image).with_name(name)
    if network is None:
        made.with_kwargs(network_mode="none", sysctls=_IPV6, hostname=name, **_RIGHTS)
    else:
        made.with_kwargs(network=network.name, hostname=name, **_RIGHTS)
    for path in _TMPFS:
        made.with_tmpfs_mount(path)
    with made as running:
        found = Host(name, running.get_wrapped_container())
        wait_until(f"{name}: the end of its boot", found.booted, 120, evidence=found.evidence)
        yield found
