"""Hosts that find each other: addresses, forwarding, transports, trust."""

from __future__ import annotations

import ipaddress
import itertools
import json
import time

from tests.netns.lab import Lab, until
from tests.netns.namespaces import udp_socket
from tests.netns.probe import broadcast_copies, reaches

BROADCAST = "100.64.193.255"


def test_two_hosts_get_distinct_lasting_addresses_and_reach_each_other(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24").start()
    # Hardening that is strict everywhere must not cut the overlay.
    two.sysctl("net/ipv4/conf/all/rp_filter", "1")
    two.sysctl("net/ipv4/conf/default/rp_filter", "1")
    lab.all_up()
    cidr = ipaddress.ip_network("100.64.192.0/23")
    addresses = {ipaddress.ip_address(host.address) for host in lab.hosts}
    assert len(addresses) == 2
    assert addresses <= set(cidr)
    assert not addresses & {cidr[0], cidr[1], cidr[-1]}
    assert reaches(one.end, two.end)
    stored = json.loads((one.directory / "state/state.json").read_text())
    assert stored["address"] == one.address
    assert (one.directory / "state/state.json").stat().st_mode & 0o777 == 0o600
    assert one.peer(two)["transport"] == "ipv6-link-local"
    assert one.status()["overlay"]["mtu"] == 1430
    assert two.sysctl("net/ipv4/conf/scbr-100/rp_filter") == "2"
    shown = one.cli("status")
    assert shown.returncode == 0
    for text in ("100.64.192.1", one.address, two.address, "10.9.0.2", "IPv6 link-local"):
        assert text in shown.stdout
    assert json.loads(one.cli("status", "--json").stdout)["state"] == "up"
    assert one.cli("address").stdout.strip() == one.address
    assert one.cli("vip").stdout.strip() == "100.64.192.1"
    assert one.cli("wait", "--timeout", "1").returncode == 0
    for host in lab.hosts:
        assert "a secret of" not in host.log() + json.dumps(host.status())


def test_a_mixed_cluster_has_no_gaps_and_no_doubled_frames(lab: Lab) -> None:
    lab.host("one", "10.9.0.1/24").start()
    lab.host("two", "10.9.0.2/24").start()
    old = lab.host("old", "10.9.0.3/24", ipv6=False).start()
    lab.all_up()
    for one, other in itertools.permutations(lab.hosts, 2):
        assert reaches(one.end, other.end), f"{one.name} → {other.name}"
        assert broadcast_copies(one.end, other.end, BROADCAST) == 1
        expected = "ipv4" if old in (one, other) else "ipv6-link-local"
        assert one.peer(other)["transport"] == expected


def test_hosts_started_at_once_in_the_smallest_range_all_get_an_address(lab: Lab) -> None:
    hosts = [lab.host(f"h{n}", f"10.9.0.{n + 1}/24") for n in range(4)]
    for host in hosts:
        host.start("cidr: 10.77.0.0/29")
    lab.all_up(25)
    assert len({host.address for host in hosts}) == 4


def test_a_host_with_another_secret_is_no_peer(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24").start(secret="quite another secret")
    for host in (one, two):
        until(host.up, f"{host.name} up")
    time.sleep(0.5)
    assert one.status()["peers"] == []
    assert "flood" not in one.log()
    assert "edge-vx6 dst" not in one.bridge("fdb")


def test_a_host_with_another_vni_is_named_and_harmless(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24").start("vni: 101")
    for host in (one, two):
        until(host.up, f"{host.name} up")
    until(lambda: any("vni 101" in text for text in one.status()["problems"]), "named")
    assert one.status()["peers"] == []


def test_recorded_beacons_change_nothing(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24")
    attacker = lab.host("attacker", "10.9.0.66/24")
    with udp_socket(attacker.namespace, "", 4798) as sock:
        sock.settimeout(5)
        two.start()
        lab.hosts.remove(attacker)
        lab.all_up()
        recorded: list[bytes] = []
        while len(recorded) < 3:
            data, (source, _port) = sock.recvfrom(2000)
            if source == "10.9.0.2":
                recorded.append(data)
        two.ip("address", "del", "10.9.0.2/24", "dev", "eth0")
        two.ip("address", "add", "10.9.0.22/24", "dev", "eth0")
        until(lambda: "10.9.0.22" in one.peer(two)["physical"], "told")
        for data in recorded * 20:
            sock.sendto(data, ("10.9.0.1", 4798))
        two.stop()
        two.restart()
        until(two.up, "up again")
        for data in recorded * 20:  # now they are of a boot that is over
            sock.sendto(data, ("10.9.0.1", 4798))
        time.sleep(0.5)
        assert "10.9.0.2" not in one.peer(two)["physical"]
        assert reaches(one.end, two.end)
    lab.hosts.append(attacker)


def test_an_overlay_of_ipv6_addresses(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start("cidr: fd12:3456:789a::/64")
    two = lab.host("two", "10.9.0.2/24").start("cidr: fd12:3456:789a::/64")
    lab.all_up()
    assert one.address.startswith("fd12:3456:789a:")
    assert reaches(one.end, two.end)
    [route] = one.ip("-6", "route", "show", "fd12:3456:789a::/64").splitlines()
    assert "dev scbr-100 proto 97 metric 4096" in route


def test_only_the_chosen_nic_carries_the_overlay(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24")
    two = lab.host("two", "10.9.0.2/24")
    lab.nic(one, "lan1", "10.8.0.1/24", segment="b")
    lab.nic(two, "lan1", "10.8.0.2/24", segment="b")
    for host in (one, two):
        host.start("interface: lan*")
    lab.all_up()
    assert [nic["name"] for nic in one.status()["underlay"]] == ["lan1"]
    assert reaches(one.end, two.end)
    one.ip("link", "set", "eth0", "down")
    assert reaches(one.end, two.end)


def test_static_peers_across_a_router(lab: Lab) -> None:
    router = lab.host("router", "10.1.0.254/24")
    lab.nic(router, "eth1", "10.2.0.254/24", segment="b")
    router.sysctl("net/ipv4/ip_forward", "1")
    lab.hosts.remove(router)
    one = lab.host("one", "10.1.0.1/24")
    two = lab.host("two", "10.2.0.1/24", segment="b")
    one.ip("route", "add", "default", "via", "10.1.0.254")
    two.ip("route", "add", "default", "via", "10.2.0.254")
    one.start("peers: [10.2.0.1]")
    two.start()  # it learns of the other from the other
    lab.all_up()
    assert one.peer(two)["transport"] == "ipv4"
    assert reaches(one.end, two.end)
    one.ip("address", "del", "10.1.0.1/24", "dev", "eth0")
    one.ip("address", "add", "10.1.0.77/24", "dev", "eth0")
    time.sleep(0.5)  # DHCP clients take their time between the address and the route
    one.ip("route", "add", "default", "via", "10.1.0.254")
    until(lambda: two.peer(one)["physical"][:1] == ["10.1.0.77"], "told", 2)
    assert reaches(one.end, two.end)
