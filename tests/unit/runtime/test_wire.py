"""Beacons on the wire: what is signed comes back, all else is refused."""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay_runtime.beacon.wire import (
    MAX_BYTES,
    BadBeacon,
    BeaconNic,
    MalformedBeacon,
    decode,
    derive_key,
    encode,
)
from tests.unit.runtime.samples import CIDR, V4, V6, beacon

KEY = derive_key("a secret of the tests")


def _signed(body: Any, directed: Any = b"") -> bytes:
    """Return a datagram with a right signature around whatever stands in it."""
    rest, told = (
        part if isinstance(part, bytes) else json.dumps(part).encode() for part in (body, directed)
    )
    start = bytearray(encode(beacon(echo="1" * 16), KEY)[:40])
    start[6:8] = len(told).to_bytes(2, "big")
    return bytes(start) + hmac.digest(KEY, bytes(start) + told + rest, hashlib.sha256) + told + rest


def _body() -> dict[str, Any]:
    return dict(json.loads(encode(beacon(), KEY)[72:]))


@given(
    st.integers(0, 2**53),
    st.booleans(),
    st.sampled_from(["claiming", "held"]),
    st.lists(st.ip_addresses(v=4, network="10.0.0.0/8"), max_size=8),
    st.lists(st.integers(1, 2**64 - 1).map(lambda n: V6((0xFE80 << 112) | n)), max_size=8),
)
def test_round_trip(seq: int, ask: bool, state: str, v4: list[V4], ll: list[V6]) -> None:
    sent = beacon(
        seq=seq, ask=ask, state=state, echo="5" * 16, yours=CIDR[9], heard=tuple(ll[:4]),
        nics=(BeaconNic("eth0", 1500, tuple(v4), tuple(ll), (V6("2001:db8::7"),)),),
        interval=27.5, to_all=ask, hears_all=not ask, seen=seq, others=(V4("10.1.1.1"), *v4[:3]),
    )  # fmt: skip
    assert decode(encode(sent, KEY), KEY) == sent


def test_too_much_is_left_out_not_sent() -> None:
    nics = tuple(
        BeaconNic(f"interface{n:05}", 9000, tuple(V4(f"10.200.{n}.{m + 100}") for m in range(20)),
                  tuple(V6(f"fe80::ffff:ffff:ffff:{m:x}") for m in range(20)))
        for n in range(40)
    )  # fmt: skip
    data = encode(beacon(nics=nics, name="n" * 500), KEY)
    assert len(data) <= MAX_BYTES
    assert decode(data, KEY).nics[0].v4[0] == V4("10.200.0.100")
    directed = beacon(nics=nics, name="n" * 500, echo="5" * 16, ask=True, seq=2**53, yours=CIDR[9],
                      heard=nics[0].ll, hears_all=True, seen=2**53, others=nics[0].ll)  # fmt: skip
    told = encode(directed, KEY)
    assert len(told) <= MAX_BYTES
    assert decode(told, KEY).nics == decode(data, KEY).nics


def test_the_key_and_every_bit_count() -> None:
    data = encode(beacon(), KEY)
    with pytest.raises(BadBeacon):
        decode(data, derive_key("another secret, also long"))
    with pytest.raises(BadBeacon):
        decode(data, derive_key(None))
    for bit in range(0, len(data) * 8, 3):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(BadBeacon):
            decode(bytes(changed), KEY)
    for length in range(len(data)):
        with pytest.raises(BadBeacon):
            decode(data[:length], KEY)


@pytest.mark.parametrize(
    "changes",
    [
        {"cidr": "x"}, {"vni": 0}, {"vni": True}, {"vni": 1.5}, {"port": 65535}, {"state": "gone"},
        {"address": "10.0.0.1"}, {"address": 5}, {"mac": "01:00:00:00:00:01"}, {"mac": "x"},
        {"mac": "00:00:00:00:00:00"}, {"nics": {}}, {"nics": [5]}, {"nics": [{}] * 17},
        {"name": "n" * 65}, {"interval": 0}, {"interval": "1"}, {"interval": True},
        {"interval": float("nan")}, {"interval": 1e9},
    ],
)  # fmt: skip
def test_a_signed_but_malformed_body(changes: dict[str, Any]) -> None:
    with pytest.raises(MalformedBeacon):
        decode(_signed({**_body(), **changes}), KEY)


@pytest.mark.parametrize(
    "directed",
    [
        {"yours": "x"}, {"yours": "10.0.0.1"}, {"heard": ["10.9.0.1"]}, {"heard": 5},
        {"heard": ["fe80::1"] * 9}, {"hears_all": 1}, {"seen": -1}, {"seen": True},
        {"others": ["x"]}, {"others": "10.9.0.1"}, [], 5, b"{", b"\xff",
    ],
)  # fmt: skip
def test_a_signed_but_malformed_directed_part(directed: Any) -> None:
    with pytest.raises(MalformedBeacon):
        decode(_signed(_body(), directed), KEY)


@pytest.mark.parametrize(
    ("v4", "ll"),
    [(7, None), (None, "2001:db8::1"), (None, "fe80::1%eth0"), (None, 5)],
)
def test_a_vtep_that_can_not_be_one(v4: object, ll: object) -> None:
    nic = {"name": "eth0", "mtu": 1500, "v4": [v4] if v4 else [], "ll": [ll] if ll else []}
    with pytest.raises(MalformedBeacon):
        decode(_signed({**_body(), "nics": [nic]}), KEY)


@pytest.mark.parametrize(
    "odd", ["100.64.192.20", "224.0.0.1", "127.0.0.1", "255.255.255.255", "0.0.0.0", "240.0.0.9"]
)
def test_an_odd_address_or_mtu_does_not_hide_the_host(odd: str) -> None:
    nic = {"name": "eth0", "mtu": 2**31, "v4": [odd, "10.9.0.1"], "ll": ["fe80::1"]}
    [found] = decode(_signed({**_body(), "nics": [nic]}), KEY).nics
    assert (found.v4, found.ll) == ((V4("10.9.0.1"),), (V6("fe80::1"),))


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(st.sampled_from(sorted(_body())), _json)
def test_any_value_in_any_field(name: str, value: object) -> None:
    with contextlib.suppress(BadBeacon):
        decode(_signed({**_body(), name: value}), KEY)


@given(st.sampled_from(["yours", "heard", "hears_all", "seen", "others"]), _json)
def test_any_value_in_any_directed_field(name: str, value: object) -> None:
    with contextlib.suppress(BadBeacon):
        decode(_signed(_body(), {name: value}), KEY)


@given(st.binary(max_size=1300))
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(BadBeacon):
        decode(data, KEY)
    with pytest.raises(BadBeacon):
        decode(_signed(data), KEY)


def test_deep_json() -> None:
    with pytest.raises(BadBeacon):
        decode(_signed(b"[" * 1100), KEY)
