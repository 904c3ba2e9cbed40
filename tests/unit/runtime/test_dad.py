"""Frames of duplicate address detection, read and written; and what a claim makes of them."""

from __future__ import annotations

import asyncio
import ipaddress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay_runtime import acquire
from overlay_runtime.acquire import Acquisition
from overlay_runtime.address import IPAddress, candidates
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.dad.frames import Sighting, announcement, probe, read
from overlay_runtime.identity import Identity
from overlay_runtime.peers import PeerTable
from overlay_runtime.state import StateStore

MAC = "02:11:22:33:44:55"
ADDRESSES = [ipaddress.ip_address("100.64.192.77"), ipaddress.ip_address("fd00::1:2:3")]

# As arping and ndisc6 write them, taken down by tcpdump.
ARP_PROBE = bytes.fromhex(
    "ffffffffffff021122334455" "0806" "0001080006040001" "021122334455" "00000000"
    "000000000000" "6440c04d"
)  # fmt: skip


@pytest.mark.parametrize("address", ADDRESSES)
def test_what_is_written_is_read(address: IPAddress) -> None:
    assert read(probe(address, MAC)) == Sighting(address, MAC, probe=True)
    assert read(announcement(address, MAC)) == Sighting(address, MAC, probe=False)


def test_an_arp_probe_is_byte_for_byte_rfc_5227() -> None:
    assert probe(ADDRESSES[0], MAC) == ARP_PROBE


def test_a_broken_checksum_and_hop_limit_are_no_neighbor_discovery() -> None:
    frame = bytearray(announcement(ADDRESSES[1], MAC))
    frame[-1] ^= 1
    assert read(bytes(frame)) is None
    frame = bytearray(announcement(ADDRESSES[1], MAC))
    frame[14 + 7] = 64  # it came through a router
    assert read(bytes(frame)) is None


@given(st.binary(max_size=120))
def test_any_bytes_are_read_without_an_error(data: bytes) -> None:
    read(data)
    for start in (ARP_PROBE[:14], announcement(ADDRESSES[1], MAC)[:54]):
        read(start + data)


class _Wire:
    """A wire on which the first candidate answers, after some probes."""

    def __init__(self, taken: dict[IPAddress, str]) -> None:
        self.taken = taken
        self.probed: list[IPAddress] = []

    def probe(self, address: IPAddress) -> None:
        self.probed.append(address)

    def user(self, address: IPAddress, claiming: frozenset[str]) -> str | None:
        mac = self.taken.get(address) if address in self.probed else None
        return None if mac in claiming else mac


def _acquisition(directory: Path, config: OverlayConfig, wire: _Wire) -> Acquisition:
    own = Acquisition(
        config, StateStore(directory), lambda: Identity("me", "given"), lambda: None, lambda: None
    )
    own.wire = wire
    return own


def test_an_address_that_answers_is_not_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acquire, "ANNOUNCE_SECONDS", 0.4)
    monkeypatch.setattr(acquire, "PROBES_AT", (0.05, 0.1, 0.15))
    config = OverlayConfig()
    walk = candidates("me", config.cidr)
    first, second = next(walk), next(walk)
    wire = _Wire({first: "02:66:00:00:00:01"})
    own = _acquisition(tmp_path, config, wire)
    asyncio.run(own.run(PeerTable("f" * 16, ""), lambda: None))
    assert own.address == second
    assert wire.probed == [first, second, second, second]


def test_a_configured_address_that_answers_is_refused_with_the_mac(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acquire, "ANNOUNCE_SECONDS", 0.4)
    config = OverlayConfig(address=ADDRESSES[0])
    own = _acquisition(tmp_path, config, _Wire({ADDRESSES[0]: "02:66:00:00:00:01"}))

    async def some_time() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(own.run(PeerTable("f" * 16, ""), lambda: None), 1.0)

    asyncio.run(some_time())
    assert own.address is None
    assert "02:66:00:00:00:01 uses it" in own.problems["claim"]


def test_nothing_is_used_before_it_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(acquire, "ANNOUNCE_SECONDS", 0.1)
    monkeypatch.setattr(acquire, "_STORE_AGAIN", 0.05)
    directory = tmp_path / "state"
    directory.write_text("a file where the directory should be")
    own = _acquisition(directory, OverlayConfig(), _Wire({}))

    async def some_time() -> None:
        task = asyncio.create_task(own.run(PeerTable("f" * 16, ""), lambda: None))
        async with asyncio.timeout(10):
            while "state" not in own.problems:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.2)
        assert own.address is None
        assert "can't be stored" in own.problems["state"]
        directory.unlink()
        await asyncio.wait_for(task, 2)

    asyncio.run(some_time())
    assert own.address is not None
    stored = StateStore(directory).load()
    assert stored and stored.address == own.address
    assert "state" not in own.problems


def test_who_could_not_listen_claims_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acquire, "ANNOUNCE_SECONDS", 0.4)
    own = _acquisition(tmp_path, OverlayConfig(), _Wire({}))

    async def starved() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        task = asyncio.create_task(own.run(PeerTable("f" * 16, ""), lambda: None))
        await asyncio.sleep(0.2)
        import time

        time.sleep(0.6)  # the whole process stands still
        await asyncio.wait_for(task, 2)
        return loop.time() - began

    assert asyncio.run(starved()) > 0.2 + 0.6 + 0.35
