"""The conversation between hosts, over a wire of Python: who believes whom, and when."""

from __future__ import annotations

from dataclasses import replace

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.exchange import BeaconExchange
from overlay_runtime.beacon.wire import Beacon, derive_key
from overlay_runtime.peers import PeerTable
from tests.unit.runtime.samples import V4, V6, beacon, nic

KEY = derive_key("a secret of the tests")


class _Segment:
    """Carries beacons between hosts, and counts them."""

    def __init__(self) -> None:
        self.hosts: dict[IPAddress, _Host] = {}
        self.queue: list[tuple[bytes, _Host, _Host]] = []
        self.carried: list[bytes] = []

    def settle(self) -> int:
        count = 0
        while self.queue:
            data, sender, receiver = self.queue.pop(0)
            self.carried.append(data)
            receiver.exchange.received(data, sender.address, 2)
            count += 1
            assert count < 1000, "a storm"
        return count


class _Wire:
    """Stands in for BeaconSockets."""

    def __init__(self, segment: _Segment, host: _Host) -> None:
        self._segment, self._host = segment, host

    def broadcast4(self, data: bytes, _nic: int, _source: V4) -> None:
        for host in self._segment.hosts.values():
            if host is not self._host:
                self._segment.queue.append((data, self._host, host))

    def multicast6(self, _data: bytes, _nic: int) -> None:
        """This segment carries IPv4 alone."""

    def unicast(self, data: bytes, remote: IPAddress, _nic: int | None) -> bool:
        if remote in self._segment.hosts:
            self._segment.queue.append((data, self._host, self._segment.hosts[remote]))
        return remote in self._segment.hosts


class _Host:
    def __init__(self, segment: _Segment, number: int, boot: str = "", **changes: object) -> None:
        self.address = V4(f"10.9.0.{number}")
        self.mine: Beacon = beacon(number, boot=boot or f"{number:016x}", **changes)
        self.table = PeerTable(self.mine.host, self.mine.mac)
        self.changes = 0
        self.exchange = BeaconExchange(
            KEY, lambda: self.mine, self.table, self._changed, lambda: 0.0
        )
        self.exchange.sockets = _Wire(segment, self)  # type: ignore[assignment]
        segment.hosts[self.address] = self

    def _changed(self) -> None:
        self.changes += 1
        self.table.update([nic()], self.mine.address, 0.0)

    def announce(self) -> None:
        self.exchange.announce([nic()], [], everyone=True)


def test_a_newcomer_is_believed_after_three_beacons_a_pair() -> None:
    segment = _Segment()
    one, two = _Host(segment, 1), _Host(segment, 2)
    two.announce()
    assert segment.settle() == 3  # broadcast, answer with echo, echo
    assert set(one.table.peers) == {two.mine.host}
    assert set(two.table.peers) == {one.mine.host}


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
    for _ in range(50):
        one.exchange.received(data, two.address, 2)
    assert 0 < len(segment.queue) < 10  # a replayed newcomer is answered a few times, not fifty


def test_another_overlay_is_a_stranger_and_a_twin_is_told() -> None:
    segment = _Segment()
    one, two = _Host(segment, 1), _Host(segment, 2, vni=7)
    twin = _Host(segment, 4)
    twin.mine = replace(one.mine, boot="7" * 16, name="twin", nics=twin.mine.nics)
    twin.exchange = BeaconExchange(KEY, lambda: twin.mine, twin.table, lambda: None, lambda: 0.0)
    twin.exchange.sockets = _Wire(segment, twin)  # type: ignore[assignment]
    two.announce()
    twin.announce()
    segment.settle()
    assert one.table.strangers == {two.mine.host: "it has vni 7, this host has 100"}
    assert one.exchange.duplicate == "twin"


def test_garbage_is_counted_and_our_own_links_are_not_heard() -> None:
    segment = _Segment()
    one, two = _Host(segment, 1), _Host(segment, 2)
    one.exchange.received(b"garbage", two.address, 2)
    assert one.exchange.bad == 1
    one.exchange.is_ours = lambda ifindex: ifindex == 2
    two.announce()
    segment.settle()
    assert one.table.peers == {}
