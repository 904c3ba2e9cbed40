"""Claims: the order of what is tried, and who gives way to whom."""

from __future__ import annotations

import ipaddress
import itertools

from overlay_runtime.address import IPAddress, candidates
from overlay_runtime.claim import Claim, objection
from overlay_runtime.peer import HEARD_FOR, Peer
from tests.unit.runtime.samples import CIDR, beacon

OWN = "8" * 16
FIRST, SECOND = itertools.islice(candidates("me", CIDR), 2)


def _peer(number: int, address: IPAddress, state: str = "held") -> Peer:
    return Peer(beacon(number, address=address, state=state), since=0.0, last_seen=0.0)


def _claim(wanted: IPAddress | None = None) -> Claim:
    return Claim("me", OWN, CIDR, wanted)


def test_nobody_objects() -> None:
    claim = _claim()
    assert claim.trying == FIRST
    assert not claim.reconsider([_peer(1, SECOND)], [], 0.0)
    assert claim.settled() == FIRST


def test_a_holder_wins_and_so_does_a_lower_claimant() -> None:
    for peer in (_peer(1, FIRST), _peer(1, FIRST, "claiming")):
        claim = _claim()
        assert claim.reconsider([peer], [], 0.0)
        assert claim.settled() == SECOND
    higher = Peer(beacon(address=FIRST, state="claiming", host="9" * 16), 0.0, 0.0)
    claim = _claim()
    assert not claim.reconsider([higher], [], 0.0)
    assert claim.settled() == FIRST


def test_of_two_that_claim_the_same_exactly_one_gives_way() -> None:
    for one, other in itertools.permutations(("1" * 16, "2" * 16)):
        peer = Peer(beacon(host=other, address=FIRST, state="claiming"), 0.0, 0.0)
        assert (objection(FIRST, one, [peer]) is None) == (one < other)


def test_what_peers_remember_goes_before_candidates() -> None:
    claim = _claim()
    assert claim.reconsider([], [CIDR[1], CIDR[99]], 0.0)  # a reserved one is no memory of ours
    assert claim.settled() == CIDR[99]
    claim = _claim()
    claim.reconsider([_peer(1, CIDR[99])], [CIDR[99]], 0.0)
    assert claim.settled() == FIRST


def test_a_configured_address_is_never_replaced() -> None:
    claim = _claim(CIDR[40])
    claim.reconsider([_peer(1, CIDR[40])], [CIDR[99]], 0.0)
    assert claim.settled() is None
    assert claim.problem and "holds it" in claim.problem
    claim.reconsider([], [], 0.0)
    assert claim.settled() == CIDR[40]


def test_a_dead_host_does_not_keep_its_configured_address() -> None:
    claim = _claim(CIDR[40])
    claim.reconsider([_peer(1, CIDR[40])], [], HEARD_FOR)
    assert claim.settled() is None
    claim.reconsider([_peer(1, CIDR[40])], [], HEARD_FOR + 1)
    assert claim.settled() == CIDR[40]


def test_a_full_range_is_told() -> None:
    cidr = ipaddress.ip_network("10.0.0.0/29")
    claim = Claim("me", OWN, cidr, None)
    claim.reconsider([_peer(n, cidr[n]) for n in range(2, 7)], [], 0.0)
    assert claim.settled() is None
    assert claim.problem == "no address in 10.0.0.0/29 is free"
