"""The desired state, and the steps to it."""

from __future__ import annotations

import ipaddress
from dataclasses import replace
from pathlib import Path

import pytest

from overlay_runtime import BRIDGE, VXLAN4, VXLAN6
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.identity import Identity
from overlay_runtime.kernel.actual import read_routes
from overlay_runtime.kernel.desired import Desired, desired, overlay_mtu
from overlay_runtime.kernel.diff import (
    Known,
    corrections,
    must_recreate,
    stale_addresses,
    steps,
)
from overlay_runtime.kernel.model import (
    ADDRESS_PROTOCOL,
    BridgePort,
    Forwarding,
    Link,
    LinkAddress,
    Remote,
    Vxlan,
)
from overlay_runtime.peer import Peer, Transport
from tests.unit.runtime.samples import CIDR, V4, V6, beacon, nic

ME = Identity("me", "given")


def _peer(number: int, transport: Transport) -> Peer:
    return Peer(beacon(number), 0.0, 0.0, transport=transport)


PEERS = [_peer(1, Transport(V6("fe80::1"), 2)), _peer(2, Transport(V4("10.9.0.2")))]


def _desired(peers: list[Peer], *, ipv6: bool = True) -> Desired:
    return desired(OverlayConfig(), ME, CIDR[50], 23, peers, 1430, ipv6)


def test_each_peer_is_on_exactly_one_device() -> None:
    want = _desired(PEERS)
    assert [link.name for link in want.links] == [BRIDGE, VXLAN6, VXLAN4]
    assert str(want.address) == "100.64.192.50/23"
    six, four = Remote("fe80::1", 2), Remote("10.9.0.2")
    assert want.forwarding.flood == {(VXLAN6, six), (VXLAN4, four)}
    assert want.forwarding.unicast == {
        (VXLAN6, "02:00:00:00:00:01"): six,
        (VXLAN4, "02:00:00:00:00:02"): four,
    }
    assert want.forwarding.ports == {"02:00:00:00:00:01": VXLAN6, "02:00:00:00:00:02": VXLAN4}
    assert want.forwarding.neighbours["100.64.192.11"] == "02:00:00:00:00:01"
    assert want.sysctls["net/ipv4/conf/scbr-100/rp_filter"] == "2"


def test_without_ipv6_there_is_one_device() -> None:
    want = _desired(PEERS, ipv6=False)
    assert [link.name for link in want.links] == [BRIDGE, VXLAN4]
    assert {device for device, _ in want.forwarding.flood} == {VXLAN4}


@pytest.mark.parametrize(
    ("wanted", "mtus", "ipv6", "now", "result"),
    [(None, [1500, 9000], True, None, 1430), (None, [1500], False, None, 1450),
     (1300, [9000], True, None, 1300), (None, [], True, 8930, 8930), (None, [], True, None, 1430),
     (None, [1300], True, None, 1280)],
)  # fmt: skip
def test_mtu(wanted: int | None, mtus: list[int], ipv6: bool, now: int | None, result: int) -> None:
    assert overlay_mtu(wanted, [nic(mtu=mtu) for mtu in mtus], ipv6, now) == result


def test_nothing_to_do_is_no_step() -> None:
    have = _desired(PEERS).forwarding
    assert steps(_desired(PEERS).forwarding, have, None) == []


def test_new_comes_before_old_goes_and_a_moved_peer_is_replaced() -> None:
    have = _desired(PEERS).forwarding
    moved = _desired([_peer(1, Transport(V4("10.9.0.1"))), PEERS[1]]).forwarding
    found = steps(moved, have, None)
    assert [(step.table, step.remove) for step in found] == [
        ("flood", False), ("unicast", False), ("port", False),
        ("flood", True), ("unicast", True),
    ]  # fmt: skip
    assert found[3].remote == Remote("fe80::1", 2)
    assert (found[2].device, found[2].mac) == (VXLAN4, "02:00:00:00:00:01")


def test_a_new_restarted_agent_keeps_what_it_does_not_know_yet() -> None:
    have = _desired(PEERS).forwarding
    nothing = Known(frozenset(), frozenset(), frozenset())
    assert steps(Forwarding(), have, nothing) == []
    first = Known(frozenset({"02:00:00:00:00:01"}), frozenset({"fe80::1"}), frozenset())
    found = steps(Forwarding(), have, first)
    assert {step.mac for step in found if step.table != "flood"} == {"02:00:00:00:00:01"}
    assert [s.remote for s in found if s.table == "flood"] == [Remote("fe80::1", 2)]
    assert len(steps(Forwarding(), have, None)) == 8


_GOOD_PORT = BridgePort(isolated=True, learning=False, neigh_suppress=False)


def _vxlan_link(**changes: object) -> Link:
    want = _desired([]).links[1]
    link = Link(
        5, VXLAN6, "vxlan", want.mac, 1430, True, True, master=3,
        vxlan=Vxlan(100, 4797, learning=False, bound=False), port=_GOOD_PORT,
    )  # fmt: skip
    return replace(link, **changes)  # type: ignore[arg-type]


def test_a_right_device_is_adopted() -> None:
    want = _desired([]).links[1]
    assert must_recreate(want, _vxlan_link()) is None
    assert corrections(want, _vxlan_link(), 3) == []


@pytest.mark.parametrize(
    "changes",
    [{"kind": "dummy", "vxlan": None}, {"vxlan": Vxlan(101, 4797, False, False)},
     {"vxlan": Vxlan(100, 4789, False, False)}, {"vxlan": Vxlan(100, 4797, True, False)},
     {"vxlan": Vxlan(100, 4797, False, True)}, {"mac": "02:00:00:00:00:99"}],
)  # fmt: skip
def test_a_wrong_device_is_made_again(changes: dict[str, object]) -> None:
    assert must_recreate(_desired([]).links[1], _vxlan_link(**changes))


@pytest.mark.parametrize(
    ("changes", "setting"),
    [({"mtu": 1500}, "mtu"), ({"up": False}, "up"), ({"master": None}, "master"),
     ({"port": BridgePort(False, False, False)}, "port"),
     ({"port": BridgePort(True, True, False)}, "port"),
     ({"port": BridgePort(True, False, True)}, "port")],
)  # fmt: skip
def test_a_wrong_setting_is_corrected(changes: dict[str, object], setting: str) -> None:
    found = corrections(_desired([]).links[1], _vxlan_link(**changes), 3)
    assert setting in found


def test_only_addresses_that_we_set_are_stale() -> None:
    ours, old = "100.64.192.50/23", "100.64.192.60/23"
    have = [
        LinkAddress(3, ipaddress.ip_interface(text), protocol=protocol)
        for text, protocol in (
            (ours, ADDRESS_PROTOCOL), (old, ADDRESS_PROTOCOL), ("100.64.192.1/32", 0)
        )
    ]  # fmt: skip
    assert [str(a.interface) for a in stale_addresses(ours, have)] == [old]


def test_routes_of_proc(tmp_path: Path) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net/route").write_text(
        "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0109000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "eth0\t0000090A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    zero = "0" * 32
    (tmp_path / "net/ipv6_route").write_text(
        f"fd000000000000000000000000000000 40 {zero} 00 {zero} 00000100 00000001 00000000 "
        f"00000001 eth0\n{zero} 00 {zero} 00 {zero} ffffffff 00000001 00000000 00200200 lo\n"
    )
    found = [(str(route.network), route.link) for route in read_routes(tmp_path)]
    assert found == [("0.0.0.0/0", "eth0"), ("10.9.0.0/24", "eth0"), ("fd00::/64", "eth0")]
    assert read_routes(tmp_path / "none") == []
