"""IPv6 without IPv4: on one segment, across a router, and beside hosts that have only the other."""

from __future__ import annotations

import itertools

import pytest

from tests.netns.lab import Host, Lab, until
from tests.netns.probe import broadcast_copies, reaches

BROADCAST = "100.64.193.255"


def _router(lab: Lab) -> Host:
    """Return a router between the segments a and b, for both families."""
    router = lab.bystander("router", "10.1.0.254/24", "2001:db8:1::fe/64")
    lab.nic(router, "eth1", "10.2.0.254/24", "2001:db8:2::fe/64", segment="b")
    router.sysctl("net/ipv4/ip_forward", "1")
    router.sysctl("net/ipv6/conf/all/forwarding", "1")
    return router


def _via_router(host: Host, segment: int, *families: int) -> None:
    if 4 in families:
        host.ip("route", "add", "default", "via", f"10.{segment}.0.254")
    if 6 in families:
        host.ip("-6", "route", "add", "default", "via", f"2001:db8:{segment}::fe")


def test_a_segment_without_ipv4(lab: Lab) -> None:
    hosts = [lab.host(f"h{n}", f"2001:db8:1::{n}/64").start() for n in (1, 2)]
    lab.all_up(25)
    one, two = hosts
    assert one.peer(two)["transport"] == "ipv6-link-local"
    assert reaches(one.end, two.end)
    assert broadcast_copies(one.end, two.end, BROADCAST) == 1


def test_only_ipv6_across_a_router(lab: Lab) -> None:
    _router(lab)
    one = lab.host("one", "2001:db8:1::1/64")
    two = lab.host("two", "2001:db8:2::1/64", segment="b")
    _via_router(one, 1, 6)
    _via_router(two, 2, 6)
    one.start("peers: ['2001:db8:2::1']")
    two.start()
    lab.all_up(25)
    assert one.peer(two)["transport"] == two.peer(one)["transport"] == "ipv6"
    assert reaches(one.end, two.end)
    # Renumbered: the prefix of a provider changes.
    one.ip("address", "del", "2001:db8:1::1/64", "dev", "eth0")
    one.ip("address", "add", "2001:db8:1::77/64", "dev", "eth0")
    until(lambda: two.peer(one)["physical"][:1] == ["2001:db8:1::77"], "told", 5)
    assert reaches(one.end, two.end)


def test_a_mixed_cluster_with_a_router_has_no_gaps_and_no_doubled_frames(lab: Lab) -> None:
    _router(lab)
    both = lab.host("both", "10.1.0.1/24", "2001:db8:1::1/64")
    old = lab.host("old", "10.1.0.2/24", ipv6=False)
    far = lab.host("far", "10.2.0.1/24", "2001:db8:2::1/64", segment="b")
    _via_router(both, 1, 4, 6)
    _via_router(old, 1, 4)
    _via_router(far, 2, 4, 6)
    both.start("peers: [10.2.0.1]")
    old.start("peers: [10.2.0.1]")
    far.start()
    lab.all_up(25)
    for one, other in itertools.permutations(lab.hosts, 2):
        assert one.peer(other)["transport"] == "ipv4" if old in (one, other) else True
        assert reaches(one.end, other.end), f"{one.name} → {other.name}"
        assert broadcast_copies(one.end, other.end, BROADCAST) == 1


def test_ipv4_dies_on_the_way_and_ipv6_takes_over(lab: Lab) -> None:
    router = _router(lab)
    one = lab.host("one", "10.1.0.1/24", "2001:db8:1::1/64")
    two = lab.host("two", "10.2.0.1/24", "2001:db8:2::1/64", segment="b")
    _via_router(one, 1, 4, 6)
    _via_router(two, 2, 4, 6)
    one.start("peers: [10.2.0.1]")
    two.start()
    lab.all_up(25)
    assert one.peer(two)["transport"] == "ipv4"
    for host in (one, two):
        segment = 1 if host is one else 2
        host.ip("address", "del", f"10.{segment}.0.1/24", "dev", "eth0")
    until(lambda: one.peer(two)["transport"] == "ipv6", "over IPv6", 15)
    assert reaches(one.end, two.end)
    assert router.sysctl("net/ipv4/ip_forward") == "1"


@pytest.mark.timeout(120)
def test_one_listed_peer_is_enough_for_two_segments(lab: Lab) -> None:
    """Hosts tell each other of third ones across the router."""
    _router(lab)
    near = [lab.host(f"near{n}", f"10.1.0.{n}/24", ipv6=False) for n in (1, 2)]
    far = [lab.host(f"far{n}", f"10.2.0.{n}/24", segment="b", ipv6=False) for n in (1, 2)]
    for segment, hosts in enumerate((near, far), start=1):
        for host in hosts:
            _via_router(host, segment, 4)
            host.start("peers: [10.2.0.1]" if host is near[0] else "")
    lab.all_up(60)
    for one, other in itertools.permutations(lab.hosts, 2):
        assert reaches(one.end, other.end), f"{one.name} → {other.name}"
        assert broadcast_copies(one.end, other.end, BROADCAST) == 1
