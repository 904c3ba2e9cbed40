"""How a host gets its overlay address: the order of what it tries, and when it gives way. Pure.

The driver is `acquire.py`: it announces what is being tried, probes for it on the wire, lets the
claim reconsider, and takes what is settled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from overlay_runtime.address import IPAddress, IPNetwork, candidates, usable
from overlay_runtime.beacon.wire import HELD
from overlay_runtime.peer import Peer

ANNOUNCE_SECONDS = 1.5
"""How long a claim is announced: peers answer within milliseconds; three beacons may get lost."""


def objection(address: IPAddress, own_id: str, peers: Iterable[Peer]) -> str | None:
    """Return who is in the way of claiming `address`, or None.

    Who holds it wins; of two that claim it at once the lower host id wins: both see the same.
    """
    for peer in peers:
        if address not in (peer.address, peer.beacon.claims):
            continue
        if peer.address == address and peer.beacon.state == HELD:
            return f"{peer.beacon.name} ({peer.id}) holds it"
        if peer.id < own_id:
            return f"{peer.beacon.name} ({peer.id}) claims it too and comes first"
    return None


def alive(peers: Iterable[Peer], now: float) -> list[Peer]:
    """Return the peers whose objection to a configured address counts: the user may give a dead
    host's address to its replacement."""
    return [peer for peer in peers if not peer.lost(now)]


class Claim:
    """A first claim: which address is being tried, and which comes next.

    Order: the configured address, then what peers remember for this host, then the candidates from
    its identity. (A stored address needs no claim: it is used at once.)
    """

    def __init__(
        self, identity: str, own_id: str, cidr: IPNetwork, wanted: IPAddress | None
    ) -> None:
        self._own_id = own_id
        self._cidr = cidr
        self._wanted = wanted
        self._order: Iterator[IPAddress] = candidates(identity, cidr)
        self._refused: set[IPAddress] = set()
        self._user: Callable[[IPAddress], str | None] = lambda _address: None
        self.problem: str | None = None
        """Why the configured address can't be had, in words, or that the range is full."""
        self.trying: IPAddress | None = wanted or next(self._order, None)

    def reconsider(
        self,
        peers: Iterable[Peer],
        remembered: Iterable[IPAddress],
        now: float,
        user: Callable[[IPAddress], str | None] = lambda _address: None,
    ) -> bool:
        """Look at what peers say by now, and at who was seen on the wire (`user` returns a MAC
        address); return whether another address must be announced."""
        peers = list(peers)
        before = self.trying
        self._user = user
        if self._wanted is not None:
            why = objection(self._wanted, self._own_id, alive(peers, now))
            mac = user(self._wanted)
            why = why or (f"{mac} uses it, who is no known host" if mac else None)
            self.problem = f"the configured address {self._wanted}: {why}" if why else None
            return False  # the user's choice is never replaced by another, it waits
        for address in remembered:
            if self._free(address, peers):
                self.trying = address
                return before != address
        while self.trying is not None and not self._free(self.trying, peers):
            self._refused.add(self.trying)
            self.trying = next(self._order, None)
        self.problem = None if self.trying else f"no address in {self._cidr} is free"
        return before != self.trying

    def settled(self) -> IPAddress | None:
        """Return the address if nobody objected to it, to be stored and then used."""
        return None if self.problem else self.trying

    def _free(self, address: IPAddress, peers: list[Peer]) -> bool:
        return (
            usable(address, self._cidr)
            and address not in self._refused
            and self._user(address) is None
            and objection(address, self._own_id, peers) is None
        )
