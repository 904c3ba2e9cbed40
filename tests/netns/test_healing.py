"""Whatever happens to the kernel's state or to the agent: it heals, and traffic goes on."""

from __future__ import annotations

import json
import shutil
import signal
import time

import pytest

from tests.netns.lab import Host, Lab, until
from tests.netns.probe import Probe, reaches


def test_deleted_pieces_come_back(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24").start()
    lab.all_up()
    mac = two.status()["host"] and one.peer(two)["mac"]
    for what in (
        ("link", "del", "scbr-100"),
        ("link", "del", "edge-vx6"),
        ("link", "set", "edge-vx6", "nomaster"),
        ("link", "set", "scbr-100", "down"),
        ("address", "flush", "dev", "scbr-100"),
        ("neighbour", "flush", "dev", "scbr-100", "nud", "permanent"),
    ):
        one.ip(*what)
        assert reaches(one.end, two.end), f"after ip {' '.join(what)}"
    one.bridge("fdb", "del", mac, "dev", "edge-vx6", "self")
    assert reaches(one.end, two.end)
    until(lambda: f"{mac} dev edge-vx6 dst" in one.bridge("fdb"), "entry back", 3)


def test_the_bridge_comes_back_with_its_index(lab: Lab) -> None:
    """Those who looked it up when they started, such as kube-vip, find it again."""
    one = lab.host("one", "10.9.0.1/24").start()
    lab.all_up()
    before = index(one)
    one.ip("link", "del", "scbr-100")
    until(lambda: one.address in one.ip("address"), "the address is back", 5)
    assert index(one) == before


def test_the_bridge_comes_back_though_its_index_is_taken(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    lab.all_up()
    before = index(one)
    with one.paused():
        one.ip("link", "del", "scbr-100")
        one.ip("link", "add", "taken", "index", str(before), "type", "bridge")
    until(lambda: one.address in one.ip("address", "show", "dev", "scbr-100"), "back", 5)
    assert index(one) != before


def index(host: Host) -> int:
    return int(json.loads(host.ip("-json", "link", "show", "scbr-100"))[0]["ifindex"])


@pytest.mark.timeout(90)
def test_entries_of_others_are_removed(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24").start()
    lab.all_up()
    stranger = "02:66:66:66:66:66"
    one.bridge("fdb", "append", "00:00:00:00:00:00", "dev", "edge-vx4", "dst", "10.9.0.66")
    one.bridge("fdb", "add", stranger, "dev", "edge-vx4", "dst", "10.9.0.66")
    one.ip("neighbour", "replace", two.address, "lladdr", stranger, "dev", "scbr-100")
    mac = one.peer(two)["mac"]
    until(lambda: mac in one.ip("neighbour", "show", two.address), "the peer's is back", 2)
    assert reaches(one.end, two.end)
    time.sleep(40)  # what an earlier agent may have set is spared for so long after the start
    one.bridge("fdb", "append", "00:00:00:00:00:00", "dev", "edge-vx4", "dst", "10.9.0.67")
    until(lambda: "10.9.0.6" not in one.bridge("fdb"), "strange entries are gone", 2)


def test_addresses_of_others_are_left_alone(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    lab.all_up()
    one.ip("address", "add", "100.64.192.1/32", "dev", "scbr-100")  # kube-vip
    one.stop()
    one.restart()
    until(one.up, "up")
    one.ip("link", "set", "edge-vx4", "down")
    until(lambda: "UP" in one.ip("link", "show", "edge-vx4").split("mtu")[0], "port up again")
    assert "100.64.192.1/32" in one.ip("address", "show", "scbr-100")


def test_forwarding_outlives_the_agent_and_a_restart_costs_nothing(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24").start()
    lab.all_up()
    address = one.address
    indexes = one.ip("-o", "link")
    probe = Probe(one.end, two.end, 7100)
    with probe:
        one.stop(signal.SIGKILL)
        time.sleep(0.3)
        one.restart()
        until(one.up, "up")
        until(lambda: one.knows(two), "peer found again")
    assert probe.outcome().lost == 0
    assert one.address == address
    assert one.ip("-o", "link").count("scbr-100:") == indexes.count("scbr-100:") == 1
    assert one.stop() == 0  # SIGTERM
    assert reaches(one.end, two.end)


def test_the_address_comes_back_without_state(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    two = lab.host("two", "10.9.0.2/24").start()
    lab.all_up()
    address = one.address
    one.stop()
    shutil.rmtree(one.directory / "state")
    one.ip("link", "del", "scbr-100")
    one.restart()
    lab.all_up()
    assert one.address == address
    assert reaches(one.end, two.end)


def test_another_range_is_refused_and_the_overlay_stays(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start()
    until(one.up, "up")
    address = one.address
    one.stop()
    one.start("cidr: 10.50.0.0/24")
    until(one.up, "up")
    assert one.address == address
    assert any("10.50.0.0/24" in problem for problem in one.status()["problems"])
    one.stop()
    assert one.cli("reset", "--yes").returncode == 0
    one.restart()
    until(lambda: one.up() and one.address.startswith("10.50.0."), "new range", 15)
    shown = one.ip("address", "show", "scbr-100")
    assert f" {address}/" not in shown  # what an earlier agent set is taken away


def test_a_bad_block_ends_with_78_and_tells_the_place(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start("cidr: 100.64.192.7/23")
    assert one.exit_code() == 78
    shown = one.cli("status")
    assert shown.returncode == 1
    place = f"{one.directory}/user-data:4:9"
    assert place in shown.stdout
    assert "100.64.192.0/23" in shown.stdout


def test_an_overlapping_range_is_refused_until_it_is_gone(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24", "100.64.193.9/24").start()
    until(lambda: any("100.64.193.9/24 on eth0" in p for p in one.status()["problems"]), "refused")
    assert one.cli("status").returncode == 1
    one.ip("address", "del", "100.64.193.9/24", "dev", "eth0")
    until(one.up, "up")
    assert one.status()["problems"] == []


def test_a_configured_address_is_used_unless_somebody_has_it(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start("address: 100.64.192.50")
    until(one.up, "up")
    assert one.address == "100.64.192.50"
    two = lab.host("two", "10.9.0.2/24").start("address: 100.64.192.50")
    until(lambda: any("holds it" in p for p in two.status()["problems"]), "refused", 15)
    assert one.address == "100.64.192.50"
    assert one.status()["problems"] == []
    stored = json.loads((one.directory / "state/state.json").read_text())
    assert stored["address"] == "100.64.192.50"
