"""Secrets that change, machines that are copies of others, and floods."""

from __future__ import annotations

import shutil
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from overlay_runtime.beacon.wire import derive_key
from overlay_runtime.status import boottime
from tests.netns.lab import Host, Lab, until
from tests.netns.namespaces import udp_socket
from tests.netns.probe import Probe, reaches

OLD, NEW = "the secret of last year", "the secret of this year"


def _signs_with(one: Host, other: Host) -> str:
    peer = one.knows(other)
    return str(peer["secret"]) if peer else ""


@pytest.mark.timeout(120)
def test_the_secret_is_changed_without_losing_a_packet(lab: Lab) -> None:
    hosts = [lab.host(f"h{n}", f"10.9.0.{n}/24").start(secret=OLD) for n in (1, 2, 3)]
    lab.all_up()
    probes = [
        Probe(one.end, other.end, 7100 + n)
        for n, (one, other) in enumerate(zip(hosts, [*hosts[1:], hosts[0]], strict=True))
    ]
    with ExitStack() as running:
        for probe in probes:
            running.enter_context(probe)
        for step in ((NEW, f"previous-secret: {OLD}"), (NEW,)):
            for host in hosts:
                host.stop()
                host.start(*step[1:], secret=step[0])
                lab.all_up()
        assert {
            _signs_with(one, other) for one in hosts for other in hosts if one is not other
        } == {"present"}
    assert [probe.outcome().lost for probe in probes] == [0, 0, 0]
    late = lab.host("late", "10.9.0.9/24").start(secret=OLD)
    until(late.up, "up, alone")
    time.sleep(1)
    assert late.status()["peers"] == []
    for host in hosts:
        assert late.address not in str(host.status()["peers"])
        for secret in (OLD, NEW):
            assert secret not in host.log() + str(host.status())


def test_who_still_signs_with_the_old_secret_is_shown(lab: Lab) -> None:
    one = lab.host("one", "10.9.0.1/24").start(f"previous-secret: {OLD}", secret=NEW)
    two = lab.host("two", "10.9.0.2/24").start(secret=OLD)
    lab.all_up()
    assert (_signs_with(one, two), _signs_with(two, one)) == ("previous", "present")
    assert reaches(one.end, two.end)
    assert "Sign with the previous secret: " in one.cli("peers").stdout
    assert "the present secret" in two.cli("peers", one.address).stdout
    until(lambda: one.peer(two)["path_mtu"] == 1500, "its path is measured too", 5)


def test_the_secrets_are_nowhere_to_be_seen(lab: Lab) -> None:
    """Not in what others can read: status, metrics, the log of every step, the process itself."""
    one = lab.host("one", "10.9.0.1/24").start(f"previous-secret: {OLD}", secret=NEW)
    lab.host("two", "10.9.0.2/24").start(secret="quite another secret")
    until(one.up, "up")
    until(lambda: one.status()["foreign"], "the other's beacons were refused")
    process = Path(f"/proc/{one.status()['pid']}")
    with one.paused():  # else a file that is being written is renamed before it is read
        readable = [path for path in one.directory.rglob("*") if path.is_file()]
        readable = [path for path in readable if path.name != "user-data"]
        names = {path.name for path in readable}
        assert names >= {"status.json", "metrics.prom", "log", "state.json"}
        for path in [*readable, process / "cmdline", process / "environ"]:
            content = path.read_bytes()
            for secret in (OLD, NEW, "quite another secret"):
                assert secret.encode() not in content, path
                assert derive_key(secret) not in content, path
                assert derive_key(secret).hex().encode() not in content, path


def _copy(lab: Lab, original: Host, address: str) -> Host:
    """Return a host with another's disk: the same identity and the same stored address."""
    copy = lab.bystander("copy", address)
    copy.identity = original.identity
    shutil.rmtree(copy.directory / "state")
    shutil.copytree(original.directory / "state", copy.directory / "state")
    return copy


@pytest.mark.timeout(120)
def test_a_copy_of_a_running_host_takes_nothing_from_it(lab: Lab) -> None:
    hosts = [lab.host(f"h{n}", f"10.9.0.{n}/24").start() for n in (1, 2, 3)]
    lab.all_up()
    original, *others = hosts
    probe = Probe(others[0].end, original.end, 7100)
    with probe:
        copy = _copy(lab, original, "10.9.0.66/24").start()
        for host in (*hosts, copy):
            until(lambda host=host: host.status().get("duplicates"), f"{host.name} names it", 15)  # type: ignore[misc]
        time.sleep(3)
    assert probe.outcome().lost == 0
    for host in others:
        assert "10.9.0.1" in host.peer(original)["physical"]
        assert "10.9.0.66" not in str(host.status()["peers"])
        assert any("cloned disk" in text for text in host.status()["problems"])
    copy.stop()
    until(lambda: not others[0].status()["duplicates"], "it is gone from status", 50)


def test_a_host_on_other_hardware_is_believed_within_two_seconds(lab: Lab) -> None:
    hosts = [lab.host(f"h{n}", f"10.9.0.{n}/24").start() for n in (1, 2)]
    lab.all_up()
    original, other = hosts
    address = original.address
    original.stop()
    original.ip("link", "set", "eth0", "down")
    moved = _copy(lab, original, "10.9.0.66/24").start()
    until(moved.up, "up")
    assert moved.address == address
    until(lambda: "10.9.0.66" in other.peer(original)["physical"], "believed", 4)
    assert reaches(other.end, moved.end)
    assert not other.status()["duplicates"]


def test_a_flood_of_signed_looking_beacons_costs_a_bounded_share(lab: Lab) -> None:
    """Without the firewall, which would stop it before."""
    one = lab.host("one", "10.9.0.1/24").start("firewall: false")
    two = lab.host("two", "10.9.0.2/24").start("firewall: false")
    lab.all_up()
    evil = lab.bystander("evil", "10.9.0.66/24")
    before = one.status()["counters"]["beacons_received"]
    began = time.monotonic()
    with udp_socket(evil.namespace, "10.9.0.66", 0) as sender:
        data = b"EDGB\x02" + bytes(400)
        while time.monotonic() < began + 4:
            for _ in range(100):
                sender.sendto(data, ("10.9.0.1", 4798))
    elapsed = time.monotonic() - began
    ended = boottime()
    until(lambda: one.status()["written"] > ended, "status is written", 20)
    handled = one.status()["counters"]["beacons_received"] - before
    assert handled < 8000 + 3000 * (elapsed + 2)
    assert one.peer(two)["state"] == "up"
    assert reaches(one.end, two.end)
