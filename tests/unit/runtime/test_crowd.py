"""Many hosts that claim at once, in virtual time; and claims that are disturbed late."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest

from overlay_runtime.acquire import Acquisition
from overlay_runtime.address import IPAddress, candidates
from overlay_runtime.claim import ANNOUNCE_SECONDS
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.identity import Identity
from overlay_runtime.peers import PeerTable
from overlay_runtime.state import StateStore
from tests.crowd.claims import check, claim_all, virtual_time
from tests.unit.runtime.samples import CIDR, V4, beacon


@pytest.mark.timeout(120)
def test_a_range_is_filled_to_the_last_address_in_one_go(tmp_path: Path) -> None:
    """A fifth of all packets is lost; hundreds of hosts: `make claims`."""
    segment = claim_all(61, "100.64.192.0/26", tmp_path, 1)
    check(segment, "100.64.192.0/26")
    assert len({host.own.address for host in segment.hosts}) == 64 - 3
    assert max(len(host.tried) for host in segment.hosts) > 2  # they did get into each other's way


@pytest.mark.timeout(300)
def test_two_hundred_hosts_that_start_in_one_second_are_no_storm(tmp_path: Path) -> None:
    """They have to prove themselves to each other: 19,900 pairs, two packets each at best."""
    segment = claim_all(200, "100.64.192.0/23", tmp_path, 1)
    check(segment, "100.64.192.0/23")
    assert max(segment.sent.values()) < 80_000
    assert sum(segment.sent.values()) < 100_000


@pytest.mark.parametrize("late", [1.43, 1.48, 1.52, 1.53, 1.58])
def test_an_objection_in_the_last_moment_begins_the_whole_time_again(
    tmp_path: Path, late: float
) -> None:
    """It is looked every 0.05 s: 1.52 comes between the last two looks."""
    first, second = itertools.islice(candidates("me", CIDR), 2)
    with virtual_time() as loop:
        claimed: dict[IPAddress, float] = {}

        def changed() -> None:
            if own.claiming:
                claimed.setdefault(own.claiming, loop.time())

        own = Acquisition(
            OverlayConfig(), StateStore(tmp_path), lambda: Identity("me", "given"), changed,
            lambda: None,
        )  # fmt: skip
        table = PeerTable("f" * 16, "", loop.time())

        async def claim() -> None:
            holder = beacon(1, address=first)
            loop.call_later(late, table.heard, holder, V4("10.9.0.1"), 2, loop.time())
            await asyncio.wait_for(own.run(table, lambda: None), 10)

        loop.run_until_complete(claim())
        assert own.address == (second if late < 1.55 else first)
        assert loop.time() - claimed[own.address] >= ANNOUNCE_SECONDS
