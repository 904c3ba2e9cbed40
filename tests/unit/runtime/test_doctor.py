"""Checks of what can't be had in a network namespace: VMware, systemd, clocks, crowds.

The host's files and tools are made up here; tests/netns/test_doctor.py makes faults for real.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from overlay_runtime.doctor import cni, discovery, machine, system
from overlay_runtime.doctor.filters import blocking_rules
from overlay_runtime.doctor.model import Host
from overlay_runtime.doctor.suite import CHECKS, examine

NOW = 10_000.0
_LATE_2026 = 1_796_000_000.0


def _peer(number: int = 1, **fields: Any) -> dict[str, Any]:
    heard = {"broadcast": NOW - 5, "unicast": NOW - 5, "hears_us": NOW - 5}
    return {"id": f"{number:016x}", "name": f"edge-{number}", "address": f"100.64.192.{number}",
            "transport": "ipv6-link-local", "physical": ["fe80::2"], "state": "up",
            "since": 0.0, "last_seen": NOW - 5, "interval": 10.0,
            "heard": heard | fields.pop("heard", {}), **fields}  # fmt: skip


def _host(root: Path, *peers: dict[str, Any], **status: Any) -> Host:
    found = {
        "state": "up", "problems": [], "peers": list(peers),
        "underlay": [{"name": "eth0", "mtu": 1500, "addresses": ["10.9.0.1/24", "fe80::1"]}],
        "overlay": {"cidr": "100.64.192.0/23", "address": "100.64.192.9", "port": 4797}, **status,
    }  # fmt: skip
    return Host(found, NOW, _LATE_2026, root / "state", root, lambda *_command: None)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text + "\n")


def _virtual_machine(root: Path, mac: str) -> None:
    """A VMware machine whose eth0 is a bridge over ens192."""
    _write(root / "sys/class/dmi/id/sys_vendor", "VMware, Inc.")
    _write(root / "sys/class/net/eth0/address", mac)
    (root / "sys/class/net/eth0/lower_ens192").mkdir()
    (root / "sys/class/net/ens192/device").mkdir(parents=True)


_LINKS = json.dumps([{"ifname": "ens192", "address": "00:50:56:00:00:01"}])


def _with_links(host: Host) -> Host:
    host.tool = lambda *command: _LINKS if command[-1] == "link" else None
    return host


@pytest.mark.parametrize(
    ("mac", "heard", "verdict", "words"),
    [
        ("00:50:56:00:00:01", {"unicast": None}, "ok", "was given"),
        ("02:00:00:00:00:07", {"unicast": None}, "fault", "unicasts never"),
        ("02:00:00:00:00:07", {}, "ok", "come all the same"),
        ("02:00:00:00:00:07", {"broadcast": None}, "unknown", "no broadcast"),
    ],
)
def test_promiscuous_mode(
    tmp_path: Path, mac: str, heard: dict[str, Any], verdict: str, words: str
) -> None:
    _virtual_machine(tmp_path, mac)
    result = machine.promiscuous_mode(_with_links(_host(tmp_path, _peer(heard=heard))))
    assert (result.verdict, words in result.found) == (verdict, True), result
    assert ("forged transmits" in result.remedy) == (verdict == "fault")


def test_promiscuous_mode_on_hardware(tmp_path: Path) -> None:
    _write(tmp_path / "sys/class/dmi/id/sys_vendor", "Dell Inc.")
    assert machine.promiscuous_mode(_host(tmp_path, _peer())).verdict == "ok"


def _tunnel(name: str, mtu: int, **data: Any) -> dict[str, Any]:
    return {"ifname": name, "mtu": mtu, "linkinfo": {"info_kind": "vxlan", "info_data": data}}


@pytest.mark.parametrize(
    ("link", "verdict", "words"),
    [
        (_tunnel("edge-vx4", 1430, local="10.9.0.1"), "ok", "no VXLAN of a CNI"),
        (_tunnel("flannel.1", 1380, local="100.64.192.9", port=8472), "ok", "flannel.1"),
        (_tunnel("flannel.1", 1450, local="10.9.0.1"), "warning", "flannel.1 uses 10.9.0.1"),
        (_tunnel("vxlan.calico", 1450, local="100.64.192.9"), "warning", "vxlan.calico 1450"),
        (_tunnel("cilium_vxlan", 1430, external=True), "ok", "cilium_vxlan"),
    ],
)
def test_a_cnis_tunnels(tmp_path: Path, link: dict[str, Any], verdict: str, words: str) -> None:
    host = _host(tmp_path)
    host.status["overlay"]["mtu"] = 1430
    host.tool = lambda *command: json.dumps([link]) if command[-1] == "link" else None
    result = cni.cni(host)
    assert (result.verdict, words in result.found) == (verdict, True), result
    assert ("cni-values" in result.remedy) == (verdict == "warning")


_FEATURES = "Features for ens192:\nrx-checksumming: on\n\ttx-udp_tnl-segmentation: {}\n"


@pytest.mark.parametrize(
    ("driver", "text", "verdict"),
    [
        ("e1000e", None, "ok"),
        ("vmxnet3", _FEATURES.format("on"), "fault"),
        ("vmxnet3", _FEATURES.format("on [fixed]"), "fault"),
        ("vmxnet3", _FEATURES.format("off"), "ok"),
        ("vmxnet3", None, "unknown"),  # no ethtool
    ],
)
def test_vmxnet3_offload(tmp_path: Path, driver: str, text: str | None, verdict: str) -> None:
    device = tmp_path / "sys/class/net/ens192/device"
    device.mkdir(parents=True)
    (device / "driver").symlink_to(f"../../../bus/pci/drivers/{driver}")
    host = _host(tmp_path)
    host.tool = lambda *_command: text
    result = machine.vmxnet3_offload(host)
    assert result.verdict == verdict, result
    assert ("ens192: tx-udp_tnl-segmentation" in result.found) == (verdict == "fault")


def test_the_clock(tmp_path: Path) -> None:
    host = _host(tmp_path)
    assert machine.clock(host).verdict == "unknown"
    (tmp_path / "run/systemd/timesync").mkdir(parents=True)
    assert machine.clock(host).verdict == "warning"
    _write(tmp_path / "run/systemd/timesync/synchronized", "")
    assert machine.clock(host).verdict == "ok"
    host.wall = 3600.0
    result = machine.clock(host)
    assert (result.verdict, "1970-01-01 01:00" in result.found) == ("warning", True)
    host.wall = _LATE_2026
    _write(tmp_path / "usr/lib/os-release", "")
    os.utime(tmp_path / "usr/lib/os-release", (_LATE_2026 + 99, _LATE_2026 + 99))
    assert "before this image was made" in machine.clock(host).found


@pytest.mark.parametrize(
    ("link", "verdict", "words"),
    [
        ("ADMIN_STATE=configured", "ok", "eth0"),
        ("ADMIN_STATE=unmanaged", "warning", "eth0 is unmanaged"),
        (None, "warning", "eth0 is unknown to it"),
    ],
)
def test_networkd(tmp_path: Path, link: str | None, verdict: str, words: str) -> None:
    host = _host(tmp_path)
    assert system.networkd(host).verdict == "unknown"
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert "doesn't run" in system.networkd(host).found
    _write(tmp_path / "sys/class/net/eth0/ifindex", "2")
    (tmp_path / "run/systemd/netif/links").mkdir(parents=True)
    if link:
        _write(tmp_path / "run/systemd/netif/links/2", f"# private\n{link}")
    result = system.networkd(host)
    assert (result.verdict, words in result.found) == (verdict, True), result


def test_resolved(tmp_path: Path) -> None:
    host = _host(tmp_path)
    (tmp_path / "run/systemd/system").mkdir(parents=True)
    assert "doesn't run" in system.resolved(host).found
    (tmp_path / "run/systemd/resolve").mkdir()
    _write(tmp_path / "etc/resolv.conf", "nameserver 10.0.0.1")
    assert "a file of its own" in system.resolved(host).found
    (tmp_path / "etc/resolv.conf").unlink()
    (tmp_path / "etc/resolv.conf").symlink_to("../run/systemd/resolve/stub-resolv.conf")
    assert system.resolved(host).verdict == "ok"


def test_a_crowd_whose_beacons_are_rare_is_no_fault(tmp_path: Path) -> None:
    """1000 hosts: a broadcast every 50 s, a beacon of its own to each in turn, every 13 minutes."""
    heard = {"broadcast": NOW - 120, "unicast": NOW - 700, "hears_us": NOW - 700}
    crowd = [_peer(n, interval=50.0, heard=heard) for n in range(1, 200)]
    result = discovery.broadcast_blocked(_host(tmp_path, *crowd))
    assert result.verdict == "ok", result
    deaf = _peer(7, interval=50.0, heard={**heard, "broadcast": NOW - 176})
    result = discovery.broadcast_blocked(_host(tmp_path, *crowd, deaf))
    assert (result.verdict, "unicast only: edge-7" in result.found) == ("warning", True), result
    unheard = _peer(8, interval=50.0, heard={**heard, "hears_us": None})
    result = discovery.broadcast_blocked(_host(tmp_path, *crowd, unheard))
    assert "don't hear our broadcasts: edge-8 " in result.found, result


def test_beyond_a_router_no_broadcast_is_missed(tmp_path: Path) -> None:
    far = _peer(transport="ipv4", physical=["10.7.0.2"], heard={"broadcast": None})
    assert discovery.broadcast_blocked(_host(tmp_path, far)).verdict == "ok"
    near = _peer(transport="ipv4", physical=["10.9.0.2"], heard={"broadcast": None})
    assert discovery.broadcast_blocked(_host(tmp_path, near)).verdict == "warning"


def test_peers_that_are_lost_all_at_once(tmp_path: Path) -> None:
    lost = [_peer(n, state="lost", last_seen=NOW - 100) for n in (1, 2)]
    assert discovery.beacon_port_blocked(_host(tmp_path, *lost)).verdict == "fault"
    assert discovery.beacon_port_blocked(_host(tmp_path, lost[0])).verdict == "warning"
    assert discovery.beacon_port_blocked(_host(tmp_path, lost[0], _peer(3))).verdict == "ok"
    alone = _host(tmp_path, counters={"beacons_sent": 40, "beacons_received": 0})
    assert "40 beacons were sent, 0 came" in discovery.beacon_port_blocked(alone).found


def test_a_check_that_fails_leaves_the_others_alone(tmp_path: Path) -> None:
    host = _host(tmp_path, _peer(), strangers=7)
    results = examine(host, list(CHECKS))
    assert list(results) == list(CHECKS)
    assert "the check itself failed: TypeError" in results["foreign-cluster"].found
    assert results["duplicate-identity"].verdict == "ok"


@pytest.mark.parametrize(
    ("rule", "all_of_it", "some_of_it"),
    [
        ("udp dport 4797 drop", True, True),
        ("udp dport { 53, 4790-4799 } counter packets 3 bytes 90 reject", True, True),
        ("meta l4proto { tcp, udp } th dport 4797 drop", True, True),
        ('meta l4proto udp udp dport 4797 counter packets 0 bytes 0 xt target "DROP"', True, True),
        ("-A INPUT -p udp -m udp --dport 4797 -j DROP", True, True),
        ("-A INPUT -p udp -m multiport --dports 53,4797 -j DROP", True, True),
        ("ip saddr 192.0.2.0/24 udp dport 4797 drop", False, True),
        ('iifname "wan0" udp dport 4797 drop', False, True),
        ("udp dport 4797 limit rate over 9/second drop", False, True),
        ("-A INPUT -s 192.0.2.1/32 -p udp -m udp --dport 4797 -j DROP", False, True),
        ("-A INPUT -p udp -m udp --dport 4797 -m limit --limit 9/sec -j DROP", False, True),
        ("udp dport 4798 drop", False, False),
        ("tcp dport 4797 drop", False, False),
        ("udp dport 4797 accept", False, False),
    ],
)
def test_rules_of_packet_filters(
    tmp_path: Path, rule: str, all_of_it: bool, some_of_it: bool
) -> None:
    host = _host(tmp_path)
    text = "table inet {} {{\n\tchain in {{\n\t\t{}\n\t}}\n}}\n"
    host.tool = lambda *command: text.format("site", rule) if command[0] == "nft" else None
    assert bool(blocking_rules(host, 4797)) is all_of_it
    assert bool(blocking_rules(host, 4797, some=True)) is some_of_it
    ours = _host(tmp_path)
    ours.tool = lambda *command: text.format("edge_overlay", rule) if command[0] == "nft" else None
    assert blocking_rules(ours, 4797, some=True) == []
