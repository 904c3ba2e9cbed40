"""Hosts that claim in the same second: `python -m tests.crowd.claims HOSTS CIDR SEED…`.

On a segment that loses a fifth of all packets. What is real and what is simulated: `segment.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

from overlay_runtime.address import reserved
from overlay_runtime.config.schema import OverlayConfig
from tests.crowd.segment import Host, Segment, VirtualLoop, cached_decode

_LOSS = 0.2
_PATIENCE = 120.0


@contextlib.contextmanager
def virtual_time() -> Iterator[VirtualLoop]:
    """Make an event loop in virtual time, and have the runtime ask it for the time."""
    loop = VirtualLoop()
    with (
        mock.patch("overlay_runtime.acquire.boottime", loop.time),
        mock.patch("overlay_runtime.beacon.exchange.decode", cached_decode),
        contextlib.closing(loop),
    ):
        yield loop


def claim_all(count: int, cidr: str, directory: Path, seed: int) -> Segment:
    """Start `count` hosts within one second and wait until each holds an address."""
    random.seed(seed)  # the jitter of the schedules
    starts = random.Random(seed + 1)
    config = OverlayConfig(cidr=ipaddress.ip_network(cidr), insecure=True)

    async def start(host: Host) -> None:
        await asyncio.sleep(starts.random())
        await host.run()

    async def everybody(hosts: list[Host]) -> None:
        tasks = [asyncio.create_task(start(host)) for host in hosts]
        try:
            await asyncio.wait_for(asyncio.gather(*tasks), _PATIENCE)
        finally:
            for host in hosts:
                host.schedule.stop()

    with virtual_time() as loop:
        segment = Segment(loop, _LOSS, seed)
        hosts = [Host(n, segment, config, directory / str(n)) for n in range(1, count + 1)]
        loop.run_until_complete(everybody(hosts))
    return segment


def check(segment: Segment, cidr: str) -> None:
    """Fail unless all addresses are distinct, none is reserved, and each is stored."""
    addresses = [host.own.address for host in segment.hosts]
    assert None not in addresses
    twice = {address for address in addresses if addresses.count(address) > 1}
    assert not twice, f"held by two hosts: {twice}"
    assert not reserved(ipaddress.ip_network(cidr)) & set(addresses)
    for host in segment.hosts:
        stored = host.store.load()
        assert stored
        assert stored.address == host.own.address
        assert host.own.problems == {}


def main(count: int, cidr: str, seeds: list[int]) -> None:
    """Run once for each seed, and print figures. Seconds are virtual, but for those computed."""
    for seed in seeds:
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as directory:
            segment = claim_all(count, cidr, Path(directory), seed)
            check(segment, cidr)
        after = sorted(host.settled_at - segment.began for host in segment.hosts if host.settled_at)
        tried = [len(host.tried) for host in segment.hosts]
        print(f"{count} hosts in {cidr}, seed {seed}: all distinct and stored; median "
              f"{after[len(after) // 2]:.1f} s, last {after[-1]:.1f} s; addresses tried: mean "
              f"{sum(tried) / count:.2f}, most {max(tried)}; packets in the worst second "
              f"{max(segment.sent.values())}, of them to all {max(segment.broadcasts.values())}; "
              f"computed in {time.monotonic() - began:.0f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], [int(seed) for seed in sys.argv[3:]])
