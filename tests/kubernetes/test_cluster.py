"""The whole: etcd, kube-apiserver, kube-vip, flannel and pods, while the hosts are renumbered,
lose their power, and join. Tests share one cluster, which each leaves whole."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from tests.kubernetes.cluster import Cluster, Seen
from tests.kubernetes.etcd import ELECTION_TIMEOUT_S, Writers, assert_nothing_lost, leader
from tests.kubernetes.evidence import record
from tests.kubernetes.faults import FIRST, SECOND, THIRD, renumber_all, renumber_in_turn
from tests.kubernetes.programs import Programs
from tests.kubernetes.vip import LEASE_S, VipProbe, kill
from tests.netns.lab import Lab, until
from tests.netns.namespaces import run
from tests.netns.probe import reaches


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, programs: Programs) -> Iterator[Cluster]:
    with Lab(tmp_path_factory.mktemp("cluster")) as lab, Cluster(lab, programs) as made:
        made.start()
        yield made


def _assert_undisturbed(seen: Seen) -> None:
    """Nobody has noticed."""
    assert len(seen.watch.terms()) == 1, seen.watch.seen
    assert seen.writers.refused() == 0
    assert seen.writers.gap() < ELECTION_TIMEOUT_S
    assert_nothing_lost(seen.writers, seen.members)
    assert seen.vip.gap() < 1.0
    assert seen.pods().gap < 1.0


def test_a_load_balancer_is_announced_on_the_physical_network(cluster: Cluster) -> None:
    outside = cluster.lab.bystander("outside", f"{FIRST}.99/24")
    address = f"{FIRST}.200"
    cluster.planes[0].kubectl("create", "-f", "-", given={
        "apiVersion": "v1", "kind": "Service", "metadata": {
            "name": "shop", "namespace": "default",
            "annotations": {"kube-vip.io/loadbalancerIPs": address},
        },
        "spec": {"type": "LoadBalancer", "ports": [{"port": 80}]},
    })  # fmt: skip

    def holders() -> list[str]:
        return [
            host.name for host in cluster.hosts
            if f" {address}/" in host.ip("-4", "-o", "address", "show", "eth0")
        ]  # fmt: skip

    until(lambda: len(holders()) == 1, "one control plane has the service's address", 20)
    run("ip", "netns", "exec", outside.namespace, "ping", "-c", "2", "-W", "2", address)
    for host in cluster.hosts:
        assert address not in host.ip("address", "show", "scbr-100")
    cluster.planes[0].kubectl("delete", "service", "shop")
    until(lambda: not holders(), "the address is gone with the service", 20)


def test_all_hosts_are_renumbered_at_once(cluster: Cluster) -> None:
    hosts, before = [*cluster.hosts, cluster.worker], cluster.holder()
    with Seen(cluster, cluster.members, (cluster.hosts[0], cluster.worker)) as seen:
        renumber_all(hosts, SECOND, without=3.0)
        time.sleep(2)
    record("cluster: renumbered at once", **seen.figures())
    _assert_undisturbed(seen)
    assert seen.api.refused == 0
    assert cluster.holder() is before


def test_hosts_are_renumbered_in_turn(cluster: Cluster) -> None:
    hosts, before = [*cluster.hosts, cluster.worker], cluster.holder()
    with Seen(cluster, cluster.members, (cluster.hosts[0], cluster.worker)) as seen:
        renumber_in_turn(hosts, THIRD, without=3.0)
    record("cluster: renumbered in turn", **seen.figures())
    _assert_undisturbed(seen)
    assert seen.api.refused == 0
    assert cluster.holder() is before


def test_a_fifth_host_joins_while_a_sixth_is_broken(cluster: Cluster) -> None:
    with Seen(cluster, cluster.members, (cluster.hosts[0], cluster.worker)) as seen:
        broken = cluster.lab.bystander("broken", f"{THIRD}.6/24")
        broken.start(secret="not the right secret")
        fifth = cluster.lab.host("fifth", f"{THIRD}.5/24").start()
        cluster.lab.all_up(30)
        cluster.add_node(fifth)
        there, here = cluster.pods["fifth"].end, cluster.pods["worker"].end
        assert reaches(there, here, 10)
    record("cluster: a host joins beside a broken one", **seen.figures())
    _assert_undisturbed(seen)
    assert broken.status()["peers"] == []
    for host in cluster.hosts:
        until(partial(host.names, f"{THIRD}.6"), "named", 20)


def test_full_packets_of_pods_fit_the_overlay(cluster: Cluster) -> None:
    one, other = cluster.pods["h1"], cluster.pods["worker"]
    link = run("ip", "-n", one.namespace, "-j", "link", "show", "eth0")
    mtu = int(json.loads(link)[0]["mtu"])
    overlay = int(json.loads(cluster.hosts[0].ip("-j", "link", "show", "scbr-100"))[0]["mtu"])
    assert mtu == overlay - 50  # flannel's own VXLAN within ours
    # Don't fragment: 28 bytes of IPv4 and ICMP are part of the packet.
    run("ip", "netns", "exec", one.namespace, "ping", "-c", "3", "-W", "2", "-M", "do",
        "-s", str(mtu - 28), other.address)  # fmt: skip


def test_kube_vip_is_killed_where_the_vip_is(cluster: Cluster) -> None:
    with VipProbe(cluster.worker, cluster.vips[0].vip) as probe:
        kill(cluster.holder().service)
        time.sleep(LEASE_S + 3)
    record("cluster: kube-vip of the holder killed", vip_gap=probe.gap())
    assert probe.gap() < LEASE_S + 1
    cluster.holder()  # one only


def test_the_host_with_the_vip_loses_its_power(cluster: Cluster) -> None:
    victim = cluster.holder()
    number = cluster.hosts.index(victim.host)
    others = [member for member in cluster.members if member.host is not victim.host]
    led, address = leader(cluster.members).host is victim.host, victim.host.address
    with Seen(cluster, others, (others[0].host, cluster.worker)) as seen:
        cluster.power_cut(victim.host)
        cut = time.monotonic()
        until(lambda: seen.vip.answers_since(cut), "the VIP answers again", 40)
        answered, gone = time.time(), time.monotonic() - cut
        time.sleep(2)
    leads, since = cluster.lease()
    record(
        "cluster: power cut of the VIP's host", vip_gone=gone, after_lease=answered - since,
        led_etcd=led, **seen.figures(),
    )  # fmt: skip
    assert gone < LEASE_S + 1, cluster.watched()
    assert seen.pods().gap < 1.0
    assert_nothing_lost(seen.writers, others)
    second = cluster.holder()
    assert leads == second.host.name != victim.host.name
    # Who also held the services' lease may have lost that meanwhile, with etcd's leader: kube-vip
    # then ends, and begins again with the VIP's lease still its own.
    assert answered - max(since, second.service.started) < 1.0
    with VipProbe(cluster.worker, second.vip) as probe:
        cluster.boot(victim.host, f"{SECOND}.{number + 101}/24")
        until(cluster.members[number].ready, "its etcd is ready", 30)
        until(cluster.planes[number].ready, "its kube-apiserver is ready", 60)
        cluster.start_pods(victim.host)
        assert reaches(cluster.pods[victim.host.name].end, cluster.pods["worker"].end, 20)
    record("cluster: the VIP's former host is back", vip_gap=probe.gap())
    assert victim.host.address == address
    assert_nothing_lost(seen.writers, cluster.members)
    assert probe.gap() < 1.0
    assert cluster.holder() is second


def test_the_whole_site_loses_its_power(cluster: Cluster) -> None:
    hosts = [host for host in cluster.lab.hosts if host.name in cluster.pods]
    addresses = [host.address for host in hosts]
    with Writers(cluster.members, timeout=1.0) as writers:
        for host in hosts:
            cluster.power_cut(host)
    began = time.monotonic()
    with ThreadPoolExecutor() as pool:
        list(pool.map(cluster.boot, hosts, [f"{FIRST}.{n}/24" for n in range(201, 250)]))
    overlay = time.monotonic() - began
    assert [host.address for host in hosts] == addresses
    for member in cluster.members:
        until(member.ready, f"etcd of {member.host.name} is ready", 30)
    etcd = time.monotonic() - began
    assert_nothing_lost(writers, cluster.members)
    with VipProbe(cluster.worker, cluster.vips[0].vip) as probe:
        until(lambda: probe.answers_since(began), "the VIP answers again", 60)
        answers = time.monotonic() - began
    for host in hosts:
        cluster.start_pods(host)
    for host in cluster.hosts:
        assert reaches(cluster.pods[host.name].end, cluster.pods["worker"].end, 20)
    pods = time.monotonic() - began
    record(
        "cluster: the whole site's power cut, other addresses after it", overlay_after=overlay,
        etcd_after=etcd, vip_after=answers, pods_after=pods,
        etcd_acknowledged=len(writers.acknowledged()),
    )  # fmt: skip
    cluster.holder()
