"""Hosts on one segment in virtual time: a second of theirs lasts as long as it takes to compute.

Real: BeaconExchange, Freshness, Schedule, PeerTable, Acquisition, Claim, Detector, StateStore and
the agent's beacon. Simulated: the clock, the segment (each packet is delayed and some are lost, for
each receiver on its own), the kernels (who holds an address answers probes for it), and the agent's
rounds. The overlay carries frames from the start: forwarding entries are not simulated.
"""

from __future__ import annotations

import asyncio
import functools
import ipaddress
import random
import selectors
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from overlay_runtime import BRIDGE
from overlay_runtime.acquire import Acquisition
from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.exchange import BeaconExchange
from overlay_runtime.beacon.model import HELD, Beacon
from overlay_runtime.beacon.own import own_beacon
from overlay_runtime.beacon.rounds import interval
from overlay_runtime.beacon.schedule import Schedule
from overlay_runtime.beacon.wire import decode, derive_key
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.dad.detector import Detector
from overlay_runtime.dad.frames import announcement, read
from overlay_runtime.identity import Identity
from overlay_runtime.peers import PeerTable
from overlay_runtime.state import StateStore
from tests.unit.runtime.samples import nic

_KEY = derive_key("the secret of the segment")
_DELAYS = (0.0002, 0.005)
_BUCKETS = 4
_ROUND, _ROUND_MOST = 0.02, 0.25

# What reaches 200 hosts is the same 200 times. The agent decodes it each time, of course.
cached_decode = functools.lru_cache(maxsize=4096)(decode)


class _NoWaiting(selectors.SelectSelector):
    """Where an event loop would wait, its clock jumps."""

    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("everybody waits, and nothing will ever happen")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time is computed."""

    def __init__(self) -> None:
        self._clock = _NoWaiting()
        super().__init__(self._clock)

    def time(self) -> float:
        """Return the virtual seconds."""
        return self._clock.now


class Segment:
    """Carries what hosts send."""

    def __init__(self, loop: asyncio.AbstractEventLoop, loss: float, seed: int) -> None:
        self.loop = loop
        self.began = loop.time()
        self.hosts: list[Host] = []
        self._loss = loss
        self._random = random.Random(seed)
        self._by_address: dict[IPAddress, Host] = {}
        self.sent: Counter[int] = Counter()
        """Second → packets that were sent."""
        self.broadcasts: Counter[int] = Counter()

    def add(self, host: Host) -> None:
        """Plug a host in."""
        self.hosts.append(host)
        self._by_address[host.physical_address] = host

    def to_all(self, sender: Host, deliver: Callable[[Host], None]) -> None:
        """Call `deliver` for each host that a packet reaches, some later than others."""
        self.broadcasts[int(self.loop.time())] += 1
        self.sent[int(self.loop.time())] += 1
        reached = [h for h in self.hosts if h is not sender and self._random.random() >= self._loss]
        self._random.shuffle(reached)
        for n in range(_BUCKETS):
            self._later(functools.partial(_each, reached[n::_BUCKETS], deliver))

    def to_one(self, to: IPAddress, deliver: Callable[[Host], None]) -> None:
        """The same for the host with a physical address."""
        self.sent[int(self.loop.time())] += 1
        host = self._by_address.get(to)
        if host and self._random.random() >= self._loss:
            self._later(functools.partial(deliver, host))

    def _later(self, do: Callable[[], None]) -> None:
        self.loop.call_later(self._random.uniform(*_DELAYS), do)


def _each(hosts: Sequence[Host], deliver: Callable[[Host], None]) -> None:
    for host in hosts:
        deliver(host)


class _Sockets:
    """In the place of BeaconSockets."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def broadcast4(self, data: bytes, _index: int, _source: IPAddress) -> None:
        source = self._host.physical_address
        self._host.segment.to_all(self._host, lambda h: h.exchange.received(data, source, 2))

    def multicast6(self, _data: bytes, _index: int) -> None:
        raise AssertionError("no host here has IPv6")

    def unicast(self, data: bytes, remote: IPAddress, _nic: int | None) -> bool:
        source = self._host.physical_address
        self._host.segment.to_one(remote, lambda h: h.exchange.received(data, source, 2))
        return True


class _Eyes(Detector):
    """A detector whose frames go over the simulated overlay."""

    def __init__(self, host: Host, version: int, mac: str) -> None:
        super().__init__(version, mac, host.segment.loop.time, lambda: None)
        self._host = host

    def _send(self, frame: bytes) -> None:
        sighting = read(frame)
        assert sighting
        self._host.segment.to_all(self._host, lambda h: h.eyes.saw(sighting, self._host))

    def saw(self, sighting: Any, sender: Host) -> None:
        """Take in a frame; as the kernel does, answer a probe for an address that is in use."""
        self._noticed(sighting)
        if sighting.probe and sighting.address == self._host.own.address:
            answer = read(announcement(sighting.address, self._mac))
            self._host.segment.to_one(sender.physical_address, lambda h: h.eyes._noticed(answer))  # type: ignore[arg-type]


class Host:
    """One host: the glue of the agent, without a kernel."""

    def __init__(
        self, number: int, segment: Segment, config: OverlayConfig, directory: Path
    ) -> None:
        loop = segment.loop
        self.segment = segment
        self.config = config
        self.store = StateStore(directory)
        self.physical_address = ipaddress.IPv4Address("10.9.0.0") + number
        self._boot = f"{number:016x}"
        interface = ipaddress.IPv4Interface(f"{self.physical_address}/16")
        self.nics = (nic(v4=(interface,), ll=()),)
        self._described = (_described(self.nics[0]),)
        self.settled_at: float | None = None
        self.tried: list[IPAddress] = []
        self._round_due = False
        self._pause = _ROUND
        self.schedule = Schedule(
            self.announce, lambda: None, lambda: None, lambda: interval(len(self.table.peers))
        )
        self.own = Acquisition(
            config, self.store, lambda: Identity(f"host {number}", "given"), self._own_changed,
            lambda: self.announce(True),
        )  # fmt: skip
        identity = self.own.identity
        self.table = PeerTable(identity.host_id, identity.mac(BRIDGE), loop.time())
        self.eyes = _Eyes(self, config.cidr.version, identity.mac(BRIDGE))
        self.own.wire = self.eyes
        self.exchange = BeaconExchange(
            [_KEY], self.describe, self.table, lambda _host: self._look_again(), loop.time
        )
        self.exchange.sockets = _Sockets(self)  # type: ignore[assignment]
        self.exchange.later = loop.call_later
        segment.add(self)

    async def run(self) -> None:
        """Start, and get an address."""
        self.schedule.poke()
        await self.own.run(self.table, lambda: None)
        self.settled_at = self.segment.loop.time()

    def describe(self) -> Beacon:
        """Return the host's beacon; an address that is held must be on the disk by then."""
        beacon = own_beacon(self.config, self.own, self.table, self._described, self._boot)
        if beacon.state == HELD and self.settled_at is None:
            stored = self.store.load()
            assert stored
            assert stored.address == beacon.address
        return beacon

    def announce(self, everyone: bool) -> None:
        """Send a beacon."""
        self.exchange.announce(self.nics, (), everyone=everyone)

    def _own_changed(self) -> None:
        if not hasattr(self, "exchange"):
            return
        if self.own.claiming and self.tried[-1:] != [self.own.claiming]:
            self.tried.append(self.own.claiming)
        if self.own.address and self.eyes._own != self.own.address:
            self.eyes._own = self.own.address
            self.eyes.announce(self.own.address)
        self._look_again()
        self.schedule.poke()

    def _look_again(self) -> None:
        if not self._round_due:
            self._round_due = True
            self.segment.loop.call_later(self._pause, self._round)
            self._pause = min(self._pause * 2, _ROUND_MOST)

    def _round(self) -> None:
        self._round_due = False
        self.table.update(self.nics, self.own.address, self.segment.loop.time())


def _described(own: Any) -> Any:
    from overlay_runtime.physical import _described as describe

    return describe(own)
