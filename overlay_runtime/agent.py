"""The agent: keeps the overlay as it should be for as long as the host runs.

One round (`_round`) reads the physical side, tells the others if it changed, and corrects the
kernel. Rounds run on every event, and every 30 to 60 s in case one was missed. When the agent
ends, the kernel goes on forwarding as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import secrets
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from overlay_runtime import BRIDGE, OUR_LINKS, VXLAN4, VXLAN6
from overlay_runtime.acquire import Acquisition
from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.exchange import BeaconExchange
from overlay_runtime.beacon.own import own_beacon
from overlay_runtime.beacon.pathmtu import MAGIC as PATH_PROBE
from overlay_runtime.beacon.pathmtu import PathMtu
from overlay_runtime.beacon.rounds import interval
from overlay_runtime.beacon.schedule import Schedule, StaticPeers
from overlay_runtime.beacon.sockets import BeaconSockets
from overlay_runtime.beacon.unhurried import Unhurried
from overlay_runtime.beacon.wire import Beacon, derive_key
from overlay_runtime.config.kubernetes import Kubernetes
from overlay_runtime.config.load import Loaded
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.counters import Counters
from overlay_runtime.dad.detector import Detector
from overlay_runtime.errors import KernelError
from overlay_runtime.firewall.guard import Guard
from overlay_runtime.identity import find_identity
from overlay_runtime.inherit import inherited, known
from overlay_runtime.kernel.apply import Applier
from overlay_runtime.kernel.desired import (
    desired,
    forwarding,
    narrow_routes,
    overhead,
    overlay_mtu,
)
from overlay_runtime.kernel.events import KernelEvents
from overlay_runtime.kernel.netlink import Netlink
from overlay_runtime.obstacle import obstacle
from overlay_runtime.paths import Paths
from overlay_runtime.peer import Peer
from overlay_runtime.peers import PeerTable
from overlay_runtime.physical import Physical
from overlay_runtime.report import Teller, keep_alive, report_ready, status
from overlay_runtime.state import StateStore
from overlay_runtime.status import boottime
from overlay_runtime.status_writer import StatusWriter
from overlay_runtime.trigger import Trigger
from overlay_runtime.waiting import within

log = logging.getLogger(__name__)

_ROUND_SECONDS, _LONGEST_ROUND = 30.0, 60.0
_SHARE = 0.002
"""Of a processor, for looking whether everything is still as it should be."""

_RETRY_SECONDS = 2.0
_ASKING_SECONDS = 1.0
_SETTLING_SECONDS = 40.0
"""So long after the start, what an earlier agent set for peers not heard yet is left in place."""

_DEBOUNCE, _DEBOUNCE_MOST = 0.02, 0.25
_URGENT_LEAST = 0.001


class Agent:
    """One overlay in one network namespace."""

    def __init__(
        self, config: OverlayConfig, loaded: Loaded, paths: Paths, given: str | None
    ) -> None:
        self.config = config
        self.loaded = loaded
        self._wake = asyncio.Event()
        self._urgent = asyncio.Event()
        self._looked = asyncio.Event()
        self._boot = secrets.token_hex(8)
        self.started = boottime()
        self.round_ended = time.monotonic()
        self._next_glance = 0.0
        self.applied = False
        """Whether the kernel holds an overlay that carries packets."""
        self.mtu: int | None = None
        self._narrow: dict[str, int] = {}
        """The routes of peers whose path carries less than the others'."""
        self.socket_problem: str | None = None
        self.kernel_problem: str | None = None
        self._netlink = Netlink()
        self.physical = Physical(self._netlink, config.interface, self.started)
        self.kubernetes = Kubernetes(paths.root, config.kubernetes_ranges)
        self.applier = Applier(self._netlink)
        self.counters = self.applier.counters = Counters()
        self._teller = Teller(Path(config.metrics_file) if config.metrics_file else paths.metrics)
        self._trigger = Trigger(paths.trigger)
        self._status = StatusWriter(paths.status, lambda: status(self), self._written)
        self._schedule = Schedule(
            self._announce,
            lambda: self.exchange.retry(),
            lambda: self.exchange.tell_news(),
            lambda: interval(len(self.table.peers)),
        )
        self.static = StaticPeers(config.peers, self._schedule.poke)
        self.own = Acquisition(
            config,
            StateStore(paths.state_dir, paths.state_copy),
            lambda: find_identity(override=given),
            self._own_changed,
            lambda: self._announce(everyone=True),
        )
        identity = self.own.identity
        self.wire = Detector(
            self.own.cidr.version, identity.mac(BRIDGE), boottime, self._look_again
        )
        self.own.wire = self.wire
        self.table = PeerTable(identity.host_id, identity.mac(BRIDGE), self.started)
        keys = [derive_key(None if config.insecure else config.secret)]
        if config.previous_secret:
            keys.append(derive_key(config.previous_secret))
        self.exchange = BeaconExchange(
            keys,
            self._describe,
            self.table,
            self._peer_changed,
            boottime,
        )
        self.exchange.counters = self.counters
        self.exchange.is_ours = self._is_ours
        self.exchange.unsure = self._unsure
        self.exchange.reverted = self._reverted
        self._unhurried = Unhurried(
            self.exchange.received,
            lambda: len(self.table.peers),
            lambda seconds, do: self.exchange.later(seconds, do),
        )
        self.guard = Guard(paths.firewall, config, self._look_again)
        self._paths = PathMtu(keys, self._probe, self._path_measured, boottime)

    async def run(self) -> None:
        """Run until cancelled. Raises nothing that a later round could mend."""
        log.info("edge-overlay host=%s cidr=%s vni=%d port=%d user-data=%s",
                 self.table.own_id, self.own.cidr, self.config.vni, self.config.port,
                 self.loaded.origin)  # fmt: skip
        events = KernelEvents(self._kernel_changed, self._is_ours, self._netlink.port)
        events.counters = self.counters
        tasks = [asyncio.create_task(self._rounds()), asyncio.create_task(keep_alive(self))]
        tasks += [asyncio.create_task(self._acquire())]
        tasks += [asyncio.create_task(self._paths.run(self._full_sizes))]
        if self.config.metrics_listen:
            tasks.append(asyncio.create_task(self._teller.serve(self.config.metrics_listen)))
        self.exchange.later = asyncio.get_running_loop().call_later
        self.static.start()
        self._schedule.poke()
        self._status.write()
        try:
            # A task that ends with an error is a fault of this program: systemd starts it again.
            await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._schedule.stop()
            self.static.stop()
            self.guard.close()
            self.wire.close()
            events.close()
            if self.exchange.sockets:
                self.exchange.sockets.close()
            self._netlink.close()
            self._status.stop()

    def _written(self, status: dict[str, Any]) -> None:
        self._teller.tell(status)
        self._trigger.tell(status)

    async def _acquire(self) -> None:
        await self._looked.wait()  # before that nothing is known of the physical side
        await self.own.run(self.table, self._may_claim)

    def _path_measured(self, host: str) -> None:
        """A peer's path carries another size than was known: mostly no less than is sent there."""
        peer = self.table.peers.get(host)
        if peer and peer.address:
            own = str(peer.address)
            if narrow_routes([peer], self.mtu or 0).get(own) == self._narrow.get(own):
                self._status.changed()
                return
        self._look_again()

    def _look_again(self, urgent: bool = True) -> None:
        self._wake.set()
        if urgent:
            self._urgent.set()

    async def _rounds(self) -> None:
        loop = asyncio.get_running_loop()
        pause, quiet = _DEBOUNCE, False
        while True:
            self._wake.clear()
            self._urgent.clear()
            began, before = loop.time(), self._condition()
            try:
                self._round()
                self.kernel_problem = None
            except (KernelError, OSError) as error:
                # Links come and go under our hands; the next round sees what is there then.
                self.kernel_problem, self.applied = str(error), False
                log.warning("kernel: %s", error)
            took = loop.time() - began
            self.round_ended = time.monotonic()
            self.counters.rounds += 1
            self._looked.set()
            self._paths.look_again()
            if not quiet or self._condition() != before:
                self._status.changed()
            report_ready(self)
            # What cuts peers off is acted on at once, though with as much rest as work; a storm of
            # other events in steps that grow.
            await asyncio.sleep(max(_URGENT_LEAST, took))
            await within(self._urgent, began + pause - loop.time())
            pause = min(pause * 2, _DEBOUNCE_MOST) if self._wake.is_set() else _DEBOUNCE
            regular = min(max(_ROUND_SECONDS, took / _SHARE), _LONGEST_ROUND)
            rest = _RETRY_SECONDS if self._to_retry() else regular
            # A peer that becomes lost may free an address for another; a little after, to be sure.
            loss = self.table.next_loss(boottime()) + 0.01
            await within(self._wake, min(rest, loss))
            quiet = not self._wake.is_set() and rest < loss

    def _condition(self) -> tuple[object, ...]:
        """What a round may change in the status without an event of the kernel or of a peer."""
        return self.kernel_problem, self.applied, self.mtu, self.counters.kernel_corrections

    def _to_retry(self) -> bool:
        """Whether something failed that no event will tell the end of."""
        failed = self.kernel_problem or self.socket_problem or self.applier.problems
        return bool(failed) or (self.own.address is None and self.physical.overlap is not None)

    def _round(self) -> None:
        self._glance()
        if not self._looked.is_set():
            self.table.inherit(inherited(self._netlink, self.physical))
        now, physical = boottime(), self.physical
        before = {peer.id: peer.transport for peer in self.table.peers.values()}
        self.table.update(physical.nics, self.own.address, now)
        for peer in self.table.peers.values():
            if peer.transport != before.get(peer.id):
                self.counters.transport_changes += peer.id in before
                self._unsure(peer.transport.remote if peer.transport else None)
        if self.own.address is None and (physical.overlap or not physical.nics):
            return
        present = physical.link(BRIDGE)
        ipv6 = self.applier.ipv6
        self.mtu = overlay_mtu(
            self.config.mtu, physical.nics, ipv6, present.mtu if present else None
        )
        want = desired(
            self.config,
            self.own.identity,
            self.own.address,
            self.own.cidr.prefixlen,
            self.table.forwarded(),
            self.mtu,
            ipv6,
        )
        self._narrow = want.routes
        if physical.overlap:
            want = replace(want, routes={})  # they would win over the physical network's
        settling = known(self.table) if now - self.started < _SETTLING_SECONDS else None
        count = self.applier.apply(want, physical.links, physical.addresses, settling)
        if count:
            log.info("kernel corrected: changes=%d peers=%d", count, len(self.table.peers))
            physical.look_at_links()
        bridge = physical.link(BRIDGE)
        self.wire.attach(bridge.index if bridge else None, self.own.address)
        kept = self.applier.remotes() if settling else ()  # read by now
        self.guard.update(self.table.forwarded(), kept, physical, self.own.cidr)
        up = any(link.up and link.name in (VXLAN4, VXLAN6) for link in physical.links)
        self.applied = up and self.own.address is not None

    def _kernel_changed(self, urgent: bool) -> None:
        """The kernel told of a change. If it is of addresses, peers are told before anything else,
        as they are cut off until they know; but not for each of thousands of events."""
        began = time.monotonic()
        if urgent and began >= self._next_glance:
            with contextlib.suppress(OSError):  # the round meets it again, and tells
                self._glance()
            now = time.monotonic()
            self._next_glance = now + (now - began)
        self._look_again(urgent)

    def _glance(self) -> None:
        """Look at the physical side, and tell the others what changed."""
        moved = self.physical.look(self.own.cidr, boottime())
        self._open_sockets()
        if moved:
            self._schedule.poke()
            log.info("physical side: %s", self.physical)
        if self.physical.look_around(self.own.cidr) and not moved and self.exchange.unsent:
            self._schedule.rerouted()  # the address came first, and now perhaps the route to them

    def _peer_changed(self, host: str) -> None:
        """A beacon said something new: what is only about that peer's way is done at once."""
        if not self.applied or not self.table.settled(host):
            self._look_again()
            return
        peer = self.table.moved(host, self.physical.nics, boottime())
        if peer and peer.transport:
            self.counters.transport_changes += 1
            self._unsure(peer.transport.remote)
            self.applier.refresh(forwarding([peer], self.applier.ipv6))
            self.guard.admit(peer)
        elif self.table.acted_on(host):
            return  # a path more, or one less, that isn't in use
        self._look_again(urgent=False)

    def _unsure(self, address: IPAddress | None) -> None:
        """Ask again for the MAC address of a physical address that is another host's now."""
        if isinstance(address, ipaddress.IPv4Address):
            for index in self.physical.on_link(address):
                self.applier.forget_neighbour(index, address)

    def _full_sizes(self) -> list[tuple[Peer, int]]:
        """Return the peers in use, each with the largest packet that would be sent to it."""
        mtu, now = self.mtu, boottime()
        return [
            (peer, mtu + overhead(peer.transport))
            for peer in (self.table.forwarded() if mtu else ())
            if peer.transport and mtu and not peer.lost(now)
        ]

    def _reverted(self) -> None:
        self._boot = secrets.token_hex(8)

    def _received(self, data: bytes, source: IPAddress, ifindex: int) -> None:
        if not data.startswith(PATH_PROBE):
            self._unhurried.received(data, source, ifindex)
        elif not self._is_ours(ifindex):
            self._paths.received(data, source, ifindex)

    def _probe(self, data: bytes, remote: IPAddress, nic: int | None) -> bool:
        return bool(self.exchange.sockets and self.exchange.sockets.unicast(data, remote, nic))

    def _open_sockets(self) -> None:
        if self.exchange.sockets:
            return
        port = self.config.port + 1
        try:
            self.exchange.sockets = BeaconSockets(port, self._received)
            self.socket_problem = None
            self._schedule.poke()
        except OSError as error:
            self.socket_problem = (
                f"UDP port {port} for beacons can't be opened: {error.strerror}; peers can't be "
                "found until it is free"
            )

    def _announce(self, everyone: bool) -> None:
        # Peers that trust us would not answer by themselves, and only answers prove a new NIC.
        ask = boottime() - self.physical.changed < _ASKING_SECONDS
        self.exchange.announce(
            self.physical.nics, self.static.addresses(), everyone=everyone, ask=ask
        )

    def _describe(self) -> Beacon:
        nics = self.physical.described()
        return own_beacon(self.config, self.own, self.table, nics, self._boot)

    def _own_changed(self) -> None:
        """The own address, or what is wrong with it, changed."""
        if hasattr(self, "exchange"):
            self._look_again()
            self._schedule.poke()

    def _may_claim(self) -> str | None:
        return obstacle(self.physical, self.table, self.kubernetes, self.own.cidr, boottime())

    def _is_ours(self, ifindex: int) -> bool:
        return any(link.index == ifindex and link.name in OUR_LINKS for link in self.physical.links)
