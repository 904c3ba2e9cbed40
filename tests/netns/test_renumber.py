"""The physical addresses change: what it costs, by transport."""

from __future__ import annotations

import time

from tests.netns.lab import Host, Lab, until
from tests.netns.probe import Outcome, Probe, reaches


def _renumber(hosts: list[Host], old: str, new: str, without: float) -> float:
    """Take every host's IPv4 address away, wait, and give it another; how long that took."""
    began = time.monotonic()
    for number, host in enumerate(hosts, 1):
        host.ip("address", "del", f"{old}.{number}/24", "dev", "eth0")
    time.sleep(without)
    for number, host in enumerate(hosts, 1):
        host.ip("address", "add", f"{new}.{number}/24", "dev", "eth0")
    return time.monotonic() - began


def _probed(one: Host, two: Host, without: float) -> tuple[list[Outcome], float]:
    """What became of packets both ways meanwhile, and how long the renumbering itself took."""
    there, back = Probe(one.end, two.end, 7100), Probe(two.end, one.end, 7101)
    with there, back:
        time.sleep(0.5)
        took = _renumber([one, two], "10.9.0", "172.20.5", without)
        time.sleep(1.5)
    return [there.outcome(), back.outcome()], took


def test_link_local_transport_loses_nothing(lab: Lab) -> None:
    one, two = (lab.host(name, f"10.9.0.{n}/24").start() for n, name in enumerate("ab", 1))
    lab.all_up()
    addresses = one.address, two.address
    for outcome in _probed(one, two, without=0.5)[0]:
        print(outcome)
        assert outcome.sent > 1500
        assert outcome.lost == 0
    assert (one.address, two.address) == addresses
    until(lambda: "172.20.5.2" in one.peer(two)["physical"], "told", 3)


def test_ipv4_transport_recovers(lab: Lab) -> None:
    one, two = (
        lab.host(name, f"10.9.0.{n}/24", ipv6=False).start() for n, name in enumerate("ab", 1)
    )
    lab.all_up()
    outcomes, took = _probed(one, two, without=0.0)
    for outcome in outcomes:
        print(outcome, f"{took:.3f} s for the `ip` commands")
        # 0.05 on a quiet machine, most of it the commands, which take ten times as long on a busy
        # one: until the last has ended there is no way.
        assert outcome.gap - took < 0.45
    assert one.peer(two)["transport"] == "ipv4"
    assert reaches(one.end, two.end)


def test_another_nic_takes_over(lab: Lab) -> None:
    one, two = (lab.host(name, f"10.9.0.{n}/24").start() for n, name in enumerate("ab", 1))
    lab.all_up()
    lab.nic(one, "eth1", "10.9.0.77/24")
    one.ip("link", "del", "eth0")
    assert reaches(one.end, two.end)
    # Still without an IPv4 address, as before DHCP.
    lab.nic(one, "eth2")
    one.ip("link", "del", "eth1")
    assert reaches(one.end, two.end), "over link-local addresses alone"
    lab.nic(one, "eth1", "10.9.0.78/24")
    one.ip("link", "del", "eth2")
    until(lambda: [nic["name"] for nic in one.status()["underlay"]] == ["eth1"], "shown", 2)
