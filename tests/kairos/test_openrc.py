"""Kairos's Alpine flavour, as far as it goes without Alpine: OpenRC, connman, and no Python."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from tests.host.base import base_image
from tests.host.conftest import copy
from tests.host.lab import Machine, machine, site
from tests.host.managers import MANAGERS
from tests.kairos.conftest import build
from tests.kairos.dressed import EMBEDDED, boot_as, dress, status, wait_for_overlay
from tests.kairos.openrc import OpenrcMachine, openrc_image
from tests.kairos.test_bad_bases import Root, root
from tests.kairos.test_hosts import BLOCK, links
from tests.kairos.test_images import edge_layer
from tests.vm.harness.waiting import wait_until
from tests.yip.conftest import yip

__all__ = ["root", "yip"]  # fixtures

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(600)]

_KEY, _DEFAULT = "NetworkInterfaceBlacklist", "vmnet,vboxnet,virbr,ifb,ve-,vb-"
_OURS = "scbr-100,edge-vx4,edge-vx6"
MOVED_TO = "10.77.0.161"


@pytest.fixture(scope="module")
def hosts(daemon: docker.DockerClient, yip: Path) -> Iterator[tuple[Machine, Machine]]:
    """The host, whose stage initramfs yip has run, and another one with systemd."""
    with site() as where, ExitStack() as stack:
        peer = stack.enter_context(machine(daemon, base_image(daemon, "trixie"), where, 50))
        next(m for m in MANAGERS if str(m) == "netplan-networkd-dhcp").set_up(peer)
        dress(peer, BLOCK, "debian")
        peer.reboot()
        made = machine(daemon, openrc_image(daemon), where, 51, kind=OpenrcMachine)
        host = stack.enter_context(made)
        dress(host, BLOCK, "alpine", bring_python=True, service_manager="openrc")
        copy(yip, host, "/usr/bin/yip-run")
        for _boot in range(2):
            host.run("yip-run initramfs /system/oem")
        host.run("rc-service connman restart && openrc")  # what the boot does after that stage
        yield host, peer


def test_the_overlay_comes_up(hosts: tuple[Machine, Machine]) -> None:
    host, peer = hosts
    assert host.try_run("test -e /usr/bin/python3")[0] != 0
    addresses = wait_for_overlay(host), wait_for_overlay(peer)
    assert status(host)["problems"] == []
    assert "started" in host.run("rc-service --nocolor edge-overlay status")
    _reach(hosts, addresses)


def test_connman_leaves_the_links_alone(hosts: tuple[Machine, Machine]) -> None:
    host, peer = hosts
    addresses = wait_for_overlay(host), wait_for_overlay(peer)
    lines = host.run("grep NetworkInterfaceBlacklist /etc/connman/main.conf").splitlines()
    [line] = [line for line in lines if not line.startswith("#")]
    assert line.endswith("vb-,scbr-100,edge-vx4,edge-vx6")
    before = links(host)
    assert _services(host) == {"eth0"}
    host.run("rc-service edge-overlay stop")  # the agent would mend it
    host.run("rc-service connman restart; sleep 3")
    assert links(host) == before, (
        "without our names in its list, scbr-100 is down and has no address"
    )
    host.run("rc-service edge-overlay start")
    _reach(hosts, addresses)
    host.run("connmanctl disable ethernet")
    wait_until("eth0 without an address", lambda: host.addresses() == [], 30,
               evidence=host.evidence)  # fmt: skip
    assert links(host) == before
    host.run("connmanctl enable ethernet")
    _reach(hosts, addresses)
    host.site.reserve(host.mac, MOVED_TO)
    host.run("rc-service connman restart")
    wait_until("the new address", lambda: host.addresses() == [f"{MOVED_TO}/24"], 60,
               evidence=host.evidence)  # fmt: skip
    _reach(hosts, addresses)
    assert links(host) == before
    assert _services(host) == {"eth0"}


def test_the_agent_is_started_again(hosts: tuple[Machine, Machine]) -> None:
    host, peer = hosts
    addresses = wait_for_overlay(host), wait_for_overlay(peer)
    before = status(host)["pid"]
    host.run(f"kill -9 {before}")
    wait_until("another agent", lambda: status(host).get("pid") not in (before, None), 30,
               evidence=host.evidence)  # fmt: skip
    assert wait_for_overlay(host) == addresses[0]
    host.run("rc-service edge-overlay restart")
    assert wait_for_overlay(host) == addresses[0]
    host.run("rc-service edge-overlay stop")
    assert host.try_run("pgrep -f '[e]dge-overlay run'")[0] != 0
    _reach(hosts, addresses)  # the kernel goes on forwarding
    host.run("rc-service edge-overlay start")
    assert wait_for_overlay(host) == addresses[0]


def test_off_is_not_tried_again(hosts: tuple[Machine, Machine]) -> None:
    host, _peer = hosts
    boot_as(host, "live_mode")
    host.run("mkdir -p /run/cos && touch /run/cos/live_mode")
    host.run("rc-service edge-overlay restart")
    wait_until("the agent's end", lambda: status(host).get("state") == "off", 30,
               evidence=host.evidence)  # fmt: skip
    pid = status(host)["pid"]
    host.run("sleep 5")
    assert status(host)["pid"] == pid
    assert "installer" in host.try_run("edge-overlay status")[1]
    host.write(EMBEDDED, f"{BLOCK}  live: true\n", 0o600)
    host.run("rc-service edge-overlay restart")
    wait_for_overlay(host)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ["[General]", f"{_KEY} = {_DEFAULT},{_OURS}"]),
        ("[Other]\nx = 1\n", ["[Other]", "x = 1", "[General]", f"{_KEY} = {_DEFAULT},{_OURS}"]),
        (
            f"[General]\n#{_KEY} = x\n",
            ["[General]", f"{_KEY} = {_DEFAULT},{_OURS}", f"#{_KEY} = x"],
        ),
        (f"[General]\n{_KEY} = eth9, vmnet \n", ["[General]", f"{_KEY} = eth9, vmnet,{_OURS}"]),
    ],
)
def test_what_connmans_file_says_besides_is_kept(
    hosts: tuple[Machine, Machine], before: str | None, after: list[str]
) -> None:
    host, _peer = hosts
    path = "/etc/connman/main.conf"
    host.run(f"mv {path} {path}.kept")
    if before is not None:
        host.write(path, before)
    for _boot in range(2):
        host.run("/usr/lib/edge-overlay/openrc/leave-alone")
    assert host.run(f"cat {path}").splitlines() == after
    host.run(f"mv {path}.kept {path}")


def test_the_layer_of_an_openrc_base(root: Root, user_data: Path, tmp_path: Path) -> None:
    """No units, the service, and links instead of files where an upgrade would leave them."""
    root.release(flavor="alpine")
    (root.path / "usr/lib/systemd/systemd").unlink()
    root.write("sbin/openrc-run")
    made = build(f"dir:{root.path}", user_data, tmp_path / "out", "--format", "oci")
    members = edge_layer(made.oci)
    assert not [name for name in members if name.startswith(("usr/lib/systemd", "etc"))]
    for name in ("edge-overlay", "run", "leave-alone"):
        assert members[f"usr/lib/edge-overlay/openrc/{name}"].mode == 0o755
    assert "system/oem/13_edge-overlay-openrc.yaml" in members


def _reach(hosts: tuple[Machine, Machine], addresses: tuple[str, str]) -> None:
    """Wait until both reach each other over the overlay."""
    host, peer = hosts

    def both() -> bool:
        pairs = ((host, addresses[1]), (peer, addresses[0]))
        return all(
            each.try_run(f"ping -q -c 1 -W 1 -I scbr-100 {address}")[0] == 0
            for each, address in pairs
        )

    wait_until("both to reach each other", both, 60,
               evidence=lambda: host.evidence() + peer.evidence())  # fmt: skip


def _services(host: Machine) -> set[str]:
    """The links that connman has anything to do with."""
    lines = host.run("connmanctl services").split()
    names = [line for line in lines if line.startswith("ethernet_")]
    macs = {name.split("_")[1] for name in names}
    found = json.loads(host.run("ip -json link show"))
    return {one["ifname"] for one in found if one.get("address", "").replace(":", "") in macs}
