"""Hosts in different segments tell each other of third ones, which their broadcasts don't reach.

So it is enough if one host of a segment lists one of another as a peer.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.body import MAX_OTHERS
from overlay_runtime.beacon.freshness import RateLimit
from overlay_runtime.beacon.model import Beacon
from overlay_runtime.peer import Peer
from overlay_runtime.peers import PeerTable
from overlay_runtime.recent import Recent

_FEW = 64
_TRY_AGAIN = 30.0
_TRIES = (8.0, 32.0)
"""A second, and at once: a host of the cluster that lies makes no flood."""


class Gossip:
    """One host's share of it. `clock` returns seconds."""

    def __init__(self, table: PeerTable, clock: Callable[[], float]) -> None:
        self._table = table
        self._clock = clock
        self._turn = 0
        self._tried: Recent[IPAddress, float] = Recent(1024)
        self._tries = RateLimit(*_TRIES)

    def others_for(self, peer: Peer) -> tuple[IPAddress, ...]:
        """Return addresses of some other hosts, in turn, for a peer that hears no broadcasts."""
        if peer.hears_us is not None or peer.transport is None or peer.transport.via is not None:
            return ()
        if len(self._table.peers) > _FEW and not peer.deaf(self._clock()):
            return ()  # hundreds that just started have told nothing yet
        others = [
            address
            for other in self._table.peers.values()
            if other is not peer
            for address in _first_routed(other)
        ]
        if len(others) <= MAX_OTHERS:
            return tuple(others)
        self._turn = (self._turn + MAX_OTHERS) % len(others)
        return tuple(itertools.islice(itertools.cycle(others), self._turn, self._turn + MAX_OTHERS))

    def strangers(self, beacon: Beacon, own: Beacon) -> list[IPAddress]:
        """Return which of the addresses in a trusted beacon belong to nobody who is known: a
        beacon should be sent there."""
        known = {a for peer in self._table.peers.values() for a in _routed(peer.beacon)}
        known.update(_routed(own))
        now = self._clock()
        found = []
        for address in beacon.others:
            lately = now - self._tried.get(address, float("-inf")) < _TRY_AGAIN
            if address not in known and not lately and self._tries.allow(now):
                self._tried.put(address, now)
                found.append(address)
        return found


def _routed(beacon: Beacon) -> Iterable[IPAddress]:
    return (address for nic in beacon.nics for address in nic.routed)


def _first_routed(peer: Peer) -> list[IPAddress]:
    """Return one address of a peer, the one in use if it is routed."""
    used = peer.transport.remote if peer.transport and peer.transport.via is None else None
    return [used] if used else list(itertools.islice(_routed(peer.beacon), 1))
