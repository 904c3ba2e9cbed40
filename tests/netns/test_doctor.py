"""The doctor finds, by name, faults that are made for real."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.netns.lab import REPOSITORY, Host, Lab, until
from tests.netns.namespaces import run


def _pair(lab: Lab) -> tuple[Host, Host]:
    one, two = (lab.host(name, f"10.9.0.{n}/24").start() for n, name in enumerate("ab", 1))
    lab.all_up()
    return one, two


def _examine(host: Host, *checks: str) -> tuple[int, dict[str, Any]]:
    """Run the doctor in the host's namespace; return its exit code and results."""
    done = subprocess.run(
        ["ip", "netns", "exec", host.namespace, sys.executable, "-m", "overlay_runtime", "doctor",
         "--json", *checks, "--run-dir", str(host.directory / "run"),
         "--state-dir", str(host.directory / "state")],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=40,
    )  # fmt: skip
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)


def _verdict(host: Host, check: str) -> tuple[str, str]:
    code, results = _examine(host, check)
    assert code == (results[check]["verdict"] == "fault")
    if results[check]["verdict"] in ("fault", "warning"):
        assert results[check]["remedy"]
    return results[check]["verdict"], results[check]["found"]


def _in(host: Host, *command: str) -> None:
    run("ip", "netns", "exec", host.namespace, *command)


def test_nothing_is_wrong(lab: Lab) -> None:
    one, _ = _pair(lab)
    code, results = _examine(one)
    assert code == 0, results
    for name in ("agent", "address-conflict", "duplicate-identity", "beacon-port-blocked",
                 "vxlan-port-blocked", "path-mtu", "foreign-cluster", "cidr-overlap",
                 "state-storage"):  # fmt: skip
        assert results[name]["verdict"] == "ok", (name, results[name])


def test_without_an_agent_it_says_so_and_does_what_it_can(lab: Lab) -> None:
    one, _ = _pair(lab)
    one.stop(9)
    # As the file is after 15 s: readers go by it.
    status = one.status()
    (one.directory / "run/status.json").write_text(json.dumps({**status, "written": 1.0}))
    code, results = _examine(one)
    assert code == 1
    assert next(iter(results)) == "agent"
    assert results["agent"]["verdict"] == "fault"
    assert results["path-mtu"]["verdict"] == "unknown"
    assert results["cidr-overlap"]["verdict"] == "ok"
    assert results["state-storage"]["verdict"] == "ok"


def test_a_filter_of_the_peer_against_vxlan(lab: Lab) -> None:
    one, two = _pair(lab)
    _in(two, "nft", "add table inet site; add chain inet site in { type filter hook input "
        "priority 0; }; add rule inet site in udp dport 4797 drop")  # fmt: skip
    verdict, found = _verdict(one, "vxlan-port-blocked")
    assert (verdict, "no packet gets" in found, two.address in found) == ("fault", True, True)
    verdict, found = _verdict(two, "vxlan-port-blocked")
    assert (verdict, "udp dport 4797 drop" in found) == ("fault", True), found


@pytest.mark.timeout(120)
def test_a_filter_against_beacons(lab: Lab) -> None:
    one, _ = _pair(lab)
    _in(one, "iptables", "-A", "INPUT", "-p", "udp", "--dport", "4790:4799", "-j", "DROP")
    verdict, found = _verdict(one, "beacon-port-blocked")
    # IPv6 still gets through: that a rule is there is no proof.
    assert (verdict, "1 hosts are heard all the same" in found) == ("warning", True), found
    _in(one, "ip6tables", "-A", "INPUT", "-p", "udp", "--dport", "4790:4799", "-j", "DROP")
    until(lambda: _verdict(one, "beacon-port-blocked")[0] == "fault", "silence", 60)
    assert "4798" in _verdict(one, "beacon-port-blocked")[1]


def test_filters_that_drop_what_they_should(lab: Lab) -> None:
    """Rules against some, and one behind a rule that accepts: nothing is wrong."""
    one, _ = _pair(lab)
    _in(one, "iptables", "-A", "INPUT", "-p", "udp", "--dport", "4797:4798", "-s", "192.0.2.0/24",
        "-j", "DROP")  # fmt: skip
    _in(one, "nft", "add table inet site; add chain inet site in { type filter hook input "
        "priority 0; }; add rule inet site in udp dport 4797-4798 limit rate over 90000/second "
        "drop; add rule inet site in udp dport 4797 accept; add rule inet site in udp dport "
        "4797 drop")  # fmt: skip
    assert _verdict(one, "vxlan-port-blocked")[0] == "ok"
    assert _verdict(one, "beacon-port-blocked")[0] == "ok"


@pytest.mark.parametrize(("port", "check"), [(4797, "vxlan-port-blocked"),
                                             (4798, "beacon-port-blocked")])  # fmt: skip
def test_a_process_that_holds_a_port(lab: Lab, port: int, check: str) -> None:
    one = lab.host("a", "10.9.0.1/24")
    hog = subprocess.Popen(
        ["ip", "netns", "exec", one.namespace, sys.executable, "-c",
         "import socket, sys; s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); "
         f"s.bind(('::', {port})); print('bound', flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert hog.stdout and hog.stdout.readline() == "bound\n"
        one.start()
        until(lambda: one.status()["problems"], "told")
        verdict, found = _verdict(one, check)
        assert (verdict, f"({hog.pid})" in found) == ("fault", True), found
    finally:
        hog.communicate("")


def test_another_vxlan_on_the_port(lab: Lab) -> None:
    one = lab.host("a", "10.9.0.1/24")
    for name, local in (("vxlan.calico", "0.0.0.0"), ("vxlan-v6.calico", "::")):
        one.ip("link", "add", name, "type", "vxlan", "external", "dstport", "4797", "local", local)
        one.ip("link", "set", name, "up")
    one.start()
    until(lambda: one.status()["problems"], "told")
    verdict, found = _verdict(one, "vxlan-port-blocked")
    assert (verdict, "vxlan.calico" in found) == ("fault", True), found


def test_a_path_that_is_too_narrow(lab: Lab) -> None:
    one, two = _pair(lab)
    until(lambda: one.peer(two)["path_mtu"] == 1500, "measured")
    lab.switch(two, "mtu", "1400")
    verdict, found = _verdict(one, "path-mtu")
    assert (verdict, f"({two.address}) 1330 bytes" in found) == ("fault", True), found


@pytest.mark.timeout(120)
def test_a_switch_that_drops_broadcasts(lab: Lab) -> None:
    one, two = _pair(lab)
    lab.switch_port(two, "bcast_flood", "off", "mcast_flood", "off")
    until(lambda: _verdict(two, "broadcast-blocked")[0] == "warning", "two hears none", 60)
    found = _verdict(two, "broadcast-blocked")[1]
    assert found.startswith("heard by unicast only") and one.address in found
    until(lambda: "don't hear" in _verdict(one, "broadcast-blocked")[1], "told", 30)


def test_a_wrong_secret_and_another_range(lab: Lab) -> None:
    one, _ = _pair(lab)
    assert _verdict(one, "foreign-cluster")[0] == "ok"
    lab.host("c", "10.9.0.3/24").start(secret="the secret of another cluster")
    until(lambda: "10.9.0.3" in _verdict(one, "foreign-cluster")[1], "seen", 20)
    lab.host("d", "10.9.0.4/24").start("vni: 7")
    until(lambda: "vni 7" in _verdict(one, "foreign-cluster")[1], "told", 20)
    assert _verdict(one, "foreign-cluster")[0] == "warning"


def test_a_cloned_disk(lab: Lab) -> None:
    one = lab.host("a", "10.9.0.1/24").start()
    until(one.up, "up")
    two = lab.host("b", "10.9.0.2/24")
    two.identity = one.identity
    two.start()
    until(lambda: _verdict(one, "duplicate-identity")[0] == "fault", "named", 20)


def test_two_halves_that_meet_with_one_address(lab: Lab) -> None:
    one, two, three = (
        lab.host(name, f"10.9.0.{n}/24", segment=segment).start(*lines)
        for n, (name, segment, lines) in enumerate(
            [("a", "a", ["address: 100.64.192.50"]), ("b", "b", ["address: 100.64.192.50"]),
             ("c", "a", [])], 1)
    )  # fmt: skip
    for host in (one, two, three):
        until(host.up, "up")
    lab.join("a", "b")
    until(lambda: _verdict(one, "address-conflict")[0] == "fault", "named", 20)
    assert "100.64.192.50" in _verdict(one, "address-conflict")[1]
    assert one.address == "100.64.192.50"


def test_a_physical_network_in_the_overlays_range(lab: Lab) -> None:
    one, _ = _pair(lab)
    one.ip("link", "add", "office", "type", "bridge")
    one.ip("address", "add", "100.64.193.254/24", "dev", "office")
    verdict, found = _verdict(one, "cidr-overlap")
    assert (verdict, "100.64.193.254/24 on office" in found) == ("fault", True), found


def test_a_torn_state_file(lab: Lab) -> None:
    one, _ = _pair(lab)
    for path in (one.directory / "state").iterdir():
        if path.is_file():
            path.write_bytes(path.read_bytes()[:20])
    assert _verdict(one, "state-storage")[0] in ("fault", "warning")
