"""ISOs of the miniature Kairos base: booted by BIOS from CD and by UEFI from a USB stick.

What boots here is Debian's dracut and systemd with Kairos's layout and kernel command line, and
our layer on top; none of Kairos's own programs. The menu's first entry is taken, as on site.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.image.conftest import edge_build
from tests.kairos.images import layout
from tests.kairos.miniature import miniature_base
from tests.site import Account, Site, build_images
from tests.vm.conftest import Told
from tests.vm.harness.guest import Guest, guest
from tests.vm.harness.machine import Firmware, Machine, Medium
from tests.vm.harness.segment import segment

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

_OTHER_MTU = 1380
_UNITS = "edge-overlay.service edge-overlay-gather.service systemd-networkd.service"


@pytest.fixture(scope="module")
def kairos_iso(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    directory = tmp_path_factory.mktemp("kairos")
    base = layout(directory / "base", miniature_base())
    user_data = directory / "user-data.yaml"
    user_data.write_text(site.user_data(live=True))
    words = ["--user-data", str(user_data), "--base", f"oci:{base}", "--format", "iso"]
    [made] = build_images(None, directory, *words)
    iso = Path(made["where"])
    yield iso
    iso.unlink()


@pytest.fixture(scope="module")
def embedded_iso(kairos_iso: Path, site: Site) -> Iterator[Path]:
    """A copy with another user-data in /config.yaml; in its file system the first one stays."""
    copy, text = kairos_iso.with_name("embedded.iso"), kairos_iso.with_name("other.yaml")
    text.write_text(site.user_data(live=True, mtu=_OTHER_MTU))
    done = edge_build("embed", text, kairos_iso, "--output", copy)
    assert done.status == 0, done.err
    yield copy
    copy.unlink()


@pytest.mark.parametrize(
    ("name", "firmware", "medium"),
    [("kai", "bios", "cd"), ("ros", "uefi", "usb"), ("sec", "secure-boot", "usb")],
)
def test_the_overlay_is_up_on_a_live_boot(
    kairos_iso: Path,
    site: Site,
    evidence: Path,
    tell: Told,
    name: str,
    firmware: Firmware,
    medium: Medium,
) -> None:
    key = site.account.key
    machine = Machine(name, kairos_iso, firmware, medium, root_key=key.with_suffix(".pub"))
    with (
        segment(evidence / name, IPv4Network("10.93.0.0/24")) as switch,
        guest(machine, switch, Account("root", key)) as host,
    ):
        host.wait_for_shell()
        tell(f"{name} ({firmware}, {medium}): SSH {host.seconds_since_power_on():.0f} s")
        _is_up(host, site)
        assert "install-mode" in host.run("cat /proc/cmdline"), "the menu's first entry"
        _runs(host)
        seen = host.run("networkctl --json=short list")
        links = {
            link["Name"]: link["AdministrativeState"] for link in json.loads(seen)["Interfaces"]
        }
        assert links["scbr-100"] == "unmanaged", links
        config = host.run("cat /run/initramfs/live/config.yaml")
        assert config == site.user_data(live=True)
        assert host.run("cat /usr/lib/edge-overlay/user-data") == config
        assert "up" in host.run("edge-overlay status")


@pytest.mark.parametrize(
    ("name", "firmware", "medium"), [("emb", "bios", "cd"), ("bed", "uefi", "usb")]
)
def test_embedded_user_data_counts(
    embedded_iso: Path,
    site: Site,
    evidence: Path,
    tell: Told,
    name: str,
    firmware: Firmware,
    medium: Medium,
) -> None:
    key = site.account.key
    machine = Machine(name, embedded_iso, firmware, medium, root_key=key.with_suffix(".pub"))
    with (
        segment(evidence / name, IPv4Network("10.93.0.0/24")) as switch,
        guest(machine, switch, Account("root", key)) as host,
    ):
        host.wait_for_shell()
        tell(f"{name} ({firmware}, {medium}, embedded): {host.seconds_since_power_on():.0f} s")
        _is_up(host, site)
        _runs(host)
        assert f" mtu {_OTHER_MTU} " in host.run("ip -o link show dev scbr-100")
        assert host.overlay()["sources"]["overlay"] == "/run/initramfs/live/config.yaml"


def _runs(host: Guest) -> None:
    """Every unit of ours ended or runs as it should, by what systemd says of them."""
    states = host.shell().try_run(f"systemctl is-active {_UNITS}").stdout.split()
    assert states == ["active"] * 3, host.run(f"systemctl --no-pager status {_UNITS} || true")


def _is_up(host: Guest, site: Site) -> None:
    status = host.wait_until("the overlay", lambda: _up(host), 90)
    address = status["overlay"]["address"]
    assert site.usable(str(address))
    on_bridge = host.run("ip -o -4 address show dev scbr-100")
    assert f" {address}/{site.cidr.prefixlen} " in on_bridge


def _up(host: Guest) -> dict[str, dict[str, str]] | None:
    status = host.overlay()
    return status if status.get("state") == "up" else None
