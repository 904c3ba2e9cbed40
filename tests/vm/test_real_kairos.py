"""A real Kairos image: live, installed, rebooted, upgraded, reset, by Kairos's own programs.

The base comes from EDGE_BUILD_KAIROS_BASE (whatever `--base` takes), the one to upgrade to from
EDGE_BUILD_KAIROS_UPGRADE, another version of it; without that one the same base is taken again, with
another user-data. None of them can be made here or fetched in CI: without the first the module is
skipped. The tests are one story and run in this order.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.image.conftest import edge_build
from tests.kairos.conftest import VARIABLE, real_base
from tests.site import Account, Site, build_images
from tests.vm.conftest import Told
from tests.vm.harness.guest import Guest, guest
from tests.vm.harness.machine import Machine
from tests.vm.harness.process import end, start
from tests.vm.harness.segment import Segment, segment
from tests.vm.harness.waiting import wait_until

__all__ = ["real_base"]

pytestmark = [pytest.mark.vm, pytest.mark.timeout(1800)]

_UPGRADE = "EDGE_BUILD_KAIROS_UPGRADE"
_NETWORK = IPv4Network("10.93.0.0/24")
_PORT = 5000
_DISK = 24 << 30
"""Bytes; sparse. Kairos wants room for three images of the system, and for a fourth beside them."""
_MIB = 3072
_BOOT_S = 400.0
_INSTALL_S = 1500.0
_STATE = "/var/lib/edge-overlay"
_UNITS = "edge-overlay.service edge-overlay-gather.service systemd-networkd.service"
_OTHER_MTU = 1380


@dataclass
class Story:
    """What the tests tell one another about the one host."""

    host: Guest
    segment: Segment
    address: str = ""
    machine_id: str = ""
    done: set[str] = field(default_factory=set)

    def after(self, step: str) -> None:
        """This goes on where that one ended."""
        if step not in self.done:
            pytest.fail(f"the step before has failed: {step}", pytrace=False)


def _user_data(site: Site, *, install: bool, **overlay: object) -> str:
    """As on a site: the agent installs by itself, and needs a user in the group `admin`."""
    user = {
        "name": site.account.user,
        "groups": ["admin"],
        "shell": "/bin/bash",
        "ssh_authorized_keys": [site.account.key.with_suffix(".pub").read_text().strip()],
    }
    block = {"cidr": str(site.cidr), "secret": site.secret, **overlay}
    lines = ["#cloud-config", f"overlay: {json.dumps(block)}", f"users: [{json.dumps(user)}]"]
    if install:
        lines += ["install: {auto: true, device: auto, poweroff: true}"]
    return "\n".join([*lines, ""])


@pytest.fixture(scope="module")
def images(
    real_base: str, site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path]]:
    """The ISO, and the OCI archive to upgrade to; its user-data has another MTU."""
    directory = tmp_path_factory.mktemp("real")
    text = directory / "first.yaml"
    text.write_text(_user_data(site, install=True))
    words = ["--user-data", str(text), "--base", real_base, "--format", "iso"]
    [iso] = build_images(None, directory / "first", *words)
    text = directory / "second.yaml"
    text.write_text(_user_data(site, install=False, mtu=_OTHER_MTU))
    base = os.environ.get(_UPGRADE) or real_base
    words = ["--user-data", str(text), "--base", base, "--format", "oci"]
    [archive] = build_images(None, directory / "second", *words)
    yield Path(iso["where"]), Path(archive["where"])
    for made in (iso, archive):
        Path(made["where"]).unlink()


@pytest.fixture(scope="module")
def story(
    images: tuple[Path, Path],
    site: Site,
    evidence: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    """A host with an empty disk and the ISO in its drive, powered on."""
    disk = tmp_path_factory.mktemp("disk") / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(_DISK)
    key = site.account.key
    machine = Machine("real", images[0], root_key=key.with_suffix(".pub"))
    with (
        segment(evidence / "kairos", _NETWORK) as switch,
        guest(machine, switch, Account("root", key), memory_mib=_MIB, cpus=2, disk=disk) as host,
    ):
        yield Story(host, switch)
    disk.unlink()


def _kept(host: Guest, name: str, command: str) -> str:
    """What a command in the guest says; it stays as evidence too."""
    said = host.run(f"{command} 2>&1 || true", limit_s=120)
    (host.directory / f"{name}.txt").write_text(said)
    return said


def _up(host: Guest) -> dict[str, dict[str, str]] | None:
    status = host.overlay()
    return status if status.get("state") == "up" else None


def _address(host: Guest, site: Site, limit_s: float = 240.0) -> str:
    """The overlay address, once the overlay is up and every unit of ours runs."""
    status = host.wait_until("the overlay", lambda: _up(host), limit_s)
    address = str(status["overlay"]["address"])
    assert site.usable(address)
    on_bridge = host.run("ip -o -4 address show dev scbr-100")
    assert f" {address}/{site.cidr.prefixlen} " in on_bridge
    states = host.shell().try_run(f"systemctl is-active {_UNITS}").stdout.split()
    assert states == ["active"] * 3, host.run(f"systemctl --no-pager status {_UNITS} || true")
    return address


def _mode(host: Guest) -> set[str]:
    """As what immucore says the system was booted."""
    return set(host.run("ls /run/cos").split()) & {
        "active_mode",
        "autoreset_mode",
        "live_mode",
        "passive_mode",
        "recovery_mode",
    }


def test_live_by_bios_and_installed_by_itself(story: Story, site: Site, tell: Told) -> None:
    """The menu's first entry; immucore mounts the ISO's system; the agent reads /config.yaml."""
    host = story.host
    host.wait_for_shell(_BOOT_S)
    tell(f"real Kairos, live (bios, cd): SSH {host.seconds_since_power_on():.0f} s")
    assert "install-mode" in host.run("cat /proc/cmdline"), "the menu's first entry"
    assert _mode(host) == {"live_mode"}
    assert "edge-overlay" in _kept(host, "live-stages", "ls /system/oem")
    _kept(host, "live-immucore", "cat /run/immucore/*.log")
    _address(host, site)
    _kept(host, "live-journal", "journalctl --no-pager -b")
    host.wait_for_power_off(_INSTALL_S)
    tell(f"real Kairos: installed and off after {host.seconds_since_power_on():.0f} s")
    story.done.add("install")


def test_the_installed_system_keeps_its_address(story: Story, site: Site, tell: Told) -> None:
    """Its first boot from the disk claims one; the next boot has it again."""
    story.after("install")
    host = story.host
    host.power_on(iso=None)
    host.wait_for_shell(_BOOT_S)
    tell(f"real Kairos, first boot from disk: SSH {host.seconds_since_power_on():.0f} s")
    assert _mode(host) == {"active_mode"}
    story.address = _address(host, site)
    story.machine_id = host.run("cat /etc/machine-id")
    assert host.overlay()["sources"]["overlay"] == "/oem/90_custom.yaml"
    _kept(host, "first-mounts", "findmnt --noheadings --list --output TARGET,SOURCE,FSTYPE,OPTIONS")
    _kept(host, "first-journal", "journalctl --no-pager -b")
    host.reboot(limit_s=_BOOT_S)
    tell(f"real Kairos, rebooted: SSH {host.seconds_since_power_on():.0f} s")
    assert _address(host, site) == story.address
    assert host.run("cat /etc/machine-id") == story.machine_id
    story.done.add("reboot")


def test_the_user_of_the_user_data_may_log_in(story: Story, site: Site) -> None:
    story.after("reboot")
    user = Guest.shell(story.host)
    account = type(user)(user.segment, site.account, user.address)
    account.hang_up()
    assert account.run("id --user --name").strip() == site.account.user
    account.hang_up()
