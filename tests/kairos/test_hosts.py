"""Kairos hosts in containers: the installer and the installed system, and each network manager.

Real systemd, real managers, a router with a real DHCP server; of Kairos only files (`dressed.py`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass

import docker
import pytest

from tests.host.base import base_image
from tests.host.lab import Machine, Site, machine, site
from tests.host.managers import MANAGERS
from tests.kairos.dressed import EMBEDDED, boot_as, dress, status, wait_for_overlay
from tests.vm.harness.waiting import wait_until

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(600)]

BLOCK = "#cloud-config\noverlay:\n  cidr: 100.65.10.0/24\n  secret: used in these tests alone\n"
FIXED = "100.65.10.77"
_numbers = itertools.count(60)


@dataclass
class Lab:
    """Where hosts are made."""

    client: docker.DockerClient
    where: Site
    stack: ExitStack

    def host(self, manager: str, user_data: str, flavor: str, mode: str = "active_mode") -> Machine:
        """A host with this manager in charge of DHCP, booted."""
        image = base_image(self.client, "trixie")
        made = self.stack.enter_context(machine(self.client, image, self.where, next(_numbers)))
        found = next(m for m in MANAGERS if str(m) == f"{manager}-dhcp")
        found.set_up(made)
        dress(made, user_data, flavor)
        boot_as(made, mode)
        return made


@pytest.fixture
def lab(daemon: docker.DockerClient) -> Iterator[Lab]:
    with site() as where, ExitStack() as stack:
        yield Lab(daemon, where, stack)


def test_installer_and_installed_system(lab: Lab) -> None:
    """Off unless asked for; then its address is carried over, and outlives Kairos's reset."""
    host = lab.host("netplan-networkd", BLOCK, "debian", "live_mode")
    host.reboot()
    _is_off_and_says_why(host)

    host.write(EMBEDDED, f"{BLOCK}  live: true\n  address: {FIXED}\n", 0o600)
    host.run("systemctl restart edge-overlay-gather edge-overlay")
    assert wait_for_overlay(host) == FIXED
    assert host.try_run("test -e /oem/edge-overlay")[0] != 0, "there is no COS_OEM yet"
    host.run("mkdir -p /run/cos/oem && mount -t tmpfs -o mode=0770 tmpfs /run/cos/oem")
    host.run("/usr/lib/edge-overlay/carry-address")
    assert FIXED in host.run("cat /run/cos/oem/edge-overlay/state.json")

    _install(host)
    assert wait_for_overlay(host) == FIXED
    assert FIXED in host.run("cat /var/lib/edge-overlay/state.json")

    host.run("systemctl stop edge-overlay && rm -r /var/lib/edge-overlay/*")  # reset-persistent
    host.run("systemctl start edge-overlay")
    assert wait_for_overlay(host) == FIXED
    assert status(host)["problems"] == []

    host.run("edge-overlay reset --yes && ! test -e /oem/edge-overlay/state.json")
    host.run("systemctl restart edge-overlay")
    address = wait_for_overlay(host)
    assert address in host.run("cat /oem/edge-overlay/state.json"), "written in its sandbox"


def _is_off_and_says_why(host: Machine) -> None:
    wait_until("the agent's end", lambda: status(host).get("state") == "off", 30,
               evidence=host.evidence)  # fmt: skip
    code, said = host.try_run("edge-overlay status")
    assert (code, said.splitlines()[0]) == (
        1,
        "The overlay is off: this is Kairos's installer, and the `overlay:` block doesn't say "
        "`live: true`; it comes up on the installed system.",
    )
    said = host.try_run("systemctl status --no-pager edge-overlay")[1]
    assert "Active: inactive (dead)" in said
    assert "this is Kairos's installer" in said
    assert host.try_run("systemctl is-failed edge-overlay")[1].strip() == "inactive"
    assert host.try_run("ip link show scbr-100")[0] != 0


def _install(host: Machine) -> None:
    """The first boot of the installed system: nothing persistent but what lies on COS_OEM."""
    host.run("systemctl stop edge-overlay && rm -r /var/lib/edge-overlay/*")
    host.run("for link in scbr-100 edge-vx4 edge-vx6; do ip link del $link; done")
    host.run("mv /run/cos/live_mode /run/cos/active_mode")
    host.run("mkdir -p /oem && mount --bind /run/cos/oem /oem")
    host.write(EMBEDDED, BLOCK, 0o600)
    host.run("systemctl restart edge-overlay-gather && systemctl start edge-overlay")
