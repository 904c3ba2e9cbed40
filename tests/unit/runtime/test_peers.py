"""The peer table: transports, conflicts, and who is forgotten when."""

from __future__ import annotations

import ipaddress
from typing import Any

import pytest

from overlay_runtime.beacon.wire import BeaconNic
from overlay_runtime.conflict import SETTLING_S
from overlay_runtime.peer import HEARD_FOR, Transport, physical_addresses
from overlay_runtime.peers import FORWARDED_FOR, MAX_PEERS, Inherited, PeerTable
from overlay_runtime.transport import alternatives
from tests.unit.runtime.samples import CIDR, V4, V6, beacon, nic

OWN = CIDR[50]
HEARS_US: dict[str, Any] = {"echo": "0" * 16, "heard": nic().ll}


def _table() -> PeerTable:
    return PeerTable("f" * 16, "02:ff:00:00:00:00", started=-100.0)


def _transport(table: PeerTable, now: float, *nics: object) -> Transport | None:
    table.update(nics or [nic()], OWN, now)  # type: ignore[arg-type]
    return table.peers[beacon().host].transport


def test_link_local_where_it_was_heard_else_ipv4() -> None:
    table = _table()
    assert table.heard(beacon(), V4("10.9.0.1"), 2, 0.0)
    assert _transport(table, 0.0) == Transport(V4("10.9.0.1"))
    assert table.heard(beacon(seq=2, **HEARS_US), V6("fe80::1"), 2, 1.0)
    assert not table.heard(beacon(seq=2, **HEARS_US), V6("fe80::1"), 2, 1.0)
    assert _transport(table, 1.0) == Transport(V6("fe80::1"), 2)
    assert _transport(table, 1.0 + HEARD_FOR) == Transport(V6("fe80::1"), 2)
    table.heard(beacon(seq=3), V4("10.9.0.1"), 2, 30.0)
    assert _transport(table, 2.0 + HEARD_FOR) == Transport(V4("10.9.0.1"))


def test_an_address_that_is_not_listed_is_no_path() -> None:
    table = _table()
    table.heard(beacon(), V6("fe80::bad"), 2, 0.0)
    assert _transport(table, 0.0) == Transport(V4("10.9.0.1"))
    table.heard(beacon(seq=2, nics=()), V4("10.66.6.6"), 2, 1.0)
    assert _transport(table, 1.0) == Transport(V4("10.9.0.1"))  # nothing better is known


def test_a_beacon_without_the_address_counts_at_once() -> None:
    table = _table()
    table.heard(beacon(**HEARS_US), V6("fe80::1"), 2, 0.0)
    assert _transport(table, 0.0) == Transport(V6("fe80::1"), 2)
    moved = beacon(seq=2, nics=(BeaconNic("eth0", 1500, (V4("10.9.0.200"),), (V6("fe80::2"),)),))
    assert table.heard(moved, V4("10.9.0.200"), 2, 1.0)
    assert _transport(table, 1.0) == Transport(V4("10.9.0.200"))
    table.heard(moved, V6("fe80::2"), 2, 1.1)
    assert _transport(table, 1.1) == Transport(V6("fe80::2"), 2)


def test_the_path_follows_our_own_nics_and_does_not_change_without_need() -> None:
    table = _table()
    table.heard(beacon(**HEARS_US), V6("fe80::1"), 2, 0.0)
    table.heard_path(beacon(), V6("fe80::1"), 3, 5.0)
    both = [nic(), nic(name="eth1", index=3)]
    assert _transport(table, 5.0, *both) == Transport(V6("fe80::1"), 3)  # the newest
    table.heard_path(beacon(), V6("fe80::1"), 2, 6.0)
    assert _transport(table, 6.0, *both) == Transport(V6("fe80::1"), 3)  # kept
    assert _transport(table, 6.0, nic()) == Transport(V6("fe80::1"), 2)  # eth1 is gone
    assert _transport(table, 6.0, nic(ll=())) == Transport(V4("10.9.0.1"))


def test_ipv4_in_a_connected_subnet_goes_first() -> None:
    table = _table()
    far, near = V4("192.168.7.7"), V4("10.9.0.1")
    listed = (BeaconNic("e", 1500, (far, near), ()),)
    table.heard(beacon(nics=listed), V6("fe80::bad"), 2, 0.0)
    assert _transport(table, 0.0) == Transport(near)
    assert _transport(table, 0.0, nic(v4=())) == Transport(far)
    assert list(physical_addresses(table.peers[beacon().host])) == [far, near]
    table.heard(beacon(seq=2, nics=listed), far, 2, 0.0)  # a near one that is silent is no proof
    assert _transport(table, 0.0) == Transport(far)
    own = nic(v4=(ipaddress.IPv4Interface("192.168.7.7/24"), *nic().v4))
    assert _transport(table, 0.0, own) == Transport(near)  # both have a bridge with that address


def test_a_path_that_the_peer_does_not_hear_us_on_is_not_used() -> None:
    table = _table()
    table.heard(beacon(echo="0" * 16), V6("fe80::1"), 2, 0.0)
    assert _transport(table, 0.0) == Transport(V4("10.9.0.1"))
    [probe] = alternatives(table.peers[beacon().host], [nic()], 0.0)
    assert probe == Transport(V6("fe80::1"), 2)  # so that it can hear us again
    table.heard(beacon(seq=2, **HEARS_US), V4("10.9.0.1"), 2, 1.0)
    assert _transport(table, 1.0) == Transport(V6("fe80::1"), 2)
    assert alternatives(table.peers[beacon().host], [nic()], 1.0) == []
    # An answer over IPv4, given before the other one went out, takes nothing back.
    assert not table.heard(beacon(seq=3, echo="0" * 16), V4("10.9.0.1"), 2, 1.1)
    assert _transport(table, 1.1) == Transport(V6("fe80::1"), 2)
    assert table.heard(beacon(seq=4, echo="0" * 16), V4("10.9.0.1"), 2, 9.0)
    assert _transport(table, 9.0) == Transport(V4("10.9.0.1"))
    assert _transport(table, 9.0, nic(v4=())) == Transport(V6("fe80::1"), 2)  # the better of two


def test_the_path_of_a_silent_peer_stays() -> None:
    table = _table()
    table.heard(beacon(**HEARS_US), V6("fe80::1"), 2, 0.0)
    _transport(table, 0.0)
    assert table.next_loss(5.0) == HEARD_FOR - 5.0
    assert _transport(table, HEARD_FOR + 1) == Transport(V6("fe80::1"), 2)
    assert table.next_loss(HEARD_FOR + 1) == float("inf")
    assert _transport(table, HEARD_FOR + 1, nic(index=3)) == Transport(V4("10.9.0.1"))


def test_a_replacement_gets_the_address_of_a_lost_host() -> None:
    table = _table()
    table.heard(beacon(1, address=CIDR[7]), V6("fe80::1"), 2, 0.0)
    table.heard(beacon(2, address=CIDR[7]), V6("fe80::2"), 2, 20.0)
    for now, holder in ((20.0, "host1"), (HEARD_FOR + 1, "host2")):
        table.update([nic()], OWN, now)
        assert [peer.beacon.name for peer in table.forwarded()] == [holder]


def test_who_had_it_first_keeps_it() -> None:
    table = _table()
    table.heard(beacon(2, address=CIDR[7]), V6("fe80::2"), 2, 0.0)
    table.heard(beacon(1, address=CIDR[7]), V6("fe80::1"), 2, 1.0)
    table.heard(beacon(3, address=OWN), V6("fe80::3"), 2, 2.0)
    table.heard(beacon(4, mac="02:ff:00:00:00:00"), V6("fe80::4"), 2, 2.0)
    table.heard(beacon(5, state="claiming"), V6("fe80::5"), 2, 2.0)
    table.update([nic()], OWN, 2.0)
    # The one that claims probes on the wire, and must hear the answers.
    assert [peer.beacon.name for peer in table.forwarded()] == ["host2", "host5"]
    conflicts = {p.beacon.name: p.conflict or "" for p in table.peers.values()}
    assert "host2" in conflicts["host1"]
    assert "this host's overlay address" in conflicts["host3"]
    assert "MAC" in conflicts["host4"]
    assert conflicts["host5"] == ""


def test_who_was_there_before_us_comes_by_the_kernels_entry_or_by_id() -> None:
    for incumbents, first in (({}, "host1"), ({str(CIDR[7]): beacon(2).mac}, "host2")):
        table = PeerTable("f" * 16, "02:ff:00:00:00:00", started=0.0)
        table.inherit(Inherited(neighbours=incumbents))
        for number in (2, 1):
            table.heard(beacon(number, address=CIDR[7]), V6(f"fe80::{number}"), 2, 3.0 - number)
        table.update([nic()], OWN, 5.0)
        assert [peer.beacon.name for peer in table.forwarded()] == [first]


@pytest.mark.parametrize("late", [0.5, 4.0, 20.0])
def test_who_is_heard_first_after_a_restart_takes_nothing_from_the_one_of_before(
    late: float,
) -> None:
    """Chance decides who speaks first; each look in between must not make that last."""
    table = PeerTable("f" * 16, "02:ff:00:00:00:00", started=0.0)
    table.inherit(Inherited(neighbours={str(CIDR[7]): beacon(2).mac}))
    table.heard(beacon(1, address=CIDR[7]), V6("fe80::1"), 2, 0.2)
    for now in (0.2, 0.4):
        table.update([nic()], OWN, now)
        assert table.forwarded() == []
    table.heard(beacon(2, address=CIDR[7]), V6("fe80::2"), 2, late)
    for now in (late, late + 1, 50.0):
        table.heard(beacon(2, seq=int(now) + 9, address=CIDR[7]), V6("fe80::2"), 2, now)
        table.update([nic()], OWN, now)
        assert [peer.beacon.name for peer in table.forwarded()] == ["host2"]


def test_after_a_restart_an_address_is_not_kept_for_one_who_is_gone() -> None:
    table = PeerTable("f" * 16, "02:ff:00:00:00:00", started=0.0)
    table.inherit(Inherited(neighbours={str(CIDR[7]): beacon(2).mac}))
    table.heard(beacon(1, address=CIDR[7]), V6("fe80::1"), 2, 0.2)
    for now, there in ((0.2, []), (SETTLING_S + 0.1, ["host1"])):
        table.update([nic()], OWN, now)
        assert [peer.beacon.name for peer in table.forwarded()] == there


def test_a_restart_goes_on_with_the_path_of_before() -> None:
    table = PeerTable("f" * 16, "02:ff:00:00:00:00", started=0.0)
    path = Transport(V6("fe80::1"), 2)
    table.inherit(Inherited(paths={beacon().mac: path}, link_local=nic().ll))
    table.heard(beacon(), V4("10.9.0.1"), 2, 1.0)  # which tells nothing of link-local addresses
    assert _transport(table, 1.0) == path
    table.heard(beacon(seq=2, echo="0" * 16), V4("10.9.0.1"), 2, 7.0)  # it doesn't hear us there
    assert _transport(table, 7.0) == Transport(V4("10.9.0.1"))


def test_a_replacement_keeps_what_it_took_over() -> None:
    table = _table()
    table.heard(beacon(1, address=CIDR[7]), V6("fe80::1"), 2, 0.0)
    table.heard(beacon(2, address=CIDR[7]), V6("fe80::2"), 2, 1.0)
    for now, seq, name in ((1.0, 2, "host1"), (36.0, 3, "host2"), (40.0, 4, "host2")):
        table.heard(beacon(2, seq=seq, address=CIDR[7]), V6("fe80::2"), 2, now)
        if now == 40.0:  # it comes back
            table.heard(beacon(1, seq=seq, address=CIDR[7]), V6("fe80::1"), 2, now)
        table.update([nic()], OWN, now)
        assert [peer.beacon.name for peer in table.forwarded()] == [name]


def test_a_claim_with_a_taken_mac_gets_no_entries() -> None:
    table = _table()
    table.heard(beacon(1), V6("fe80::1"), 2, 0.0)
    table.heard(beacon(2, mac=beacon(1).mac, state="claiming"), V6("fe80::2"), 2, 1.0)
    table.update([nic()], OWN, 1.0)
    assert [peer.beacon.name for peer in table.forwarded()] == ["host1"]


def test_a_claim_with_a_taken_mac_takes_nothing_from_a_holder_whoever_was_heard_first() -> None:
    table = PeerTable("f" * 16, "02:ff:00:00:00:00", started=0.0)
    table.heard(beacon(1, mac=beacon(2).mac, state="claiming"), V6("fe80::1"), 2, 0.5)
    table.heard(beacon(2), V6("fe80::2"), 2, 1.0)
    table.update([nic()], OWN, 1.0)
    assert [peer.beacon.name for peer in table.forwarded()] == ["host2"]
    assert beacon(2).mac in (table.peers[beacon(1).host].conflict or "")


def test_silent_peers_are_lost_but_forwarded_for_a_day() -> None:
    table = _table()
    table.heard(beacon(), V6("fe80::1"), 2, 0.0)
    table.update([nic()], OWN, FORWARDED_FOR)
    [peer] = table.forwarded()
    assert peer.lost(HEARD_FOR + 1)
    assert not peer.lost(HEARD_FOR)
    table.update([nic()], OWN, FORWARDED_FOR + 1)
    assert table.peers == {}


def test_strangers_are_named_once_and_can_come_back() -> None:
    table = _table()
    table.heard(beacon(), V6("fe80::1"), 2, 0.0)
    assert table.reject(beacon(), "it has vni 7", 0.0)
    assert not table.reject(beacon(), "it has vni 7", 0.0)
    assert table.peers == {}
    table.heard(beacon(), V6("fe80::1"), 2, 1.0)
    assert table.strangers == {}
    table.reject(beacon(2), "it has vni 7", 1.0)
    table.update([nic()], OWN, HEARD_FOR)
    assert len(table.strangers) == 1
    table.update([nic()], OWN, HEARD_FOR + 2)
    assert table.strangers == {}
    for number in range(MAX_PEERS + 9):
        table.reject(beacon(1, host=f"{number:016x}"), "it has vni 7", 1.0)
    assert len(table.strangers) == MAX_PEERS


def test_what_peers_remember_of_us() -> None:
    table = _table()
    for number, address in ((1, CIDR[9]), (2, CIDR[8]), (3, CIDR[9])):
        table.heard(beacon(number, echo="0" * 16, yours=address), V4("10.9.0.1"), 2, 0.0)
    table.heard(beacon(1, seq=2), V4("10.9.0.1"), 2, 1.0)  # a broadcast says nothing about us
    assert table.remembered_for_us() == [CIDR[9], CIDR[8]]


def test_another_address_of_a_peer_is_only_another_way_to_it() -> None:
    """So it is acted on at once: everything else waits for a look at everything."""
    table, host = _table(), beacon().host
    table.heard(beacon(), V4("10.9.0.1"), 2, 0.0)
    assert not table.settled(host), "nothing of it is in the kernel yet"
    table.update([nic()], OWN, 0.0)
    assert table.settled(host)
    assert table.acted_on(host)
    there = BeaconNic("eth0", 1500, (V4("10.9.0.77"),), ())
    assert table.heard(beacon(seq=2, nics=(there,)), V4("10.9.0.77"), 2, 1.0)
    assert table.settled(host)
    assert not table.acted_on(host)
    moved = table.moved(host, [nic()], 1.0)
    assert moved
    assert moved.transport == Transport(V4("10.9.0.77"))
    table.heard(beacon(seq=3, nics=(there,), mac="02:00:00:00:77:77"), V4("10.9.0.77"), 2, 2.0)
    assert not table.settled(host), "another bridge: its entries are others"
