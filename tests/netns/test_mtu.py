"""The MTU follows the physical path: NICs, peers' NICs, and what lies between and says nothing."""

from __future__ import annotations

from tests.netns.lab import Host, Lab, until
from tests.netns.namespaces import run


def _three(lab: Lab) -> list[Host]:
    hosts = [lab.host(name, f"10.9.0.{n}/24").start() for n, name in enumerate("abc", 1)]
    lab.all_up()
    return hosts


def _path(one: Host, other: Host) -> int | None:
    peer = one.knows(other)
    return peer["path_mtu"] if peer else None


def _largest(one: Host, other: Host) -> int:
    """The largest IP packet that gets across unfragmented, of those that are tried."""
    sizes = (1430, 1330, 1230)
    for size in sizes:
        words = ["ip", "netns", "exec", one.namespace, "ping", "-c1", "-W1", "-Mdo"]
        try:
            run(*words, "-s", str(size - 28), other.address)
        except AssertionError:
            continue
        return size
    return 0


def test_a_switch_with_a_smaller_mtu_is_found_and_costs_only_its_host(lab: Lab) -> None:
    one, two, narrow = _three(lab)
    until(lambda: _path(one, two) == _path(one, narrow) == 1500, "measured")
    assert _largest(one, narrow) == 1430
    lab.switch(narrow, "mtu", "1400")  # the switch drops what is larger, without a word
    for host in (one, two):
        host.stop()
        host.restart()  # or wait a minute
    until(lambda: _path(one, narrow) == _path(two, narrow) == 1400, "found", 20)
    until(lambda: _path(narrow, one) == 1400, "found from the other side", 20)
    assert _path(one, two) == 1500
    assert _largest(one, two) == 1430
    assert _largest(one, narrow) == _largest(narrow, one) == 1330
