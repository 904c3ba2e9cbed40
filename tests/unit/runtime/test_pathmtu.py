"""Path MTU discovery: what a path carries is found, by what comes back."""

from __future__ import annotations

from collections.abc import Callable

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.pathmtu import MAGIC, TRIES, VERIFY_EVERY, WAIT, PathMtu, Send
from overlay_runtime.beacon.wire import derive_key
from overlay_runtime.peer import Peer, Transport
from tests.unit.runtime.samples import V4, V6, beacon

OWN, OTHER = V4("10.9.0.99"), V4("10.9.0.1")
OLD, NEW = derive_key("the old secret of the tests"), derive_key("the new secret of the tests")


class _Net:
    """Two ends of a path that carries packets of at most `mtu` bytes, and no word of those larger.

    Time passes only in `run`.
    """

    def __init__(self, mtu: int, *, keys: tuple[bytes, ...] = (NEW,)) -> None:
        self.mtu, self.now, self.sent, self.lose = mtu, 0.0, 0, 0
        self.changed: list[str] = []
        self.sizes: list[int] = []
        self.here = PathMtu(
            [NEW], self._to(lambda: self.there, OWN), self.changed.append, self._time
        )
        self.there = PathMtu(keys, self._to(lambda: self.here, OTHER), lambda _: None, self._time)
        self.peer = Peer(beacon(), since=0, last_seen=0)
        self.peer.transport = Transport(OTHER)

    def _time(self) -> float:
        return self.now

    def _to(self, end: Callable[[], PathMtu], source: IPAddress) -> Send:
        def send(data: bytes, _remote: IPAddress, _via: int | None) -> bool:
            self.sent += 1
            self.sizes.append(len(data))
            if len(data) + 28 <= self.mtu and self.sent > self.lose:
                end().received(data, source, 2)
            return True

        return send

    def run(self, seconds: float, full: int = 1500) -> None:
        end = self.now + seconds
        while self.now < end:
            self.now += max(0.01, min(self.here.tick([(self.peer, full)]), 1.0))


def test_a_whole_path_takes_one_probe() -> None:
    net = _Net(1500)
    net.run(VERIFY_EVERY / 2)
    assert (net.peer.path_mtu, net.sent, net.changed) == (1500, 2, [net.peer.id])


def test_a_narrow_path_is_measured_and_followed() -> None:
    net = _Net(1420)
    net.run(10)
    assert net.peer.path_mtu == 1420
    net.mtu = 1333
    net.run(VERIFY_EVERY + 10)
    assert net.peer.path_mtu == 1320  # the next smaller size that is tried
    net.mtu = 1500
    net.run(VERIFY_EVERY + 10)
    assert net.peer.path_mtu == 1500


def test_lost_probes_are_repeated() -> None:
    net = _Net(1500)
    net.lose = TRIES - 1
    net.run(TRIES * WAIT + 1)
    assert net.peer.path_mtu == 1500


def test_silence_proves_nothing() -> None:
    net = _Net(100)
    net.run(20)
    assert net.peer.path_mtu is None
    assert net.changed == []


def test_another_path_is_measured_anew() -> None:
    net = _Net(1420)
    net.run(10)
    net.mtu, net.peer.transport = 1500, Transport(V4("10.9.0.2"))
    net.run(0.1)
    net.run(10)
    assert net.peer.path_mtu == 1500
    net.run(10, full=9000)
    assert net.peer.path_mtu == 1500


def test_an_ipv6_header_counts() -> None:
    net = _Net(1500)
    net.peer.transport = Transport(V6("fe80::1"), 2)
    net.run(0.1)
    assert net.sizes[0] == 1500 - 48


def test_keys_and_forgeries() -> None:
    rotating = _Net(1500, keys=(OLD, NEW))
    rotating.run(1)
    assert rotating.peer.path_mtu == 1500  # each is asked, and answers, by the key that it knows
    net = _Net(1500, keys=(OLD,))
    net.run(5)
    assert net.peer.path_mtu is None
    for data in (MAGIC, MAGIC + bytes(44), MAGIC + b"\x01\x02" + bytes(42), MAGIC + bytes(2000)):
        net.here.received(data, OTHER, 2)
    assert net.changed == []
