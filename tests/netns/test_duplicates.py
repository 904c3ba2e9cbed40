"""Who is no host of ours and yet uses an address of the overlay: a container on the bridge."""

from __future__ import annotations

import subprocess
import time

import pytest

from tests.netns.lab import Host, Lab, until
from tests.netns.namespaces import run
from tests.netns.probe import reaches


def _container(lab: Lab, host: Host, address: str) -> str:
    """Put a container with this address on a host's bridge; return its namespace."""
    inside = lab.namespace("container")
    host.ip("link", "add", "veth0", "type", "veth", "peer", "name", "eth0", "netns", inside)
    host.ip("link", "set", "veth0", "master", "scbr-100", "up")
    run("ip", "-n", inside, "link", "set", "eth0", "up")
    nodad = ("nodad",) if ":" in address else ()
    run("ip", "-n", inside, "address", "add", address, "dev", "eth0", *nodad)
    return inside


@pytest.mark.parametrize(
    ("cidr", "address"),
    [("100.64.192.0/23", "100.64.192.77"), ("fd12:3456:789a::/64", "fd12:3456:789a::77")],
)
def test_an_address_that_is_in_use_is_refused(lab: Lab, cidr: str, address: str) -> None:
    two = lab.host("two", "10.9.0.2/24").start(f"cidr: {cidr}")
    until(two.up, "up")
    prefix = cidr.split("/")[1]
    inside = _container(lab, two, f"{address}/{prefix}")
    mac = run("ip", "-n", inside, "-o", "link", "show", "eth0").split("link/ether ")[1].split()[0]
    one = lab.host("one", "10.9.0.1/24").start(f"cidr: {cidr}", f"address: '{address}'")
    until(lambda: any(mac in text for text in one.status()["problems"]), "refused", 15)
    assert one.status()["overlay"]["address"] is None
    run("ip", "-n", inside, "link", "set", "eth0", "down")
    until(one.up, "it is free now", 35)
    assert one.address == address


def test_an_address_is_defended_and_the_other_named(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24").start()
    lab.all_up()
    inside = _container(lab, two, f"{one.address}/23")
    assert not reaches((inside, one.address), two.end, 0.5)  # it asks for two's MAC address
    until(lambda: any("is also used by" in text for text in one.status()["problems"]), "named", 5)
    assert reaches(one.end, two.end)
    run("ip", "-n", inside, "link", "set", "eth0", "down")
    assert one.up()


@pytest.mark.timeout(90)
def test_a_host_moves_to_the_configured_address_or_keeps_the_old_one(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start("address: 100.64.192.50")
    two = lab.host("two", "10.9.0.2/24").start("address: 100.64.192.60")
    lab.all_up()
    two.stop()
    two.start("address: 100.64.192.50")  # taken
    until(lambda: "100.64.192.50 can't be used" in str(two.status()["problems"]), "refused", 15)
    assert two.address == "100.64.192.60"
    assert reaches(one.end, two.end)
    two.stop()
    # Without it the kernel takes the new address away together with the old one.
    two.sysctl("net/ipv4/conf/scbr-100/promote_secondaries", "0")
    monitor = subprocess.Popen(["ip", "-n", two.namespace, "-4", "monitor", "address"],
                               stdout=subprocess.PIPE, text=True)  # fmt: skip
    two.start("address: 100.64.192.70")
    until(lambda: two.up() and two.address == "100.64.192.70", "moved", 15)
    shown = ("address", "show", "scbr-100")
    until(lambda: "100.64.192.60" not in two.ip(*shown), "the old one is gone", 3)
    assert "100.64.192.70" in two.ip(*shown)
    time.sleep(0.5)
    monitor.terminate()
    changes = [line for line in monitor.communicate()[0].splitlines() if "inet " in line]
    assert any("inet 100.64.192.70/" in line for line in changes)
    assert any("Deleted" in line and "inet 100.64.192.60/" in line for line in changes)
    assert not any("Deleted" in line and "inet 100.64.192.70/" in line for line in changes)
    until(lambda: one.peer(two)["address"] == "100.64.192.70", "told", 2)
    assert reaches(one.end, two.end)
    assert "100.64.192.60" not in two.ip("address", "show", "scbr-100")
    # Two that want the same at the same moment: one gets it.
    for host in (one, two):
        host.stop()
    for host in (one, two):
        host.start("address: 100.64.192.99")
    until(lambda: "100.64.192.99" in (one.address, two.address), "one moved", 15)
    time.sleep(2)
    assert (one.address == "100.64.192.99") != (two.address == "100.64.192.99")
