"""The VIP by kube-vip with its election in etcd: how long nobody answers there."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.kubernetes.etcd import ELECTION_TIMEOUT_S, Member, leader, start_members
from tests.kubernetes.evidence import record
from tests.kubernetes.faults import FIRST, SECOND, may_start, renumber_all, three_hosts
from tests.kubernetes.programs import Programs
from tests.kubernetes.vip import (
    LEASE_S,
    KubeVip,
    NameServer,
    VipProbe,
    holder,
    kill,
    with_etcd,
)
from tests.netns.lab import Host, Lab, until

VIP = "100.64.192.1"


@dataclass
class Site:
    """Three control planes with etcd and kube-vip, and a host that talks to the VIP."""

    hosts: list[Host]
    client: Host
    members: list[Member]
    vips: list[KubeVip]

    def holder(self) -> KubeVip:
        """Who has the VIP: exactly one."""
        until(lambda: holder(self.vips), "one host has the VIP", 20)
        found = holder(self.vips)
        assert found is not None
        return found


@contextmanager
def site(lab: Lab, programs: Programs) -> Iterator[Site]:
    """Start all; the VIP answers."""
    hosts = three_hosts(lab)
    client = lab.host("client", f"{FIRST}.4/24").start()
    lab.all_up(30)
    members = start_members(hosts)
    servers = [NameServer(host) for host in hosts]
    vips = [with_etcd(each.host, programs, VIP, each.url) for each in members]
    try:
        for each in vips:
            each.start()
        until(lambda: holder(vips), "one host has the VIP", 30)
        with VipProbe(client, VIP) as probe:
            until(lambda: probe.answers_since(0), "the VIP answers", 10)
        yield Site(hosts, client, members, vips)
    finally:
        for each in vips:
            each.stop()
            print(f"--- kube-vip of {each.host.name}\n{each.service.log()[-3000:]}")
        for server in servers:
            server.close()


def test_the_vip_outlives_renumbering_and_its_program(lab: Lab, programs: Programs) -> None:
    with site(lab, programs) as there:
        before = there.holder()
        with VipProbe(there.client, VIP) as probe:
            renumber_all([*there.hosts, there.client], SECOND, without=3.0)
            time.sleep(2)
        record("VIP, election in etcd: all hosts renumbered", gap=probe.gap())
        assert there.holder() is before
        assert probe.gap() < 1.0
        with VipProbe(there.client, VIP) as probe:
            kill(before.service)
            time.sleep(2 * LEASE_S + 3)
        record("VIP, election in etcd: kube-vip killed on its host", gap=probe.gap())
        # Started again it takes the VIP off and ends until its own lease of before has; then
        # another one waits as long again. With leases in the API it just goes on (test_cluster).
        assert probe.gap() < 2 * LEASE_S + 2
        there.holder()  # one only


def test_the_host_with_the_vip_loses_its_power(lab: Lab, programs: Programs) -> None:
    with site(lab, programs) as there:
        first = there.holder()
        number = there.hosts.index(first.host)
        leads = leader(there.members).host is first.host
        first.stop()
        lab.power_cut(first.host)
        cut = time.monotonic()
        with VipProbe(there.client, VIP) as probe:
            until(lambda: probe.answers_since(cut), "the VIP answers again", 30)
            gone = time.monotonic() - cut
        record("VIP, election in etcd: power cut of its host", gone=gone, led_etcd=leads)
        second = there.holder()
        assert second is not first
        # The lease ends, and the next one waits as long again (kube-vip 1.0.0, pkg/etcd/
        # election.go: "is this too cautious?"). A new leader of etcd gives leases their full time.
        assert gone < 2 * LEASE_S + 2 + (LEASE_S + 3 * ELECTION_TIMEOUT_S if leads else 0)
        with VipProbe(there.client, VIP) as probe:
            lab.power_on(first.host, f"{SECOND}.{number + 1}/24")
            until(lambda: may_start(first.host), "its overlay is up again", 20)
            there.members[number].service.start()
            until(there.members[number].ready, "its etcd is ready", 30)
            server = NameServer(first.host)
            first.start()
            time.sleep(3)
            server.close()
        record("VIP, election in etcd: its former host is back", gap=probe.gap())
        assert there.holder() is second
        assert probe.gap() < 1.0
