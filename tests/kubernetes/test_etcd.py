"""Three members of etcd on overlay addresses, and what happens to the hosts below."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import pytest

from tests.kubernetes.etcd import (
    ELECTION_TIMEOUT_S,
    Member,
    Watch,
    Writers,
    assert_nothing_lost,
    leader,
    peer_url,
    start_members,
)
from tests.kubernetes.evidence import record
from tests.kubernetes.faults import (
    FIRST,
    SECOND,
    may_start,
    renumber_all,
    renumber_in_turn,
    three_hosts,
)
from tests.netns.lab import Host, Lab, until

Fault = Callable[[list[Host]], None]


@pytest.mark.parametrize(
    ("name", "ipv6", "fault"),
    [
        # As long as a DHCP server takes: the transport is IPv6 link-local.
        ("at once", True, lambda hosts: renumber_all(hosts, SECOND, without=3.0)),
        ("in turn", True, lambda hosts: renumber_in_turn(hosts, SECOND, without=3.0)),
        # Without IPv6 nothing can be sent while there is no address at all; and hosts in two
        # networks don't meet unless there is a router.
        ("at once, IPv4", False, lambda hosts: renumber_all(hosts, SECOND, without=0.0)),
        ("in turn, IPv4", False, lambda hosts: renumber_in_turn(hosts, FIRST, 0.0, first=101)),
    ],
)
def test_renumbered_hosts_keep_their_leader(lab: Lab, name: str, ipv6: bool, fault: Fault) -> None:
    hosts = three_hosts(lab, ipv6=ipv6)
    members = start_members(hosts)
    addresses = [host.address for host in hosts]
    with Writers(members) as writers, Watch(members) as watch:
        fault(hosts)
        time.sleep(2)
    record(
        f"etcd: renumbered {name}", acknowledged=len(writers.acknowledged()),
        refused=writers.refused(), gap=writers.gap(), terms=len(watch.terms()),
    )  # fmt: skip
    assert [host.address for host in hosts] == addresses
    assert len(watch.terms()) == 1, watch.seen
    assert len(watch.leaders()) == 1 and 0 not in watch.leaders(), watch.seen
    assert writers.refused() == 0
    assert writers.gap() < ELECTION_TIMEOUT_S
    assert_nothing_lost(writers, members)


@pytest.mark.parametrize("whose", ["follower", "leader"])
def test_a_host_loses_its_power_and_comes_back(lab: Lab, whose: str) -> None:
    hosts = three_hosts(lab)
    members = start_members(hosts)
    leading = leader(members)
    victim = leading if whose == "leader" else next(m for m in members if m is not leading)
    others = [member for member in members if member is not victim]
    number = hosts.index(victim.host) + 1
    # What was sent to a leader that is gone is never answered: a client must try again by itself.
    writers, ended = Writers(others, timeout=ELECTION_TIMEOUT_S), Writers([victim])
    with writers, ended, Watch(others) as watch:
        lab.power_cut(victim.host)
        time.sleep(4)
        lab.power_on(victim.host, f"{SECOND}.{number}/24")  # the lease went to somebody else
        until(lambda: may_start(victim.host), "its overlay is up again", 20)
        victim.service.start()
        until(victim.ready, "its etcd is ready again", 30)
        time.sleep(1)
    record(
        f"etcd: power cut of the {whose}", refused=writers.refused() + ended.refused(),
        acknowledged=len(writers.acknowledged()) + len(ended.acknowledged()),
        gap=writers.gap(), terms=len(watch.terms()),
    )  # fmt: skip
    assert victim.host.address == victim.address
    for each in (writers, ended):
        assert_nothing_lost(each, members)
    if whose == "follower":
        assert len(watch.terms()) == 1, watch.seen
        assert writers.refused() == 0
        assert writers.gap() < ELECTION_TIMEOUT_S
    else:  # a follower waits one to two timeouts, a vote may be split, and the client's own
        assert writers.gap() < 5 * ELECTION_TIMEOUT_S


def test_a_fourth_host_joins_while_a_fifth_is_broken(lab: Lab) -> None:
    hosts = three_hosts(lab)
    members = start_members(hosts)
    with Writers(members) as writers, Watch(members) as watch:
        fifth = lab.bystander("h5", f"{FIRST}.5/24").start(secret="not the right secret")
        started = time.monotonic()
        fourth = lab.host("h4", f"{FIRST}.4/24").start()
        lab.all_up(20)
        joined = time.monotonic() - started
        for host in hosts:
            until(partial(host.names, "10.9.0.5"), "named", 20)
        assert fifth.status()["peers"] == []
        until(lambda: _add(members[0], fourth), "etcd takes the fourth member", 20)
        added = Member(fourth, [*hosts, fourth], joins=True)
        added.service.start()
        until(added.ready, "the fourth member is ready", 30)
    record(
        "etcd: a fourth host joins beside a broken fifth", overlay_after=joined,
        acknowledged=len(writers.acknowledged()), refused=writers.refused(), gap=writers.gap(),
        terms=len(watch.terms()),
    )  # fmt: skip
    assert len(watch.terms()) == 1, watch.seen
    assert writers.refused() == 0
    assert writers.gap() < ELECTION_TIMEOUT_S
    assert_nothing_lost(writers, [*members, added])


def _add(member: Member, host: Host) -> bool:
    """Members are only taken when all others have been connected for five seconds."""
    try:
        member.client()("/v3/cluster/member/add", {"peerURLs": [peer_url(host)]})
    except OSError as error:
        if "Peer URLs already exists" in str(error):
            return True  # by a try before, whose answer came too late
        if "unhealthy cluster" in str(error) or "timed out" in str(error):
            return False
        raise
    return True
