"""The conversation between hosts, over a wire of Python: who believes whom, and when."""

from __future__ import annotations

import hmac
from dataclasses import replace
from ipaddress import IPv4Interface

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.exchange import BeaconExchange
from overlay_runtime.beacon.wire import Beacon, BeaconNic, derive_key, encode
from overlay_runtime.peers import PeerTable
from overlay_runtime.underlay import Nic
from tests.unit.runtime.samples import V4, V6, beacon, nic

KEY = derive_key("a secret of the tests")


class _Segment:
    """Carries beacons between hosts, and counts them. `deaf` hosts get nothing over IPv6."""

    def __init__(self, *, ipv6: bool = False) -> None:
        self.hosts: dict[IPAddress, _Host] = {}
        self.ipv6 = ipv6
        self.deaf: set[_Host] = set()
        self.queue: list[tuple[bytes, IPAddress, _Host]] = []
        self.carried: list[bytes] = []

    def settle(self) -> int:
        count = 0
        while self.queue:
            data, source, receiver = self.queue.pop(0)
            self.carried.append(data)
            receiver.exchange.received(data, source, 2)
            count += 1
            assert count < 1000, "a storm"
        return count


class _Wire:
    """Stands in for BeaconSockets."""

    def __init__(self, segment: _Segment, host: _Host) -> None:
        self._segment, self._host = segment, host

    def broadcast4(self, data: bytes, _nic: int, _source: V4) -> None:
        for host in self._segment.hosts.values():
            self.unicast(data, host.address, None)

    def multicast6(self, data: bytes, _nic: int) -> None:
        for host in self._segment.hosts.values():
            self.unicast(data, host.address6, None)

    def unicast(self, data: bytes, remote: IPAddress, _nic: int | None) -> bool:
        for host in self._segment.hosts.values():
            deaf = not self._segment.ipv6 or host in self._segment.deaf
            if host is self._host or remote not in (host.address, host.address6):
                continue
            if remote.version == 4:
                self._segment.queue.append((data, self._host.address, host))
            elif not deaf:
                self._segment.queue.append((data, self._host.address6, host))
            return True
        return False


class _Host:
    def __init__(self, segment: _Segment, number: int, boot: str = "", **changes: object) -> None:
        self.address, self.address6 = V4(f"10.9.0.{number}"), V6(f"fe80::{number:x}")
        self.mine: Beacon = beacon(number, boot=boot or f"{number:016x}", **changes)
        self.table = PeerTable(self.mine.host, self.mine.mac)
        self.changes = 0
        self.exchange = BeaconExchange(
            [KEY], lambda: self.mine, self.table, self._changed, lambda: 0.0
        )
        self.exchange.sockets = _Wire(segment, self)  # type: ignore[assignment]
        segment.hosts[self.address] = self

    def _changed(self, _host: str) -> None:
        self.changes += 1
        self.table.update([self.nic], self.mine.address, 0.0)

    @property
    def nic(self) -> Nic:
        return nic(v4=(IPv4Interface(f"{self.address}/24"),), ll=(self.address6,))

    def announce(self, *, ask: bool = False) -> None:
        self.exchange.announce([self.nic], [], everyone=True, ask=ask)

    def path_to(self, other: _Host) -> IPAddress:
        transport = self.table.peers[other.mine.host].transport
        assert transport
        return transport.remote


def test_a_newcomer_is_believed_after_three_beacons_a_pair() -> None:
    segment = _Segment()
    one, two = _Host(segment, 1), _Host(segment, 2)
    two.announce()
    assert segment.settle() == 3  # broadcast, answer with echo, echo
    assert set(one.table.peers) == {two.mine.host}
    assert set(two.table.peers) == {one.mine.host}


def test_the_first_conversation_proves_link_local_both_ways() -> None:
    segment = _Segment(ipv6=True)
    one, two = _Host(segment, 1), _Host(segment, 2)
    two.announce()
    segment.settle()
    assert (one.path_to(two), two.path_to(one)) == (two.address6, one.address6)


def test_who_is_not_heard_over_ipv6_does_not_send_over_it() -> None:
    segment = _Segment(ipv6=True)
    one, two = _Host(segment, 1), _Host(segment, 2)
    segment.deaf = {two}
    for host in (two, one, two):
        host.announce()
        segment.settle()
    assert (one.path_to(two), two.path_to(one)) == (two.address, one.address)
    segment.deaf = set()  # the firewall is opened
    for host in (one, two):
        host.announce()
        segment.settle()
    assert (one.path_to(two), two.path_to(one)) == (two.address6, one.address6)


def test_who_has_a_new_nic_is_answered_on_it() -> None:
    segment = _Segment(ipv6=True)
    one, two = _Host(segment, 1), _Host(segment, 2)
    two.announce()
    segment.settle()
    segment.hosts.pop(two.address)
    two.address, two.address6 = V4("10.9.0.66"), V6("fe80::66")
    segment.hosts[two.address] = two
    two.mine = replace(two.mine, nics=(BeaconNic("e", 1500, (two.address,), (two.address6,)),))
    two.table.peers[one.mine.host].heard_ll.clear()
    two.announce(ask=True)
    segment.settle()
    assert (one.path_to(two), two.path_to(one)) == (two.address6, one.address6)


def test_only_who_was_missed_is_tried_again() -> None:
    segment = _Segment()
    one, two, three = (_Host(segment, number) for number in (1, 2, 3))
    for host in (two, three):
        host.announce()
    segment.settle()
    del segment.hosts[two.address]
    static = V4("10.77.0.1")
    one.exchange.announce([], [static], everyone=True)
    segment.settle()
    assert one.exchange.unsent == {two.address, static}
    segment.hosts[two.address] = two
    one.exchange.retry()
    assert [receiver for _, _, receiver in segment.queue] == [two]
    assert one.exchange.unsent == {static}


def test_many_newcomers_at_once_settle() -> None:
    segment = _Segment()
    hosts = [_Host(segment, number) for number in range(1, 9)]
    for host in hosts:
        host.announce()
    segment.settle()
    assert all(len(host.table.peers) == 7 for host in hosts)


def test_a_restarted_host_gets_to_know_what_is_remembered_of_it() -> None:
    segment = _Segment()
    one, two = _Host(segment, 1), _Host(segment, 2)
    two.announce()
    segment.settle()
    again = _Host(segment, 2, boot="9" * 16, address=None, state="claiming")
    again.announce()
    segment.settle()
    assert again.table.remembered_for_us() == [two.mine.address]
    assert one.table.peers[two.mine.host].beacon.boot == "9" * 16


def test_recordings_of_a_whole_conversation_change_nothing() -> None:
    segment = _Segment()
    one, two = _Host(segment, 1), _Host(segment, 2)
    two.announce()
    segment.settle()
    recorded = list(segment.carried)
    again = _Host(segment, 2, boot="9" * 16)
    again.announce()
    segment.settle()
    before = one.changes
    for data in recorded:
        one.exchange.received(data, two.address, 2)
        again.exchange.received(data, one.address, 2)
    segment.settle()
    assert one.changes == before
    assert one.table.peers[two.mine.host].beacon.boot == "9" * 16


def test_an_answer_goes_only_where_the_signed_body_says() -> None:
    segment = _Segment()
    one, two, victim = _Host(segment, 1), _Host(segment, 2), _Host(segment, 3)
    two.announce()
    data = segment.queue[0][0]
    segment.queue.clear()
    one.exchange.received(data, victim.address, 2)
    one.exchange.received(data, V6("fe80::3"), 2)
    assert segment.queue == []
    assert not one.exchange._answers._per_host  # nothing is kept of them either
    for _ in range(50):
        one.exchange.received(data, two.address, 2)
    assert 0 < len(segment.queue) < 10  # a replayed newcomer is answered a few times, not fifty


def test_another_overlay_is_a_stranger_and_a_twin_is_told() -> None:
    segment = _Segment()
    one, two = _Host(segment, 1), _Host(segment, 2, vni=7)
    twin = _Host(segment, 4)
    twin.mine = replace(one.mine, boot="7" * 16, name="twin", nics=twin.mine.nics)
    twin.exchange = BeaconExchange(
        [KEY], lambda: twin.mine, twin.table, lambda _: None, lambda: 0.0
    )
    twin.exchange.sockets = _Wire(segment, twin)  # type: ignore[assignment]
    two.announce()
    twin.announce()
    segment.settle()
    assert one.table.strangers == {two.mine.host: "it has vni 7, this host has 100"}
    assert one.exchange.duplicates() == {one.mine.host: "twin"}


def test_garbage_is_counted_and_our_own_links_are_not_heard() -> None:
    segment = _Segment()
    one, two = _Host(segment, 1), _Host(segment, 2)
    one.exchange.received(b"garbage", two.address, 2)
    assert one.exchange.counters.beacons_bad == 1
    assert one.exchange.noticed.fault() is None
    header, body = encode(beacon(), KEY)[:40], b'{"version": 3}'
    signed = header + hmac.digest(KEY, header + body, "sha256") + body
    one.exchange.received(signed, two.address, 2)
    assert "10.9.0.2" in (one.exchange.noticed.fault() or "")
    one.exchange.is_ours = lambda ifindex: ifindex == 2
    two.announce()
    segment.settle()
    assert one.table.peers == {}


def test_what_is_counted_and_who_is_foreign() -> None:
    segment = _Segment()
    one, two = _Host(segment, 1), _Host(segment, 2)
    one.announce()
    segment.settle()
    for host in (one, two):
        counters = host.exchange.counters
        assert counters.beacons_sent >= 1
        assert counters.beacons_received >= 1
        assert counters.beacons_bad == counters.beacons_malformed == 0
    assert two.exchange.counters.beacons_stale >= 1  # the first of a boot is never believed
    one.exchange.received(
        encode(beacon(7), derive_key("another cluster's secret")), V4("10.9.0.7"), 2
    )
    assert one.exchange.counters.beacons_bad == 1
    assert list(one.exchange.noticed.strangers()) == [V4("10.9.0.7")]
