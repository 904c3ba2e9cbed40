"""One faulty host never harms the others; what changes below the overlay is followed."""

from __future__ import annotations

import itertools
import time
from functools import partial

import pytest

from tests.netns.lab import Host, Lab, until
from tests.netns.probe import Probe, reaches


@pytest.mark.timeout(120)
def test_faulty_hosts_hold_nobody_up_and_are_named(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24").start()
    lab.all_up()
    there, back = Probe(one.end, two.end, 7100), Probe(two.end, one.end, 7101)
    with there, back:
        secret = lab.host("secret", "10.9.0.11/24").start(secret="not the right secret")
        cidr = lab.host("cidr", "10.9.0.12/24").start("cidr: 10.123.0.0/24")
        small = lab.host("small", "10.9.0.13/24")
        small.ip("link", "set", "eth0", "mtu", "1400")
        small.start()
        flapping = lab.host("flapping", "10.9.0.14/24").start()
        for host in (cidr, small, flapping):
            until(host.up, f"{host.name} up")
        for _ in range(25):
            for state in ("down", "up"):
                flapping.ip("link", "set", "eth0", state)
                time.sleep(0.1)
        flapping.ip("address", "replace", "10.9.0.14/24", "dev", "eth0")
        until(lambda: reaches(one.end, flapping.end, 0.5), "the flapping one is back", 15)
        assert reaches(one.end, small.end)
    assert (there.outcome().lost, back.outcome().lost) == (0, 0)
    for host in (one, two):
        # Who sends without the secret is in status from when that is written next.
        until(partial(host.names, "10.9.0.11"), "named", 20)
        assert any("cidr 10.123.0.0/24" in text for text in host.status()["problems"])
        assert host.peer(small)["nics"] == [{"name": "eth0", "mtu": 1400}]
        assert host.peer(flapping)["state"] == "up"
    assert secret.status()["peers"] == []


def test_two_halves_that_meet_go_on_and_name_each_other(lab: Lab) -> None:
    left = [lab.host(f"l{n}", f"10.9.0.{n}/24", segment="a") for n in (1, 2)]
    right = [lab.host(f"r{n}", f"10.9.0.{n + 2}/24", segment="b") for n in (1, 2)]
    for half in (left, right):
        half[0].start("address: 100.64.192.50")
        half[1].start()
        for host in half:
            until(host.up, f"{host.name} up")
        for one, other in itertools.permutations(half):
            until(partial(one.knows, other), "known")
    probes = [Probe(half[1].end, half[0].end, 7100 + n) for n, half in enumerate((left, right))]
    with probes[0], probes[1]:
        lab.join("a", "b")
        for host in lab.hosts:
            until(lambda host=host: "100.64.192.50" in str(host.status()["problems"]),  # type: ignore[misc]
                  f"{host.name} names it", 20)  # fmt: skip
        time.sleep(1)
    assert [probe.outcome().lost for probe in probes] == [0, 0]
    assert left[0].address == right[0].address == "100.64.192.50"
    # An agent that starts again knows who was there first.
    left[1].stop()
    left[1].restart()
    until(left[1].up, "up again")
    until(lambda: "100.64.192.50" in str(left[1].status()["problems"]), "named again", 20)
    assert left[1].peer(right[0])["state"] == "conflict"
    assert left[1].peer(left[0])["state"] == "up"
    # And the remedy.
    right[0].stop()
    assert right[0].cli("reset", "--yes").returncode == 0
    right[0].start()
    lab.all_up()
    assert len({host.address for host in lab.hosts}) == 4
    for host in lab.hosts:
        until(lambda host=host: host.status()["problems"] == [], f"{host.name} is content")  # type: ignore[misc]
    assert reaches(left[1].end, right[0].end)


@pytest.mark.timeout(120)
def test_a_host_that_comes_back_and_finds_its_address_with_another(lab: Lab) -> None:
    old = lab.host("old", "10.9.0.1/24").start("address: 100.64.192.50")
    witness = lab.host("witness", "10.9.0.2/24").start()
    lab.all_up()
    lab.switch(old, "down")
    new = lab.host("new", "10.9.0.3/24").start("address: 100.64.192.50")
    until(new.up, "the replacement never heard of the old one")
    until(lambda: _holds(witness, new), "the old one is silent for too long", 50)
    assert reaches(witness.end, new.end)
    probe = Probe(witness.end, new.end, 7100)
    with probe:
        old.stop()
        old.restart()  # what is stored is used at once: without a network nobody can object
        until(old.up, "the old one is up, alone")
        lab.switch(old, "up")
        for host in lab.hosts:
            until(lambda host=host: "100.64.192.50" in str(host.status()["problems"]),  # type: ignore[misc]
                  f"{host.name} names it", 20)  # fmt: skip
        time.sleep(1)
    assert probe.outcome().lost == 0
    assert old.address == new.address == "100.64.192.50"
    assert witness.peer(old)["state"] == "conflict"


def _holds(witness: Host, new: Host) -> bool:
    peer = witness.knows(new)
    return peer is not None and peer["state"] == "up"


def test_two_nics_of_which_one_goes(lab: Lab) -> None:
    one, two = (lab.host(name, f"10.9.0.{n}/24").start() for n, name in enumerate("ab", 1))
    lab.all_up()
    address = one.address
    for n, host in enumerate((one, two), 1):
        lab.nic(host, "eth1", f"10.8.0.{n}/24", segment="b")
    until(lambda: len(one.peer(two)["nics"]) == 2, "told of both")
    for host in (one, two):
        host.ip("link", "set", "eth0", "down")
    assert reaches(one.end, two.end)
    one.ip("link", "set", "eth0", "up")
    one.ip("link", "del", "eth1")
    two.ip("link", "set", "eth0", "up")
    assert reaches(one.end, two.end)
    assert one.address == address


@pytest.mark.timeout(120)
def test_the_carrier_is_lost_and_comes_back_with_another_network(lab: Lab) -> None:
    hosts = [lab.host(f"h{n}", f"10.9.0.{n}/24", ipv6=False).start() for n in (1, 2, 3)]
    lab.all_up()
    for host in hosts:
        lab.switch(host, "down")
        host.ip("address", "flush", "dev", "eth0")
    until(lambda: all(p["state"] == "lost" for p in hosts[0].status()["peers"]), "all lost", 45)
    for n, host in enumerate(hosts, 1):
        lab.switch(host, "up")
        host.ip("address", "add", f"192.168.77.{n}/24", "dev", "eth0")
    for host in hosts[1:]:
        assert reaches(hosts[0].end, host.end)
    until(lambda: all(p["state"] == "up" for p in hosts[0].status()["peers"]), "all up", 5)


@pytest.mark.timeout(90)
def test_a_switch_that_starts_to_drop_broadcasts_breaks_nothing(lab: Lab) -> None:
    hosts = [lab.host(f"h{n}", f"10.9.0.{n}/24", ipv6=False).start() for n in (1, 2)]
    lab.all_up()
    for host in hosts:
        lab.switch_port(host, "bcast_flood", "off", "mcast_flood", "off")
        # ARP is broadcast as well, and switches that drop beacons leave it alone.
        for other in hosts:
            if other is not host:
                mac = other.ip("-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]
                number = hosts.index(other) + 1
                host.ip("neighbour", "replace", f"10.9.0.{number}", "lladdr", mac, "dev", "eth0")
    time.sleep(0.2)
    probe = Probe(hosts[0].end, hosts[1].end, 7100)
    with probe:
        time.sleep(40)
    assert probe.outcome().lost == 0
    assert hosts[0].peer(hosts[1])["state"] == "up"
