"""A real Kairos image: live, installed, rebooted, upgraded, reset, by Kairos's own programs.

The base comes from EDGE_BUILD_KAIROS_BASE (whatever `--base` takes), the one to upgrade to from
EDGE_BUILD_KAIROS_UPGRADE, another version of it; without that one the same base is taken again,
with another user-data. None of them can be made here or fetched in CI: without the first the module
is skipped. The tests are one story and run in this order.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest

from tests.image.conftest import edge_build
from tests.kairos.conftest import real_base
from tests.oci.daemon import docker_daemon
from tests.site import Account, Site
from tests.vm.conftest import Told
from tests.vm.harness.guest import Guest, guest
from tests.vm.harness.machine import Machine
from tests.vm.harness.process import end, free_port, start
from tests.vm.harness.segment import Segment, segment
from tests.vm.harness.waiting import wait_until

__all__ = ["real_base"]

pytestmark = [pytest.mark.vm, pytest.mark.timeout(3600)]

_UPGRADE = "EDGE_BUILD_KAIROS_UPGRADE"
_NETWORK = IPv4Network("10.93.0.0/24")
_PORT = 5000
_REPOSITORY = "edge/kairos"
_DISK = 24 << 30
"""Bytes; sparse. Kairos wants room for three images of the system, and for a fourth beside them."""
_MIB = 3072
_BOOT_S = 900.0
"""Two minutes on an idle machine with two cores; a loaded one took seven."""
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
    stored: str = ""
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


@dataclass(frozen=True)
class Images:
    """The ISO, and what a registry keeps of the image to upgrade to, whose user-data has another
    MTU."""

    iso: Path
    blobs: Path


@pytest.fixture(scope="module")
def images(
    real_base: str, site: Site, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Images]:
    directory = tmp_path_factory.mktemp("real")
    blobs = directory / "blobs"
    first, second = directory / "first.yaml", directory / "second.yaml"
    first.write_text(_user_data(site, install=True, live=True))
    second.write_text(_user_data(site, install=False, mtu=_OTHER_MTU))
    output: list[str | Path] = ["--output", directory / "made"]
    made = edge_build(
        "image", "--user-data", first, "--base", real_base, "--format", "iso", *output
    )
    assert made.status == 0, made.err
    assert "of use to Kairos" not in made.err
    base = os.environ.get(_UPGRADE) or real_base
    with docker_daemon() as daemon, _registry(blobs, None, directory) as host:
        tag = f"{host}/{_REPOSITORY}:2"
        words = ["--format", "oci", "--tag", tag, "--push"]
        try:
            pushed = edge_build("image", "--user-data", second, "--base", base, *words, *output)
            assert pushed.status == 0, pushed.err
        finally:
            if daemon.images.list(tag):
                daemon.images.remove(tag, force=True)
    yield Images(directory / "made" / "edge-installer.iso", blobs)
    shutil.rmtree(directory)


def _machine(name: str, iso: Path, account: Account, disk: Path | None = None) -> Machine:
    """Kairos's sshd refuses root, and its fail2ban shuts out whoever tried that too often."""
    lines = [
        "f+ /etc/ssh/sshd_config.d/01-test.conf 0644 root root - PermitRootLogin yes\\n",
        f"f+ /etc/fail2ban/jail.d/test.conf 0644 root root - [DEFAULT]\\nignoreip = {_NETWORK}\\n",
    ]
    return Machine(
        name,
        iso,
        root_key=account.key.with_suffix(".pub"),
        credentials=(("tmpfiles.extra", "\n".join([*lines, ""])),),
        memory_mib=_MIB,
        cpus=2,
        disk=disk,
    )


@pytest.fixture(scope="module")
def story(
    images: Images,
    site: Site,
    evidence: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Story]:
    """A host with an empty disk and the ISO in its drive, powered on."""
    disk = tmp_path_factory.mktemp("disk") / "disk.raw"
    with disk.open("wb") as stream:
        stream.truncate(_DISK)
    account = Account("root", site.account.key)
    with (
        segment(evidence / "kairos", _NETWORK) as switch,
        guest(_machine("real", images.iso, account, disk), switch, account) as host,
    ):
        yield Story(host, switch)
    disk.unlink()


def _kept(host: Guest, name: str, command: str, limit_s: float = 120.0) -> str:
    """What a command in the guest says; it stays as evidence too."""
    said = host.run(f"{command} 2>&1 || true", limit_s=limit_s)
    (host.directory / f"{name}.txt").write_text(said)
    return said


def _keep_log(host: Guest, name: str) -> None:
    """What the agent has written as yet, if the guest still answers."""
    answer = host.shell().try_run("cat /var/log/kairos/agent.log", limit_s=30)
    if answer.returncode == 0 and answer.stdout:
        (host.directory / f"{name}-agent.log").write_text(answer.stdout)


def _in_state(host: Guest, state: str) -> dict[str, Any] | None:
    status = host.overlay()
    return status if status.get("state") == state else None


def _address(host: Guest, site: Site, limit_s: float = 240.0) -> str:
    """The overlay address, once the overlay is up and every unit of ours runs."""
    status = host.wait_until("the overlay", lambda: _in_state(host, "up"), limit_s)
    address = str(status["overlay"]["address"])
    assert site.usable(address)
    on_bridge = host.run("ip -o -4 address show dev scbr-100")
    assert f" {address}/{site.cidr.prefixlen} " in on_bridge
    states = host.shell().try_run(f"systemctl is-active {_UNITS}").stdout.split()
    assert states == ["active"] * 3, host.run(f"systemctl --no-pager status {_UNITS} || true")
    return address


def _stored(host: Guest) -> str:
    """What the host remembers of its address, with the time at which it was claimed."""
    return host.run(f"cat {_STATE}/state.json")


def _another(site: Site, address: str) -> str:
    """An address that a host may have."""
    return next(str(a) for a in site.cidr if site.usable(str(a)) and str(a) != address)


def _store(address: str) -> str:
    """A command that changes the remembered address."""
    program = (
        "import dataclasses, ipaddress, sys; sys.path.insert(0, '/usr/lib/edge-overlay'); "
        "from overlay_runtime.paths import find_paths; "
        "from overlay_runtime.state import StateStore; "
        "paths = find_paths(); store = StateStore(paths.state_dir, paths.state_copy); "
        f"new = ipaddress.ip_address('{address}'); "
        "store.save(dataclasses.replace(store.load(), address=new))"
    )
    return f'python3 -I -c "{program}"'


def _mode(host: Guest) -> set[str]:
    """As what immucore says the system was booted."""
    return set(host.run("ls /run/cos").split()) & {
        "active_mode",
        "autoreset_mode",
        "live_mode",
        "passive_mode",
        "recovery_mode",
    }


def test_live_by_uefi_the_overlay_is_off_unless_asked_for(
    images: Images, site: Site, evidence: Path, tell: Told
) -> None:
    """Other user-data, put into the ISO afterwards: nothing is installed, and nothing comes up."""
    text, copy = images.iso.with_name("third.yaml"), images.iso.with_name("third.iso")
    text.write_text(_user_data(site, install=False))
    done = edge_build("embed", text, images.iso, "--output", copy)
    assert done.status == 0, done.err
    account = Account("root", site.account.key)
    machine = replace(_machine("uefi", copy, account), firmware="secure-boot", medium="usb")
    with (
        segment(evidence / "kairos-uefi", _NETWORK) as switch,
        guest(machine, switch, account) as host,
    ):
        host.wait_for_shell(_BOOT_S)
        tell(f"real Kairos, live (secure-boot, usb): SSH {host.seconds_since_power_on():.0f} s")
        assert "install-mode" in host.run("cat /proc/cmdline"), "the menu's first entry"
        assert _mode(host) == {"live_mode"}
        status = host.wait_until("the overlay to be off", lambda: _in_state(host, "off"), 120)
        assert "installer" in str(status["reason"]), status
        assert "scbr-100" not in host.run("ip -brief link")
    copy.unlink()


def test_live_by_bios_and_installed_by_itself(story: Story, site: Site, tell: Told) -> None:
    """The menu's first entry; immucore mounts the ISO's system; the agent reads /config.yaml."""
    host = story.host
    host.wait_for_shell(_BOOT_S)
    tell(f"real Kairos, live (bios, cd): SSH {host.seconds_since_power_on():.0f} s")
    assert "install-mode" in host.run("cat /proc/cmdline"), "the menu's first entry"
    assert _mode(host) == {"live_mode"}
    assert "edge-overlay" in _kept(host, "live-stages", "ls /system/oem")
    _kept(host, "live-immucore", "cat /run/immucore/*.log")
    story.address = _address(host, site)
    story.stored = _stored(host)
    _kept(host, "live-journal", "journalctl --no-pager -b")
    host.wait_for_power_off(_INSTALL_S, lambda: _keep_log(host, "install"))
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
    assert _address(host, site) == story.address, "the address of the live system"
    assert _stored(host) == story.stored, "and when it was claimed: nothing was claimed anew"
    story.machine_id = host.run("cat /etc/machine-id")
    assert host.overlay()["sources"]["overlay"] == "/oem/90_custom.yaml"
    _kept(host, "first-mounts", "findmnt --noheadings --list --output TARGET,SOURCE,FSTYPE,OPTIONS")
    _kept(host, "first-journal", "journalctl --no-pager -b")
    # What is claimed follows from the host's identity, and would be the same again: from now on it
    # is another one that only the stored state knows.
    story.address = _another(site, story.address)
    host.run(
        f"systemctl stop edge-overlay && {_store(story.address)} && systemctl start edge-overlay"
    )
    assert _address(host, site) == story.address
    story.stored = _stored(host)
    host.reboot(limit_s=_BOOT_S)
    tell(f"real Kairos, rebooted: SSH {host.seconds_since_power_on():.0f} s")
    assert _address(host, site) == story.address
    assert host.run("cat /etc/machine-id") == story.machine_id
    story.done.add("reboot")


def test_the_user_of_the_user_data_may_log_in(story: Story, site: Site) -> None:
    story.after("reboot")
    user = replace(story.host.shell(), account=site.account)
    user.hang_up()  # the connection that is there is root's
    assert user.run("id --user --name").strip() == site.account.user
    user.hang_up()


def test_an_upgrade_keeps_the_address(
    story: Story, images: Images, site: Site, tell: Told, evidence: Path
) -> None:
    """From a registry; the new system runs, and nothing of the old one is in its way."""
    story.after("reboot")
    host = story.host
    before = host.run("cat /etc/kairos-release")
    with _registry(images.blobs, story.segment, evidence):
        source = f"oci:{story.segment.server.ip}:{_PORT}/{_REPOSITORY}:2"
        command = f"kairos-agent upgrade --allow-insecure-registries --source {source}"
        begin = host.seconds_since_power_on()
        _kept(host, "upgrade", command, limit_s=_INSTALL_S)
        tell(f"real Kairos, upgrade: {host.seconds_since_power_on() - begin:.0f} s")
    host.reboot(limit_s=_BOOT_S)
    assert _mode(host) == {"active_mode"}
    after = host.run("cat /etc/kairos-release")
    assert (after != before) == (_UPGRADE in os.environ), after
    baked = host.run("cat /usr/lib/edge-overlay/user-data")
    assert f'"mtu": {_OTHER_MTU}' in baked, "the new image runs"
    assert _address(host, site) == story.address
    assert host.run("cat /etc/machine-id") == story.machine_id
    assert host.overlay()["sources"]["overlay"] == "/oem/90_custom.yaml"
    stale = host.run("find /etc /usr/local -xdev -iname '*edge*overlay*' -not -path '*/.state/*'")
    assert stale == "", "nothing of ours lies where an upgrade would leave it for ever"
    _kept(host, "upgraded-journal", "journalctl --no-pager -b")
    story.done.add("upgrade")


def test_a_reset_keeps_the_address(story: Story, site: Site, tell: Told) -> None:
    """Kairos's own, unattended, by the boot entry: COS_PERSISTENT is formatted, COS_OEM is kept."""
    story.after("upgrade")
    _reset(story.host, tell)
    assert story.host.run("cat /etc/machine-id") != story.machine_id, "the old one is gone"
    assert _address(story.host, site) == story.address
    story.done.add("reset")


def test_a_reset_of_oem_drops_the_address(story: Story, site: Site, tell: Told) -> None:
    """If asked (`reset-oem`), nothing is left: neither user-data nor address. The user-data of the
    image counts then, and an address is claimed as if for the first time."""
    story.after("reset")
    host = story.host
    # Kairos reads no file as configuration without the first line.
    host.run("printf '#cloud-config\\nreset: {reset-oem: true}\\n' > /oem/91_reset.yaml")
    _reset(host, tell)
    left = host.run(
        "find /oem -mindepth 1 -not -name lost+found -not -path '/oem/edge-overlay*' "
        "-not -name grubenv"
    )
    assert not left
    assert _address(host, site) != story.address
    assert host.overlay()["sources"]["overlay"] == "/usr/lib/edge-overlay/user-data"
    assert "claiming" in _kept(host, "oem-reset", "journalctl --no-pager -b -u edge-overlay")


def _reset(host: Guest, tell: Told) -> None:
    """Boot Kairos's entry that resets and reboots by itself; return when the system runs again."""
    host.run("touch /usr/local/of-the-old-system && kairos-agent bootentry --select statereset")
    host.reboot(limit_s=_BOOT_S)
    begin = host.seconds_since_power_on()
    if "autoreset_mode" in _mode(host):
        _kept(host, "reset-status", "edge-overlay status; findmnt --list; cat /proc/cmdline")
    which = "cat /run/cos/active_mode"
    host.wait_until(
        "the system after the reset",
        lambda: host.address() and host.shell().try_run(which, limit_s=20).returncode == 0,
        _INSTALL_S,
    )
    tell(f"real Kairos, reset: back after {host.seconds_since_power_on() - begin:.0f} s")
    assert host.shell().try_run("test -e /usr/local/of-the-old-system").returncode == 1


@contextmanager
def _registry(blobs: Path, switch: Segment | None, directory: Path) -> Iterator[str]:
    """Debian's docker-registry without a login, on the segment or else on the loopback."""
    address = f"{switch.server.ip if switch else '127.0.0.1'}:{_PORT if switch else free_port()}"
    storage = {"filesystem": {"rootdirectory": str(blobs)}}
    config = {"version": 0.1, "storage": storage, "http": {"addr": address}}
    path = directory / "registry.json"
    path.write_text(json.dumps(config))
    words: list[str | Path] = ["docker-registry", "serve", path]
    process = start(switch.words(*words) if switch else words, directory / "registry.log")
    try:
        wait_until(
            "the registry", lambda: "listening on" in (directory / "registry.log").read_text(), 30
        )
        yield address
    finally:
        end(process)
