"""Announcements that wait: which do, for how long, and in what order everything is taken in."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable
from dataclasses import replace

import pytest

from overlay_runtime.beacon.unhurried import Unhurried
from overlay_runtime.beacon.wire import Beacon, decode, derive_key, encode
from tests.unit.runtime.samples import beacon as sample

KEY = derive_key("a secret for the unhurried")
HERE, THERE = ipaddress.ip_address("10.1.7.23"), ipaddress.ip_address("fe80::23")


class Desk:
    """What was taken in, and what is to be done later."""

    def __init__(self, peers: int = 1000) -> None:
        self.taken: list[int] = []
        self.later: list[tuple[float, Callable[[], None]]] = []
        self.unhurried = Unhurried(
            lambda data, _source, _index: self.taken.append(decode(data, KEY).seq),
            lambda: peers,
            lambda seconds, do: self.later.append((seconds, do)),
        )

    def get(self, beacon: Beacon, seq: int, source: object = HERE, index: int = 2) -> list[int]:
        assert isinstance(source, ipaddress.IPv4Address | ipaddress.IPv6Address)
        self.unhurried.received(encode(replace(beacon, seq=seq), KEY), source, index)
        return self.taken


ANNOUNCED = replace(sample(), to_all=True, ask=False, echo=None)


def test_what_was_said_before_waits_and_is_taken_in_together() -> None:
    desk = Desk()
    assert desk.get(ANNOUNCED, 1) == [1]
    assert desk.get(ANNOUNCED, 2) == [1]
    assert desk.get(ANNOUNCED, 3) == [1]
    ((seconds, flush),) = desk.later
    assert seconds <= 0.5
    flush()
    assert desk.taken == [1, 2, 3]


@pytest.mark.parametrize(
    "news",
    [
        replace(ANNOUNCED, ask=True),
        replace(ANNOUNCED, echo="5" * 16, to_all=False, hears_all=True),
        replace(ANNOUNCED, boot="5" * 16),
        replace(ANNOUNCED, nics=()),
        replace(ANNOUNCED, state="claiming"),
    ],
    ids=["a question", "to one host", "started again", "other addresses", "another state"],
)
def test_news_waits_for_nothing_and_overtakes_nothing(news: Beacon) -> None:
    desk = Desk()
    desk.get(ANNOUNCED, 1)
    desk.get(ANNOUNCED, 2)
    assert desk.get(news, 3) == [1, 2, 3]


def test_the_first_one_over_another_way_is_news() -> None:
    desk = Desk()
    desk.get(ANNOUNCED, 1)
    assert desk.get(ANNOUNCED, 2, THERE) == [1, 2]
    assert desk.get(ANNOUNCED, 3, HERE, 3) == [1, 2, 3]
    assert desk.get(ANNOUNCED, 4, THERE) == [1, 2, 3]


def test_a_flood_of_them_is_not_gathered_without_end() -> None:
    desk = Desk()
    for seq in range(1, 1001):
        desk.get(ANNOUNCED, seq)
    assert len(desk.taken) > 900
    assert desk.taken == sorted(desk.taken)


def test_few_hosts_are_heard_at_once() -> None:
    desk = Desk(peers=64)
    desk.get(ANNOUNCED, 1)
    assert desk.get(ANNOUNCED, 2) == [1, 2]


def test_what_is_no_beacon_is_passed_on() -> None:
    passed: list[bytes] = []
    unhurried = Unhurried(
        lambda data, _source, _index: passed.append(data), lambda: 1000, lambda _s, _do: None
    )
    for data in (b"", b"EDGB\x02", bytes(1500)):
        unhurried.received(data, HERE, 2)
    assert passed == [b"", b"EDGB\x02", bytes(1500)]


def test_what_is_said_to_us_alone_waits_too_until_it_is_something_else() -> None:
    desk, directed = Desk(), replace(ANNOUNCED, to_all=False, echo="5" * 16)
    assert desk.get(ANNOUNCED, 1) == [1]
    assert desk.get(directed, 2) == [1, 2]
    assert desk.get(ANNOUNCED, 3) == [1, 2]
    assert desk.get(directed, 4) == [1, 2]
    assert desk.get(replace(directed, hears_all=True), 5) == [1, 2, 3, 4, 5]
