"""The physical side misbehaves: one-way paths, ranges that meet, devices of others."""

from __future__ import annotations

import time

from tests.netns.lab import Host, Lab, until
from tests.netns.namespaces import run
from tests.netns.probe import reaches


def _pair(lab: Lab) -> tuple[Host, Host]:
    one, two = (lab.host(name, f"10.9.0.{n}/24").start() for n, name in enumerate("ab", 1))
    lab.all_up()
    return one, two


def _in(host: Host, *command: str) -> None:
    run("ip", "netns", "exec", host.namespace, *command)


def _transport(one: Host, other: Host) -> str | None:
    peer = one.knows(other)
    return str(peer["transport"]) if peer else None


def test_a_firewall_against_ipv6_leaves_ipv4(lab: Lab) -> None:
    one, two = lab.host("one", "10.9.0.1/24"), lab.host("two", "10.9.0.2/24")
    for rule in (("-P", "INPUT", "DROP"), ("-A", "INPUT", "-p", "ipv6-icmp", "-j", "ACCEPT")):
        _in(two, "ip6tables", *rule)
    for host in (one, two):
        host.start()
    lab.all_up()
    assert reaches(one.end, two.end)
    assert _transport(one, two) == _transport(two, one) == "ipv4"


def test_the_physical_network_wins_where_the_ranges_meet(lab: Lab) -> None:
    one, two = _pair(lab)
    cidr = "100.64.192.0/23"
    assert f"{cidr} dev scbr-100" in one.ip("route")
    # As networkd sets what DHCP told.
    one.ip("address", "add", "100.64.193.254/23", "dev", "eth0", "noprefixroute")
    one.ip("route", "add", cidr, "dev", "eth0", "metric", "1024")
    assert "dev eth0" in one.ip("route", "get", "100.64.193.77")
    until(lambda: any("overlaps" in text for text in one.status()["problems"]), "told")
    one.ip("address", "del", "100.64.193.254/23", "dev", "eth0")
    one.ip("route", "flush", "dev", "eth0", "root", cidr)
    assert reaches(one.end, two.end)


def test_the_route_to_the_overlay_heals_and_replaces_the_kernels(lab: Lab) -> None:
    one, two = _pair(lab)
    cidr = "100.64.192.0/23"
    one.ip("route", "del", cidr, "dev", "scbr-100")
    assert reaches(one.end, two.end)
    one.ip("route", "add", cidr, "dev", "scbr-100", "proto", "kernel")  # an earlier version's
    until(lambda: "proto kernel" not in one.ip("route", "show", cidr), "replaced", 3)
    assert "metric 4096" in one.ip("route", "show", cidr)


def test_without_a_vxlan_device_it_is_not_up(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24")
    for name, family in (("foreign4", ()), ("foreign6", ("local", "::1"))):
        one.ip("link", "add", name, "type", "vxlan", "id", "100", "dstport", "4797", *family)
        one.ip("link", "set", name, "up")
    one.start()
    until(lambda: any("remove that device" in text for text in one.status()["problems"]), "told")
    time.sleep(0.5)
    assert not one.up()
    assert one.cli("status").returncode == 1
    for name in ("foreign4", "foreign6"):
        one.ip("link", "del", name)
    until(one.up, "up", 5)
    # One device of the two is enough to be up, and the other may be about to come.
    until(lambda: one.status()["problems"] == [], "both are there", 5)
    assert one.up()


def test_a_link_that_flaps_makes_no_storm_of_beacons(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start("peers: [10.99.0.1]")  # there is no route to it
    lab.all_up()
    sent, began = _sent(one), time.monotonic()
    for _ in range(40):
        one.ip("link", "add", "noise", "type", "bridge")
        one.ip("link", "del", "noise")
    # The regular ones: every 8 s at most, of which the commands take many on a busy machine.
    assert _sent(one) - sent < 12 + 4 * int((time.monotonic() - began) / 8)


def _sent(host: Host) -> int:
    """UDP datagrams sent, of both families."""
    text = run("ip", "netns", "exec", host.namespace, "cat", "/proc/net/snmp", "/proc/net/snmp6")
    udp = [line.split() for line in text.splitlines() if line.startswith("Udp:")]
    udp6 = next(line.split()[1] for line in text.splitlines() if line.startswith("Udp6OutDatag"))
    return int(udp[1][udp[0].index("OutDatagrams")]) + int(udp6)
