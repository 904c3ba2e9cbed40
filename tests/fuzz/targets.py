"""What is fuzzed: each takes bytes, and fails if they do harm.

The signed ones get behind the signature, as a host that was broken into could.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import random
from dataclasses import replace

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.exchange import BeaconExchange
from overlay_runtime.beacon.pathmtu import MAGIC, PathMtu
from overlay_runtime.beacon.wire import BadBeacon, Beacon, BeaconNic, decode, derive_key, encode
from overlay_runtime.dad.frames import read
from overlay_runtime.peers import MAX_PEERS, PeerTable
from overlay_runtime.underlay import Nic
from tests.unit.runtime.samples import CIDR, V4, V6, beacon, nic

KEY = derive_key("the secret of the fuzzer")
_SOURCES: list[IPAddress] = [V4("10.9.0.1"), V6("fe80::1"), V6("2001:db8::1"), V4("0.0.0.0")]
_HEADER = 40

logging.getLogger("overlay_runtime").setLevel(logging.CRITICAL)


def raw(data: bytes) -> None:
    """Bytes as anybody can send them: to the beacon port, and on the overlay."""
    for each in (data, b"EDGB\x02" + data):
        try:
            decode(each, KEY)
        except BadBeacon:
            continue
        raise AssertionError("a beacon without a signature was believed")
    read(data)
    _paths.received(MAGIC + data, _SOURCES[len(data) % 4], 2)


def signed(data: bytes) -> None:
    """A beacon whose parts are anything, with the right signature."""
    header = bytearray(encode(beacon(echo="1" * 16), KEY)[:_HEADER])
    cut = min(len(data), data[0] * 2 if data else 0)
    header[6:8] = cut.to_bytes(2, "big")
    rest = data[1:1100]
    signature = hmac.digest(KEY, bytes(header) + rest, hashlib.sha256)
    try:
        found = decode(bytes(header) + signature + rest, KEY)
    except BadBeacon:
        return
    again = decode(encode(found, KEY), KEY)
    assert again.address == found.address and again.mac == found.mac


class _Nowhere:
    """Stands in for the sockets: what is sent is counted, and goes nowhere."""

    sent = 0

    def broadcast4(self, _data: bytes, _nic: int, _source: V4) -> None:
        self.sent += 1

    def multicast6(self, _data: bytes, _nic: int) -> None:
        self.sent += 1

    def unicast(self, _data: bytes, _remote: IPAddress, _nic: int | None) -> bool:
        self.sent += 1
        return self.sent % 3 > 0


class Conversation:
    """One host that a hostile member of its cluster talks to."""

    def __init__(self) -> None:
        self.now = 0.0
        self.mine = beacon(99, boot="9" * 16)
        self.table = PeerTable(self.mine.host, self.mine.mac)
        self.exchange = BeaconExchange(
            [KEY], lambda: self.mine, self.table, self._changed, lambda: self.now
        )
        self.exchange.sockets = _Nowhere()  # type: ignore[assignment]
        self.exchange.later = lambda _seconds, do: do()
        self.exchange.reverted = self._reverted
        self.nics: list[Nic] = [nic()]

    def say(self, data: bytes) -> None:
        """Take in one beacon that the bytes decide about."""
        chance = random.Random(data)
        self.now += chance.choice((0.0, 0.001, 0.3, 5.0))
        words = encode(self._hostile(chance), KEY)
        self.exchange.received(words, chance.choice(_SOURCES), chance.choice((0, 2, 3)))
        if chance.random() < 0.02:
            self.exchange.announce(self.nics, _SOURCES[:3], everyone=chance.random() < 0.5)
            self.exchange.tell_news()
            self.exchange.retry()

    def check(self) -> None:
        """Fail if something grew beyond its bounds."""
        self.table.update(self.nics, self.mine.address, self.now)
        assert len(self.table.peers) <= MAX_PEERS
        assert len(self.table.strangers) <= MAX_PEERS
        for name, value in vars(self.exchange).items():
            if isinstance(value, dict):
                assert len(value) <= 2 * MAX_PEERS, name

    def _hostile(self, chance: random.Random) -> Beacon:
        pick = chance.choice
        number = pick((1, 2, 3, 98, 99, chance.getrandbits(40)))
        address = pick((None, CIDR[2 + chance.randrange(500)], CIDR[7]))
        nics = tuple(
            BeaconNic(
                pick(("eth0", "", "x" * 15)),
                pick((0, 68, 1500, 9000, 2**32)),
                tuple(V4(chance.getrandbits(32)) for _ in range(chance.randrange(3))),
                tuple(
                    V6((0xFE80 << 112) + chance.getrandbits(8)) for _ in range(chance.randrange(3))
                ),
                tuple(V6(chance.getrandbits(128)) for _ in range(chance.randrange(2))),
            )
            for _ in range(chance.randrange(4))
        )
        said = beacon(
            number % 250, address=address, nics=nics, boot=pick(("1" * 16, "2" * 16, "9" * 16)),
            seq=chance.choice((0, 1, 2**40, 2**64 - 1, chance.getrandbits(20))),
            echo=pick((None, self.mine.boot, "3" * 16)), state=pick(("held", "claiming")),
            ask=chance.random() < 0.5, to_all=chance.random() < 0.5,
            heard=pick(((), nic().ll, (V6("fe80::bad"),))), hears_all=chance.random() < 0.5,
            yours=pick((None, CIDR[9])), seen=pick((None, 0, 2**62)),
            interval=pick((1.0, 10.0, 3600.0)), claims=pick((None, CIDR[8])),
        )  # fmt: skip
        return replace(said, host=f"{number:016x}", vni=pick((100, 100, 101)))

    def _changed(self, host: str) -> None:
        self.table.moved(host, self.nics, self.now)

    def _reverted(self) -> None:
        self.mine = replace(self.mine, boot=f"{random.getrandbits(64):016x}")


_paths = PathMtu([KEY], lambda *_: True, lambda _host: None, lambda: 0.0)
_conversations = [Conversation()]
_said = [0]
_LONGEST = 10_000
"""Beacons after which everything is checked, and another conversation begins."""


def conversation(data: bytes) -> None:
    """A hostile member talks, and so does the next one."""
    _conversations[0].say(data)
    _said[0] += 1
    if _said[0] % _LONGEST == 0:
        _conversations[0].check()
        _conversations[0] = Conversation()


TARGETS = {"raw": raw, "signed": signed, "conversation": conversation}
