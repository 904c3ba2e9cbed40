"""Hosts of one segment get addresses of subnets that no route connects (two DHCP servers)."""

from __future__ import annotations

import time

from tests.netns.lab import Lab, until
from tests.netns.probe import Probe


def test_one_host_in_another_subnet_loses_nothing(lab: Lab) -> None:
    one, two = (lab.host(name, f"10.9.0.{n}/24").start() for n, name in enumerate("ab", 1))
    lab.all_up()
    there, back = Probe(one.end, two.end, 7100), Probe(two.end, one.end, 7101)
    with there, back:
        time.sleep(0.5)
        # No route leads from one subnet to the other: only link-local addresses do.
        one.ip("address", "del", "10.9.0.1/24", "dev", "eth0")
        one.ip("address", "add", "192.168.77.5/28", "dev", "eth0")
        time.sleep(1.5)
    for outcome in (there.outcome(), back.outcome()):
        print(outcome)
        assert outcome.sent > 1500
        assert outcome.lost == 0
    until(lambda: "192.168.77.5" in two.peer(one)["physical"], "told", 3)
    assert two.peer(one)["transport"] == one.peer(two)["transport"] == "ipv6-link-local"
