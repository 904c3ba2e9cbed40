"""Whom a host sends beacons of their own, and how often: so that a crowd is no storm.

A broadcast costs a segment one packet however many hosts there are. What costs is N hosts that each
write to N others. So beyond 64 hosts only those get one each time that don't hear our broadcasts,
and the others in turn; and the more hosts there are, the rarer everybody's beacons.
"""

from __future__ import annotations

import ipaddress

from overlay_runtime.beacon.model import INTERVAL
from overlay_runtime.peer import Peer
from overlay_runtime.peers import PeerTable

UNICASTS_A_ROUND = 64
_DEAF_AT_ONCE = 256
_NEWS_A_SECOND = 32
_HOSTS_A_SECOND = 20
_LONGEST = 60.0

_Told = tuple[tuple[ipaddress.IPv6Address, ...], bool]


def interval(hosts: int) -> float:
    """Return the seconds between a host's regular beacons: 10 s for up to 200 hosts, then so that a
    segment carries 20 announcements a second, but never more than 60 s."""
    return min(_LONGEST, max(INTERVAL, hosts / _HOSTS_A_SECOND))


class Rounds:
    """Chooses peers of a table."""

    def __init__(self, table: PeerTable) -> None:
        self._table = table
        self._turn = 0
        self._told: dict[str, _Told] = {}

    def next(self, now: float, *, everyone: bool) -> list[Peer]:
        """Return who gets a beacon of its own besides the broadcast.

        Of a change (`everyone`) a crowd is told by broadcast, three times; by unicast only those
        that don't hear it. Else hundreds that start in one second would write to each other.
        """
        peers = sorted(self._table.peers.values(), key=lambda peer: peer.id)
        if len(peers) <= UNICASTS_A_ROUND:
            return peers
        if everyone:
            return [peer for peer in peers if peer.deaf(now)][:_DEAF_AT_ONCE]
        self._turn = (self._turn + UNICASTS_A_ROUND) % len(peers)
        turn = (peers + peers)[self._turn : self._turn + UNICASTS_A_ROUND]
        chosen = {peer.id for peer in turn}
        return turn + [peer for peer in peers if peer.id not in chosen and peer.deaf(now)]

    def told(self, peer: Peer, what: _Told) -> None:
        """Note what a peer was told about how it is heard."""
        self._told[peer.id] = what

    def news(self, now: float) -> list[Peer]:
        """Return some of the peers that were told something else than what is so now."""
        peers = self._table.peers
        if len(peers) <= UNICASTS_A_ROUND:
            return []  # each gets a beacon of its own every time
        for gone in self._told.keys() - peers.keys():
            del self._told[gone]
        found = []
        for peer in peers.values():
            told = self._told.get(peer.id)
            if told and not peer.lost(now) and told != _now(peer, now):
                found.append(peer)
                if len(found) == _NEWS_A_SECOND:
                    break
        return found


def _now(peer: Peer, now: float) -> _Told:
    heard = {address for _, address in peer.heard_lately(now)}
    return tuple(sorted(heard)), peer.hears_all(now)
