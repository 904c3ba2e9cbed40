"""An address is for ever: whatever changes on the host, it comes from what is stored.

The clock is `time.time` put to another value: CLOCK_REALTIME can't be set for one process. No
other part of the agent asks for it (the rest is CLOCK_BOOTTIME and CLOCK_MONOTONIC).
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from overlay_runtime.acquire import Acquisition
from overlay_runtime.address import IPAddress
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.identity import Identity
from overlay_runtime.peers import PeerTable
from overlay_runtime.state import StateStore
from tests.crowd.claims import virtual_time
from tests.unit.runtime.samples import V4, beacon

_2026, _BACK_IN_1970, _BEFORE_1970 = 1.795e9, 12.5, -86400.0


def _boot(directory: Path, hardware: str, copy: Path | None = None) -> Acquisition:
    return Acquisition(
        OverlayConfig(), StateStore(directory, copy), lambda: Identity(hardware, "given"),
        lambda: None, lambda: None,
    )  # fmt: skip


def _claimed(directory: Path, hardware: str, *peers: IPAddress) -> Acquisition:
    with virtual_time() as loop:
        own = _boot(directory, hardware)
        table = PeerTable("f" * 16, "", loop.time())
        for number, address in enumerate(peers, 1):
            table.heard(beacon(number, address=address), V4("10.9.0.1"), 2, loop.time())
        loop.run_until_complete(own.run(table, lambda: None))
    return own


@pytest.mark.parametrize("first", [_2026, _BACK_IN_1970, _BEFORE_1970])
@pytest.mark.parametrize("then", [_2026, _BACK_IN_1970, _BEFORE_1970])
def test_reboot_other_board_other_nic_and_any_clock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: float, then: float
) -> None:
    monkeypatch.setattr(time, "time", lambda: first)
    own = _claimed(tmp_path, "mac:52:54:00:00:00:01")
    monkeypatch.setattr(time, "time", lambda: then)
    again = _boot(tmp_path, "mac:52:54:00:00:00:02")
    assert again.address == own.address is not None
    assert again.identity == own.identity  # so the MAC addresses of our links stay as well
    assert again.problems == {}


def test_a_stored_address_that_another_holds_now_is_kept(tmp_path: Path) -> None:
    """No host that was given an address is renumbered; peers settle whom they believe."""
    own = _claimed(tmp_path, "me")
    assert own.address
    assert _claimed(tmp_path, "me", own.address).address == own.address


def test_after_a_reset_another_is_claimed_if_it_is_taken(tmp_path: Path) -> None:
    own = _claimed(tmp_path, "me")
    assert own.address
    assert StateStore(tmp_path).clear()
    assert _claimed(tmp_path, "me").address == own.address  # by the identity
    assert StateStore(tmp_path).clear()
    assert _claimed(tmp_path, "me", own.address).address != own.address


def test_a_reset_that_leaves_the_copy_leaves_the_address(tmp_path: Path) -> None:
    """Kairos's reset: COS_PERSISTENT is formatted, COS_OEM is not."""
    persistent, oem = tmp_path / "persistent", tmp_path / "oem"
    own = _claimed(persistent, "me")  # by a version that knew of no copy
    again = _boot(persistent, "me", oem)
    assert again.address == own.address
    shutil.rmtree(persistent)
    after = _boot(persistent, "other board", oem)
    assert after.address == own.address is not None
    assert after.identity == own.identity
    assert after.problems == {}
    shutil.rmtree(oem)
    assert _boot(persistent, "other board", oem).address == own.address, "stored anew"
    assert (oem / "state.json").exists()


def test_a_copy_that_fails_is_a_problem_and_no_more(tmp_path: Path) -> None:
    own = _claimed(tmp_path / "state", "me")
    (tmp_path / "oem").write_text("a file in the way")
    again = _boot(tmp_path / "state", "me", tmp_path / "oem")
    assert again.address == own.address
    assert "copy" in again.problems["copy"]
