"""Who can reach the overlay: attacks from outside, and what they must not break."""

from __future__ import annotations

import json
import socket
import struct
import time

from tests.netns.lab import Host, Lab, until
from tests.netns.namespaces import packet_socket, run, udp_socket
from tests.netns.probe import reaches

VXLAN, BEACONS = 4797, 4798
_COUNTED_S = 20
"""Status is written every 5 s, and rarer where a write takes long."""


def _nft(host: Host, *words: str) -> str:
    return run("ip", "netns", "exec", host.namespace, "nft", *words)


def _filtered(host: Host) -> bool:
    return bool(host.status().get("firewall", {}).get("state") == "on")


def _dropped(host: Host, counter: str) -> int:
    return int(host.status()["firewall"]["dropped"].get(counter, 0))


def _arrived(host: Host) -> int:
    """How many packets its NIC has received."""
    found = json.loads(host.ip("-j", "-s", "link", "show", "eth0"))
    return int(found[0]["stats64"]["rx"]["packets"])


def _pair(lab: Lab, *, ipv6: bool = True) -> tuple[Host, Host]:
    one = lab.host("one", "10.9.0.1/24", ipv6=ipv6).start()
    two = lab.host("two", "10.9.0.2/24", ipv6=ipv6).start()
    lab.all_up()
    for host in (one, two):
        until(lambda host=host: _filtered(host), "firewall on")  # type: ignore[misc]
    return one, two


def _gratuitous_arp(victim: str, mac: bytes) -> bytes:
    """Return a VXLAN packet (VNI 100) with an ARP reply in it that gives `victim` a MAC address."""
    ethernet = b"\xff" * 6 + mac + b"\x08\x06"
    ip = socket.inet_aton(victim)
    arp = struct.pack("!HHBBH", 1, 0x0800, 6, 4, 2) + mac + ip + b"\xff" * 6 + ip
    return struct.pack("!II", 0x08000000, 100 << 8) + ethernet + arp


def _heard(host: Host, payload: bytes, source: tuple[str, str], target: str) -> bool:
    """Whether scbr-100 of `host` got the frame in a VXLAN packet sent from `source`."""
    namespace, address = source
    with packet_socket(host.namespace, "scbr-100", 0x0806) as tap:
        tap.settimeout(0.7)
        with udp_socket(namespace, address, 0) as sender:
            for _ in range(3):
                sender.sendto(payload, (target, VXLAN))
        end = time.monotonic() + 0.7
        while time.monotonic() < end:
            try:
                if payload[8 + 14 :] in tap.recv(2048):
                    return True
            except TimeoutError:
                return False
    return False


def test_vxlan_packets_are_taken_from_peers_alone(lab: Lab) -> None:
    one, two = _pair(lab)
    evil = lab.bystander("evil", "10.9.0.66/24")
    frame = _gratuitous_arp("100.64.192.1", b"\x02\x66\x66\x66\x66\x66")
    assert not _heard(one, frame, (evil.namespace, "10.9.0.66"), "10.9.0.1")
    until(lambda: _dropped(one, "stranger") >= 3, "counted", _COUNTED_S)
    assert _heard(one, frame, (two.namespace, "10.9.0.2"), "10.9.0.1")  # the probe can fail
    assert reaches(two.end, one.end)


def test_overlay_addresses_cannot_be_reached_from_outside(lab: Lab) -> None:
    one, two = _pair(lab)
    one.sysctl("net/ipv4/ip_forward", "1")
    outside = lab.bystander("outside", "10.9.0.66/24")
    outside.ip("route", "add", "100.64.192.0/23", "via", "10.9.0.1")
    two.ip("route", "add", "10.9.0.66/32", "via", one.address)  # the answer would find its way
    ends = (outside.namespace, "10.9.0.66")
    for target in (one, two):
        assert not reaches(ends, target.end)
    until(lambda: _dropped(one, "outside") >= 2, "counted", _COUNTED_S)
    # That it is the firewall which keeps them out:
    address = one.address
    one.stop()
    _nft(one, "delete", "table", "inet", "edge_overlay")
    assert reaches(ends, (one.namespace, address))


def test_pods_and_the_way_out_are_left_alone(lab: Lab) -> None:
    one, two = _pair(lab)
    one.sysctl("net/ipv4/ip_forward", "1")
    pod = lab.namespace("pod")
    one.ip("link", "add", "cali0", "type", "veth", "peer", "name", "eth0", "netns", pod)
    one.ip("address", "add", "10.42.0.1/24", "dev", "cali0")
    one.ip("link", "set", "cali0", "up")
    run("ip", "-n", pod, "address", "add", "10.42.0.9/24", "dev", "eth0")
    run("ip", "-n", pod, "link", "set", "eth0", "up")
    run("ip", "-n", pod, "route", "add", "default", "via", "10.42.0.1")
    two.ip("route", "add", "10.42.0.0/24", "via", one.address)
    assert reaches((pod, "10.42.0.9"), two.end)  # a pod to another host, over the overlay
    assert reaches((pod, "10.42.0.9"), one.end)
    outside = lab.bystander("outside", "10.9.0.66/24")
    outside.ip("route", "add", "10.42.0.0/24", "via", "10.9.0.1")
    assert reaches((pod, "10.42.0.9"), (outside.namespace, "10.9.0.66"))
    # A NodePort: by the physical address of one host into the overlay.
    _nft(one, "add table ip user;"
         "add chain ip user pre { type nat hook prerouting priority -100; };"
         f"add rule ip user pre ip daddr 10.9.0.1 udp dport 30000 dnat to {two.address}:30001;"
         "add chain ip user post { type nat hook postrouting priority 100; };"
         "add rule ip user post oifname scbr-100 masquerade")  # fmt: skip
    with (
        udp_socket(two.namespace, two.address, 30001) as service,
        udp_socket(outside.namespace, "10.9.0.66", 0) as client,
    ):
        service.settimeout(2)
        client.sendto(b"hello", ("10.9.0.1", 30000))
        assert service.recv(100) == b"hello"


def test_a_flushed_ruleset_is_healed_and_the_users_is_untouched(lab: Lab) -> None:
    one, _ = _pair(lab)
    _nft(one, "add table inet user; add chain inet user c { type filter hook input priority 0; };"
         "add rule inet user c tcp dport 22 accept")  # fmt: skip
    users = _nft(one, "list", "table", "inet", "user")
    _nft(one, "flush", "set", "inet", "edge_overlay", "peers6")
    until(lambda: "fe80" in _nft(one, "list", "set", "inet", "edge_overlay", "peers6"), "peers", 2)
    _nft(one, "delete", "table", "inet", "edge_overlay")
    until(lambda: "edge_overlay" in _nft(one, "list", "tables"), "the table is back", 2)
    assert _nft(one, "list", "table", "inet", "user") == users
    _nft(one, "flush", "ruleset")
    until(lambda: "edge_overlay" in _nft(one, "list", "tables"), "the table is back", 2)
    until(lambda: "10.9.0.2" in _nft(one, "list", "ruleset"), "with its peers", 2)
    assert "user" not in _nft(one, "list", "tables")  # what was flushed on purpose stays so


def test_the_rules_outlive_the_agent_and_can_be_switched_off(lab: Lab) -> None:
    one, two = _pair(lab, ipv6=False)
    two.stop()
    one.stop(9)
    before = _nft(one, "list", "set", "inet", "edge_overlay", "peers4")
    assert "10.9.0.2" in before
    one.restart()  # the other agent stays down: only the kernel's entries tell of it
    until(one.up, "up again")
    until(lambda: _filtered(one), "firewall on")
    assert _nft(one, "list", "set", "inet", "edge_overlay", "peers4") == before
    assert reaches((two.namespace, two.address), one.end)
    one.stop()
    one.start("firewall: false")
    until(one.up, "up without")
    until(lambda: "edge_overlay" not in _nft(one, "list", "tables"), "the table is gone")
    assert one.status()["firewall"] == {"state": "off", "reason": None, "dropped": {}}


def test_a_range_that_overlaps_the_physical_network_never_cuts_it_off(lab: Lab) -> None:
    one, _ = _pair(lab)
    one.ip("address", "add", "100.64.192.200/24", "dev", "eth0")
    outside = lab.bystander("outside", "100.64.192.201/24")
    until(lambda: "overlaps" in str(one.status()["problems"]), "told")
    until(
        lambda: reaches((outside.namespace, "100.64.192.201"), (one.namespace, "100.64.192.200")),
        "the physical address is reached", 3,
    )  # fmt: skip
    one.ip("address", "del", "100.64.192.200/24", "dev", "eth0")
    until(
        lambda: "100.64.192.0/23" in _nft(one, "list", "set", "inet", "edge_overlay", "overlay4"),
        "guarded again", 3,
    )  # fmt: skip


def test_a_host_without_nft_says_so_and_works(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24")
    two.library = lab.directory  # no firewall.nft there
    two.start()
    lab.all_up()
    until(lambda: any("firewall is off" in p for p in two.status()["problems"]), "told")
    assert two.status()["firewall"]["state"] == "off"
    assert reaches(one.end, two.end)


def test_a_flood_of_bad_beacons_is_bounded_before_it_reaches_the_agent(lab: Lab) -> None:
    one, two = _pair(lab)
    evil = lab.bystander("evil", "10.9.0.66/24")
    before, began = _arrived(one), time.monotonic()
    with udp_socket(evil.namespace, "10.9.0.66", 0) as sender:
        while time.monotonic() < began + 3:
            sender.sendto(b"EDGE" + bytes(300), ("10.9.0.1", BEACONS))
    # A busy machine's kernel loses some on the way, and lets the sender wait.
    arrived, took = _arrived(one) - before, time.monotonic() - began
    assert arrived > 2000, "it is a flood"
    until(lambda: _dropped(one, "flood") > arrived - 200 - took * 100 - 150, "all but the limit",
          _COUNTED_S)  # fmt: skip
    assert reaches(one.end, two.end)
    assert one.peer(two)["state"] == "up"
