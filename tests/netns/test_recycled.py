"""Physical addresses that change hands: DHCP servers give them to whoever asks first.

Over IPv4 alone, as link-local addresses don't change hands. What must not be believed is the ARP
cache: it still has the MAC address of the host that had the address before.
"""

from __future__ import annotations

import itertools

from tests.netns.lab import Host, Lab, until
from tests.netns.probe import reaches


def _give(host: Host, old: str, new: str) -> None:
    host.ip("address", "del", f"{old}/24", "dev", "eth0")
    host.ip("address", "add", f"{new}/24", "dev", "eth0")


def _cluster(lab: Lab, count: int) -> list[Host]:
    hosts = [lab.host(f"h{n}", f"10.9.0.{n}/24", ipv6=False) for n in range(1, count + 1)]
    for host in hosts:
        host.start()
    lab.all_up()
    for one, other in itertools.permutations(hosts, 2):
        assert reaches(one.end, other.end)  # every ARP cache is warm
    return hosts


def _all_reach_all(hosts: list[Host], seconds: float) -> None:
    for one, other in itertools.permutations(hosts, 2):
        assert reaches(one.end, other.end, seconds), f"{one.name} → {other.name}"


def test_two_hosts_swap_their_addresses(lab: Lab) -> None:
    hosts = _cluster(lab, 3)
    overlay = [host.address for host in hosts]
    _give(hosts[0], "10.9.0.1", "10.9.0.99")
    _give(hosts[1], "10.9.0.2", "10.9.0.1")
    _give(hosts[0], "10.9.0.99", "10.9.0.2")
    _all_reach_all(hosts, 1.0)
    assert [host.address for host in hosts] == overlay
    until(lambda: hosts[2].peer(hosts[0])["physical"][:1] == ["10.9.0.2"], "shown", 2)


def test_a_new_host_gets_the_address_of_one_that_is_off(lab: Lab) -> None:
    hosts = _cluster(lab, 3)
    hosts[0].stop()
    hosts[0].ip("link", "set", "eth0", "down")
    late = lab.host("late", "10.9.0.1/24", ipv6=False).start()
    until(late.up, "up")
    _all_reach_all([late, *hosts[1:]], 1.0)
    # The other comes back with what DHCP has for it now.
    _give(hosts[0], "10.9.0.1", "10.9.0.50")
    hosts[0].ip("link", "set", "eth0", "up")
    hosts[0].restart()
    until(hosts[0].up, "up again")
    _all_reach_all([*hosts, late], 2.0)


def test_every_host_is_renumbered_in_a_circle(lab: Lab) -> None:
    hosts = _cluster(lab, 4)
    for number, host in enumerate(hosts, 1):
        host.ip("address", "del", f"10.9.0.{number}/24", "dev", "eth0")
    for number, host in enumerate(hosts, 1):
        host.ip("address", "add", f"10.9.0.{number % 4 + 1}/24", "dev", "eth0")
    _all_reach_all(hosts, 1.5)
