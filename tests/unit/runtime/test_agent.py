"""The agent's own life: what it tells, how long it waits, when it gives up."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from overlay_runtime import acquire, report
from overlay_runtime.acquire import Acquisition
from overlay_runtime.beacon.own import own_beacon
from overlay_runtime.config.kubernetes import Kubernetes
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.identity import Identity
from overlay_runtime.notify import notify
from overlay_runtime.obstacle import obstacle
from overlay_runtime.peers import PeerTable
from overlay_runtime.state import StateStore
from overlay_runtime.status import boottime
from tests.unit.runtime.samples import V4, beacon, nic

NOWHERE = Path("/nonexistent")


def test_a_claim_is_repeated_until_it_is_decided(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acquire, "_REPEAT_SECONDS", 0.01)
    monkeypatch.setattr(acquire, "ANNOUNCE_SECONDS", 0.3)
    repeats: list[int] = []
    own = Acquisition(
        OverlayConfig(),
        StateStore(tmp_path),
        lambda: Identity("me", "given"),
        lambda: None,
        lambda: repeats.append(1),
    )
    asyncio.run(own.run(PeerTable("f" * 16, ""), lambda: None))
    assert own.address
    assert len(repeats) >= 3


def _may_claim(
    since: float, table: PeerTable | None = None, range_: str = "10.0.0.0/24", **changes: Any
) -> str | None:
    fields = {"nics": (nic(v4=()),), "reachable": boottime() - since, "overlap": None, **changes}
    physical: Any = SimpleNamespace(**fields)
    cidr = ipaddress.ip_network(range_)
    table = table or PeerTable("f" * 16, "")
    return obstacle(physical, table, Kubernetes(NOWHERE, None), cidr, boottime())


def test_a_first_claim_waits_for_dhcp_and_for_the_switch() -> None:
    known = PeerTable("f" * 16, "")
    known.heard(beacon(), V4("10.9.0.1"), 2, 0.0)
    assert _may_claim(0, nics=(nic(),)) is None
    assert "IPv4" in (_may_claim(38) or "")  # spanning tree keeps the port shut for 30 s
    assert _may_claim(41) is None
    assert "IPv4" in (_may_claim(14, table=known) or "")
    assert _may_claim(16, table=known) is None


def test_no_claim_in_a_range_of_kubernetes() -> None:
    assert _may_claim(0, nics=(nic(),), range_="10.42.7.0/24") == (
        "the overlay's range 10.42.7.0/24 overlaps 10.42.0.0/16, the default range of k3s and rke2 "
        "for pods; set another `cidr`, or `kubernetes-ranges` if Kubernetes uses other ranges than "
        "its defaults"
    )


@pytest.mark.parametrize(("since", "alive"), [(110.0, True), (130.0, False)])
def test_the_watchdog_watches_the_rounds(
    since: float, alive: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(report, "notify", lambda *lines: told.extend(lines))
    monkeypatch.setattr(report, "watchdog_interval", lambda: 30.0)
    stub: Any = SimpleNamespace(
        round_ended=time.monotonic() - since, applied=True,
        own=SimpleNamespace(address="10.0.0.1"),
    )  # fmt: skip

    async def once() -> None:
        task = asyncio.create_task(report.keep_alive(stub))
        await asyncio.sleep(0.01)
        task.cancel()

    asyncio.run(once())
    assert ("WATCHDOG=1" in told) is alive


@pytest.mark.timeout(5)
def test_a_manager_that_does_not_read_holds_nothing_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        for _ in range(2000):
            notify("WATCHDOG=1")


def test_the_host_name_of_the_moment_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    own: Any = SimpleNamespace(
        cidr=beacon().cidr, address=None, claiming=None, identity=Identity("me", "given")
    )
    table = PeerTable("f" * 16, "")
    for name in ("localhost", "site-7"):
        monkeypatch.setattr(socket, "gethostname", lambda name=name: name)
        assert own_beacon(OverlayConfig(), own, table, (), "0" * 16).name == name
