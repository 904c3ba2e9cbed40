"""A wrong `overlay:` block never stops a boot, and the host says what is wrong.

This guest boots by BIOS from a USB stick: with those of test_overlay.py, that is every way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest

from tests.site import Site, build_images
from tests.vm.conftest import Told
from tests.vm.harness.guest import Guest, guest
from tests.vm.harness.machine import Machine
from tests.vm.harness.segment import segment
from tests.vm.harness.volume import cidata

pytestmark = [pytest.mark.vm, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def bare_iso() -> Iterator[Path]:
    """An ISO without user-data: all of it comes from a volume."""
    with tempfile.TemporaryDirectory(prefix="edge-test-iso-") as directory:
        [made] = build_images(None, Path(directory), "--format", "iso")
        yield Path(made["where"])


@pytest.fixture(scope="module")
def wrong(bare_iso: Path, site: Site, evidence: Path, tell: Told) -> Iterator[Guest]:
    """A host whose only `overlay:` block has an unknown key and host bits in its CIDR."""
    with segment(evidence / "bad-block", IPv4Network("10.92.0.0/24")) as switch:
        text = site.user_data(cidr="10.5.0.7/24", secrett="x")
        volume = cidata(switch.directory, "iso9660", text)
        machine = Machine("wrong", bare_iso, "bios", "usb", volumes=(volume,))
        with guest(machine, switch, site.account) as made:
            made.wait_for_shell()
            tell(f"wrong block: SSH {made.seconds_since_power_on():.0f} s after power on")
            yield made


def test_the_boot_ends_and_is_not_held_up(wrong: Guest) -> None:
    running = wrong.shell().try_run("systemctl is-system-running --wait", limit_s=120)
    failed = wrong.run("systemctl --failed --plain --no-legend").split()
    assert running.stdout.strip() in ("running", "degraded")
    assert failed[:1] in ([], ["edge-overlay.service"]), failed
    late = wrong.run("systemctl show edge-overlay --property=NRestarts,Result,ExecMainStatus")
    assert "NRestarts=0" in late and "ExecMainStatus=78" in late


def test_status_names_file_line_and_column(wrong: Guest) -> None:
    table = wrong.shell().try_run("edge-overlay status")
    assert table.returncode == 1
    text = table.stdout
    assert "cidata:/user-data:3:9: " in text and "10.5.0.7/24" in text and "10.5.0.0/24" in text
    assert "cidata:/user-data:5:3: " in text and "secrett" in text
    status = wrong.overlay()
    assert status["state"] == "error" and len(status["problems"]) >= 2


def test_no_overlay_is_half_there(wrong: Guest) -> None:
    assert wrong.shell().try_run("ip link show scbr-100").returncode != 0
