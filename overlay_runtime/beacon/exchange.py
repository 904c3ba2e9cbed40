"""Sends this host's beacons and takes in those of others: discovery by broadcast.

Another engine (EVPN) would take this module's place: it fills the same peer table.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.answers import Answers
from overlay_runtime.beacon.freshness import CONTEST_SECONDS, Freshness, Verdict
from overlay_runtime.beacon.gossip import Gossip
from overlay_runtime.beacon.noticed import Noticed
from overlay_runtime.beacon.rounds import Rounds
from overlay_runtime.beacon.sockets import BeaconSockets
from overlay_runtime.beacon.wire import BadBeacon, Beacon, MalformedBeacon, decode, encode
from overlay_runtime.counters import Counters
from overlay_runtime.peer import Peer, Transport
from overlay_runtime.peers import MAX_PEERS, PeerTable
from overlay_runtime.recent import Recent
from overlay_runtime.transport import alternatives
from overlay_runtime.underlay import Nic

log = logging.getLogger(__name__)


class BeaconExchange:
    """One host's side of the conversation. `describe` returns its present beacon, without seq."""

    def __init__(
        self,
        keys: Sequence[bytes],
        describe: Callable[[], Beacon],
        table: PeerTable,
        changed: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:
        """The first of `keys` is the present secret's, a second one the previous secret's.
        `changed` is told the host id of a peer that came or changed; `clock` returns seconds
        (BOOTTIME)."""
        self._keys = keys
        self._describe = describe
        self._table = table
        self._changed = changed
        self._clock = clock
        self._me = describe()
        """For what never changes: host id, range, VNI, port; and the boot nonce."""
        self._own_boot = self._me.boot
        self._freshness = Freshness(self._own_boot)
        self._seq = 0
        self._rounds = Rounds(table)
        self._gossip = Gossip(table, clock)
        self._contested: Recent[str, float] = Recent(MAX_PEERS)
        self._answers = Answers(self._me.host)
        self.noticed = Noticed(clock)
        self.sockets: BeaconSockets | None = None
        self.is_ours: Callable[[int], bool] = lambda _ifindex: False
        self.unsure: Callable[[IPAddress], None] = lambda _address: None
        """Called before a host is answered that isn't known at this address: what the ARP cache
        says of it may be about another."""
        self.later: Callable[[float, Callable[[], None]], object] = lambda _seconds, _do: None
        """Does something after some seconds."""
        self.reverted: Callable[[], None] = lambda: None
        """Called when this machine was put back to an earlier state of its memory (a snapshot):
        `describe` must have a new boot nonce after it."""
        self.unsent: set[IPAddress] = set()
        """Whom the last announcement missed, for want of a route: see `retry`."""
        self.counters = Counters()

    def duplicates(self) -> dict[str, str]:
        """Return host id → name of the machines that use another one's identity, or ours."""
        return self.noticed.twins() | self._freshness.duplicates(self._clock())

    def announce(
        self, nics: Iterable[Nic], static: Iterable[IPAddress], *, everyone: bool, ask: bool = False
    ) -> None:
        """Send a beacon to every segment, to static peers, and by unicast to known peers.

        `everyone`: something changed. `ask` makes them answer: so that what they say is heard on a
        new NIC too.
        """
        if self.sockets is None:
            return
        nics = list(nics)
        beacon = replace(self._describe(), ask=ask)
        self.unsent = set()
        now = self._clock()
        # First what reaches a whole segment at once: 200 directed beacons take milliseconds.
        self._to_segments(replace(beacon, to_all=True), nics)
        peers = self._rounds.next(now, everyone=everyone)
        for peer in peers:
            if peer.transport and not self._send_to(peer, beacon, peer.transport):
                self.unsent.add(peer.transport.remote)
            for path in alternatives(peer, nics, now):
                self._send_to(peer, beacon, path)
        known = self._table.peers.values()
        reached = {peer.transport.remote for peer in known if peer.transport}
        for remote in static:
            if remote not in reached and not self._to_stranger(beacon, remote):
                self.unsent.add(remote)

    def tell_news(self) -> None:
        """Tell peers at once that we no longer hear them on a path, or hear them again: they can't
        see that by themselves. For few peers the regular beacons do it. Call it every second."""
        now = self._clock()
        news = self._rounds.news(now)
        if not news:
            return
        beacon = self._describe()
        for peer in news:
            if peer.transport:
                deaf = not peer.hears_all(now)
                self._send_to(peer, replace(beacon, ask=deaf), peer.transport)

    def retry(self) -> None:
        """Send to those that the last announcement missed, and to nobody else."""
        missed, self.unsent = self.unsent, set()
        beacon = self._describe()
        for peer in self._table.peers.values():
            if peer.transport and peer.transport.remote in missed:
                missed.remove(peer.transport.remote)
                if not self._send_to(peer, beacon, peer.transport):
                    self.unsent.add(peer.transport.remote)
        # What is left are static peers that never answered, and addresses no peer has any longer.
        left = (r for r in missed if r.version == 4 or not r.is_link_local)
        self.unsent |= {remote for remote in left if not self._to_stranger(beacon, remote)}

    def received(self, data: bytes, source: IPAddress, ifindex: int) -> None:
        """Take in a datagram. Never raises: whatever it is, it came from outside."""
        if self.is_ours(ifindex):
            return  # the overlay must not discover itself through itself
        self.counters.beacons_received += 1
        try:
            beacon = decode(data, *self._keys)
        except BadBeacon as error:
            self._refused(error, source)
            return
        own = self._me
        if beacon.host == own.host and beacon.boot == own.boot:
            self._reverted_to(beacon)
            return  # our own broadcast
        if beacon.echo not in (None, own.boot):  # what is said to another host isn't about us
            beacon = replace(
                beacon, echo=None, yours=None, heard=(), hears_all=False, seen=None, others=()
            )
        verdict = self._freshness.judge(beacon, self._clock())
        self.counters.beacons_stale += verdict is not Verdict.FRESH
        self._act(verdict, own, beacon, source, ifindex)

    def _act(
        self, verdict: Verdict, own: Beacon, beacon: Beacon, source: IPAddress, ifindex: int
    ) -> None:
        if verdict is Verdict.FRESH:
            if beacon.seen is not None and beacon.seen > self._seq:
                self._start_again()
            else:
                self._believe(own, beacon, source, ifindex)
            if beacon.ask:
                self._answer(beacon, source, ifindex, ask=False)
        elif verdict is Verdict.UNPROVEN:
            self._ask(beacon, source, ifindex)
        elif verdict is Verdict.CONTESTED:
            self._contest(beacon, source, ifindex)
        elif verdict is Verdict.REVERTED:
            self._answer(beacon, source, ifindex, ask=False)
        elif verdict is Verdict.LATE and self._table.heard_path(
            beacon, source, ifindex, self._clock()
        ):
            self._changed(beacon.host)

    def _believe(self, own: Beacon, beacon: Beacon, source: IPAddress, ifindex: int) -> None:
        now = self._clock()
        if beacon.host == own.host:
            if self.noticed.twin(beacon):
                self._changed(beacon.host)
            return
        why = _mismatch(own, beacon)
        if why:
            changed = self._table.reject(beacon, why, now)
        else:
            changed = self._table.heard(beacon, source, ifindex, now)
            if beacon.others:
                self._meet_strangers(beacon)
        if changed:
            self._changed(beacon.host)

    def _meet_strangers(self, beacon: Beacon) -> None:
        present = self._describe()
        for address in self._gossip.strangers(beacon, present):
            self._to_stranger(present, address)

    def _ask(self, beacon: Beacon, source: IPAddress, ifindex: int) -> None:
        """Ask a stranger for a sign of life, or wait a moment for its own question."""
        wait = 0.0 if beacon.ask else self._answers.wait(beacon, self._clock())

        def ask() -> None:
            if not wait or self._freshness.trusted_boot(beacon.host) != beacon.boot:
                self._answer(beacon, source, ifindex, ask=True)

        if wait:
            self.later(wait, ask)
        else:
            ask()

    def _answer(
        self, beacon: Beacon, source: IPAddress, ifindex: int, *, ask: bool, limited: bool = True
    ) -> None:
        now = self._clock()
        # Only to where the signed body says the host is: a forged source is no mirror.
        if self.sockets is None or not _lists(beacon, source):
            return
        if not ask and self._answers.needless(beacon, source, now):
            return
        if not self._answers.allow(beacon, source, now, limited=limited):
            self.counters.beacons_dropped += 1
            return
        known = self._table.peers.get(beacon.host)
        if ask and isinstance(source, ipaddress.IPv4Address):
            self.unsure(source)
        heard = _heard(known, now)
        if isinstance(source, ipaddress.IPv6Address) and source.is_link_local:
            heard |= {ipaddress.IPv6Address(int(source))}
        believed = self._freshness.trusted_boot(beacon.host) == beacon.boot
        answer = replace(
            self._describe(), echo=beacon.boot, ask=ask, yours=known.address if known else None,
            heard=tuple(sorted(heard)), hears_all=known is not None and known.hears_all(now),
            seen=self._freshness.newest(beacon.host) if believed else None,
        )  # fmt: skip
        self.sockets.unicast(self._sealed(answer, beacon.key), source, ifindex)

    def _contest(self, beacon: Beacon, source: IPAddress, ifindex: int) -> None:
        """Ask the machine that is believed whether it still lives, then the other one again."""
        now = self._clock()
        if now - self._contested.get(beacon.boot, float("-inf")) < 2 * CONTEST_SECONDS:
            return
        self._contested.put(beacon.boot, now)
        self._ask_everywhere(beacon.host)
        self.later(CONTEST_SECONDS / 2, lambda: self._ask_everywhere(beacon.host))
        self.later(
            CONTEST_SECONDS * 1.1,
            lambda: self._answer(beacon, source, ifindex, ask=True, limited=False),
        )

    def _ask_everywhere(self, host: str) -> None:
        peer = self._table.peers.get(host)
        if peer and peer.transport:
            own = replace(self._describe(), ask=True)
            self._send_to(peer, own, peer.transport)
            for address in (a for nic in peer.beacon.nics for a in nic.routed):
                self._send_to(peer, own, Transport(address))

    def _reverted_to(self, own: Beacon) -> None:
        """Our own beacon came back to us. One that we have not sent yet was sent before this
        machine was put back to a snapshot."""
        if own.seq > self._seq:
            self._start_again()

    def _start_again(self) -> None:
        """Become another boot: what peers have seen of this one is ahead of us."""
        log.warning("this machine was put back to an earlier state: its beacons begin anew")
        self.reverted()
        self._me = self._describe()
        self._own_boot = self._me.boot
        self._freshness = Freshness(self._own_boot)
        self._seq = 0
        self._changed("")

    def _refused(self, error: BadBeacon, source: IPAddress) -> None:
        if isinstance(error, MalformedBeacon):
            self.counters.beacons_malformed += 1
            self.noticed.malformed(source, error)
        else:
            self.counters.beacons_bad += 1
            self.noticed.foreign(source)
        log.debug("datagram from %s refused: %s", source, error)

    def _to_segments(self, beacon: Beacon, nics: Sequence[Nic]) -> None:
        """Broadcast, signed with each of our secrets: whoever knows both takes the first only."""
        assert self.sockets is not None
        for nic in nics:
            for which in range(len(self._keys)):
                if nic.v4:
                    data = self._sealed(beacon, which, again=which > 0)
                    self.sockets.broadcast4(data, nic.index, nic.v4[0].ip)
            for which in range(len(self._keys)):
                if nic.ll:
                    data = self._sealed(beacon, which, again=which > 0)
                    self.sockets.multicast6(data, nic.index)

    def _send_to(self, peer: Peer, beacon: Beacon, path: Transport) -> bool:
        now = self._clock()
        heard, hears_all = tuple(sorted(_heard(peer, now))), peer.hears_all(now)
        self._rounds.told(peer, (heard, hears_all))
        boot = self._freshness.trusted_boot(peer.id)
        directed = replace(
            beacon, echo=boot, yours=peer.address, heard=heard, hears_all=hears_all,
            others=self._gossip.others_for(peer),
        )  # fmt: skip
        return self._unicast(directed, peer.beacon.key, path.remote, path.via)

    def _to_stranger(self, beacon: Beacon, remote: IPAddress) -> bool:
        sent = [self._unicast(beacon, which, remote) for which in range(len(self._keys))]
        return all(sent)

    def _unicast(
        self, beacon: Beacon, which: int, remote: IPAddress, nic: int | None = None
    ) -> bool:
        data = self._sealed(beacon, which)
        return self.sockets is not None and self.sockets.unicast(data, remote, nic)

    def _sealed(self, beacon: Beacon, which: int, *, again: bool = False) -> bytes:
        """Sign with one of our secrets; `again`: under the number of the one before."""
        self._seq += not again
        self.counters.beacons_sent += 1
        return encode(replace(beacon, seq=self._seq), self._keys[min(which, len(self._keys) - 1)])


def _heard(peer: Peer | None, now: float) -> set[ipaddress.IPv6Address]:
    return {address for _, address in peer.heard_lately(now)} if peer else set()


def _lists(beacon: Beacon, source: IPAddress) -> bool:
    return any(source in (*nic.v4, *nic.ll, *nic.v6) for nic in beacon.nics)


def _mismatch(own: Beacon, other: Beacon) -> str | None:
    """Say why a host that knows the secret can't be in the same overlay, or None."""
    for what in ("cidr", "vni", "port"):
        theirs, ours = getattr(other, what), getattr(own, what)
        if theirs != ours:
            return f"it has {what} {theirs}, this host has {ours}"
    return None
