"""Kairos hosts in containers: the installer and the installed system, and each network manager.

Real systemd, real managers, a router with a real DHCP server; of Kairos only files (`dressed.py`).
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import docker
import pytest

from builder.kairos.python import HOME
from tests.host.base import base_image
from tests.host.lab import Machine, Site, machine, site
from tests.host.managers import MANAGERS
from tests.kairos.dressed import EMBEDDED, boot_as, dress, status, wait_for_overlay
from tests.vm.harness.waiting import wait_until

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(600)]

BLOCK = "#cloud-config\noverlay:\n  cidr: 100.65.10.0/24\n  secret: used in these tests alone\n"
_DESCRIBED = "stylus:\n  site:\n    network:\n      interfaces: {eth0: {type: dhcp}}\n"
FIXED = "100.65.10.77"
_numbers = itertools.count(40)


@dataclass
class Lab:
    """Where hosts are made."""

    client: docker.DockerClient
    where: Site
    stack: ExitStack

    def host(
        self,
        manager: str,
        user_data: str,
        flavor: str,
        mode: str = "active_mode",
        *,
        bring_python: bool = False,
    ) -> Machine:
        """A host with this manager in charge of DHCP, booted."""
        image = base_image(self.client, "trixie")
        made = self.stack.enter_context(machine(self.client, image, self.where, next(_numbers)))
        found = next(m for m in MANAGERS if str(m) == f"{manager}-dhcp")
        found.set_up(made)
        dress(made, user_data, flavor, bring_python=bring_python)
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
    host.run("umount /oem")  # as Kairos's reset does before it formats COS_OEM
    pid = host.run("systemctl show --value --property MainPID edge-overlay").strip()
    assert " /oem " not in host.run(f"cat /proc/{pid}/mountinfo"), "the agent would keep it busy"


def test_a_start_that_takes_too_long_is_tried_again(lab: Lab) -> None:
    """As a real Kairos in emulation had it, on a busy machine; the agent ends with 0 then."""
    host = lab.host("netplan-networkd", BLOCK, "debian")
    host.reboot()
    wait_for_overlay(host)
    host.write("/run/systemd/system/edge-overlay.service.d/90.conf",
               "[Service]\nTimeoutStartSec=1s\n")  # fmt: skip
    host.run("systemctl daemon-reload")
    host.run("edge-overlay reset --yes")  # to claim an address takes longer than a second
    host.try_run("systemctl restart edge-overlay")
    restarts = "systemctl show --value --property NRestarts edge-overlay"
    wait_until("another attempt", lambda: int(host.run(restarts)) > 0, 30, evidence=host.evidence)
    host.run("rm /run/systemd/system/edge-overlay.service.d/90.conf && systemctl daemon-reload")
    wait_for_overlay(host)
    host.run("systemctl stop edge-overlay")
    assert "ActiveState=inactive" in host.run("systemctl show --property ActiveState edge-overlay")


def test_networkmanager_alone(lab: Lab) -> None:
    """As on the RHEL family: no networkd, no resolved; NetworkManager has eth0, and only that."""
    peer = lab.host("netplan-networkd", BLOCK, "debian")
    host = lab.host("NetworkManager", BLOCK + _DESCRIBED, "rockylinux")
    host.run(
        "rm /etc/resolv.conf /usr/lib/systemd/systemd-networkd /usr/lib/systemd/systemd-resolved"
    )
    host.run("rm -r /usr/lib/systemd/system/systemd-networkd* /usr/lib/systemd/system/*resolved*")
    for each in (peer, host):
        each.reboot()
    addresses = wait_for_overlay(peer), wait_for_overlay(host)
    assert host.run("systemctl --failed --no-legend --plain") == ""
    assert "systemd-networkd" not in host.run(
        "systemctl list-jobs; systemctl list-units --no-pager"
    )
    [told] = _problems(host)
    assert told.startswith(f"{EMBEDDED}:8:7: `stylus.site.network` is not acted on"), told

    reach = _Reach(host, peer, addresses)
    reach.wait("at the start")
    before = links(host)
    assert _managed(host) == {"eth0"}
    with reach.unbroken("NetworkManager restarts"):
        host.run("systemctl restart NetworkManager")
        wait_until("NetworkManager", lambda: _managed(host) == {"eth0"}, 30, evidence=host.evidence)
    assert links(host) == before

    host.run("nmcli networking off")
    wait_until("eth0 without an address", lambda: host.addresses() == [], 30,
               evidence=host.evidence)  # fmt: skip
    assert links(host) == before, "the overlay's links are left alone"
    host.run("nmcli networking on")
    reach.wait("networking is on again")

    host.site.reserve(host.mac, "10.77.0.151")
    host.run("nmcli connection down site && nmcli connection up site")
    wait_until("the new address", lambda: host.addresses() == ["10.77.0.151/24"], 30,
               evidence=host.evidence)  # fmt: skip
    reach.wait("after a renumbering")
    assert links(host) == before
    assert _managed(host) == {"eth0"}
    wait_until("the peer to know", lambda: "10.77.0.151" in peer.run("edge-overlay peers"), 30,
               evidence=peer.evidence)  # fmt: skip


def test_a_base_without_python(lab: Lab) -> None:
    """The agent's sandbox holds for the Python that was brought, too."""
    host = lab.host("netplan-networkd", BLOCK, "opensuse-leap", bring_python=True)
    host.run("rm -r /usr/bin/python3* /usr/lib/python3*")
    host.reboot()
    address = wait_for_overlay(host)
    assert f" {address}/24 " in host.run("ip -o -4 address show dev scbr-100")
    assert host.run("systemctl --failed --no-legend --plain") == ""
    assert _problems(host) == []
    pid = host.run("systemctl show --value --property MainPID edge-overlay").strip()
    assert f"/{HOME}/" in host.run(f"readlink /proc/{pid}/exe")
    assert host.run("systemctl show --value --property NRestarts edge-overlay").strip() == "0"
    host.run("systemctl stop edge-overlay && systemctl start edge-overlay")
    assert wait_for_overlay(host) == address


@dataclass(frozen=True)
class _Reach:
    """Two hosts that ping each other over the overlay."""

    host: Machine
    peer: Machine
    addresses: tuple[str, str]
    """The peer's, the host's."""

    def wait(self, what: str) -> None:
        """Wait until both reach each other."""
        wait_until(f"both to reach each other {what}", self._both, 60, evidence=self._evidence)

    @contextmanager
    def unbroken(self, what: str) -> Iterator[None]:
        """Inside, the peer pings the host ten times a second; at most a packet may be lost."""
        log = "/root/ping.log"
        self.peer.run(f"ping -i 0.1 -w 60 {self.addresses[1]} > {log} 2>&1 & echo $! > /root/ping")
        yield
        self.peer.run("sleep 3; kill -INT $(cat /root/ping); sleep 1")
        said = self.peer.run(f"tail -n 3 {log}")
        counts = re.search(r"(\d+) packets transmitted, (\d+) received", said)
        assert counts, said
        sent, received = map(int, counts.groups())
        assert sent > 20 and sent - received <= 1, f"{what}: {said}"

    def _both(self) -> bool:
        first, second = self.addresses
        return all(
            each.try_run(f"ping -q -c 1 -W 1 -I scbr-100 {address}")[0] == 0
            for each, address in ((self.host, first), (self.peer, second))
        )

    def _evidence(self) -> str:
        return self.host.evidence() + self.peer.evidence()


def _problems(host: Machine) -> list[str]:
    found = status(host)["problems"]
    assert isinstance(found, list)
    return found


def _managed(host: Machine) -> set[str]:
    """Links that NetworkManager has brought up."""
    lines = host.run("nmcli --terse --fields DEVICE,STATE device").splitlines()
    states = dict(line.split(":", 1) for line in lines)
    for link in ("scbr-100", "edge-vx4", "edge-vx6"):
        assert states[link] == "unmanaged", states
    return {link for link, state in states.items() if state == "connected"}


def links(host: Machine) -> list[tuple[str, int, bool, list[str]]]:
    """The overlay's links: number, whether up, addresses. A link made anew has another number."""
    found = json.loads(host.run("ip -json address show"))
    return [
        (
            one["ifname"],
            one["ifindex"],
            "UP" in one["flags"],
            sorted(a["local"] for a in one["addr_info"]),
        )
        for one in found
        if one["ifname"] in ("scbr-100", "edge-vx4", "edge-vx6")
    ]


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
    host.run("mount --make-rshared /")  # as systemd does, but in a container
    host.run("mkdir -p /oem && mount --bind /run/cos/oem /oem")
    host.write(EMBEDDED, BLOCK, 0o600)
    host.run("systemctl restart edge-overlay-gather && systemctl start edge-overlay")
