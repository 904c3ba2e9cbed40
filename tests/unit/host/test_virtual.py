"""Bridges, bonds and VLANs: from what `ip -json -details` told of real ones to networkd's files."""

from __future__ import annotations

from typing import Any

import pytest

from overlay_runtime.errors import HostError
from overlay_runtime.host.nics import LiveNic
from overlay_runtime.host.parts import add_parts
from overlay_runtime.host.settings import Settings, render
from overlay_runtime.host.virtual import netdev

BRIDGE = {"forward_delay": 1500, "hello_time": 200, "max_age": 2000, "ageing_time": 30000,
          "stp_state": 1, "priority": 4096, "vlan_filtering": 0, "mcast_snooping": 1}  # fmt: skip
BOND = {"mode": "802.3ad", "miimon": 100, "updelay": 200, "downdelay": 0, "arp_interval": 0,
        "primary_reselect": "always", "xmit_hash_policy": "layer3+4",
        "ad_lacp_rate": "fast"}  # fmt: skip
VLAN = {"protocol": "802.1Q", "id": 42, "flags": ["REORDER_HDR"]}


def _nic(name: str, kind: str = "", details: dict[str, Any] | None = None, **more: Any) -> LiveNic:
    plain: dict[str, Any] = {
        "index": 2, "mac": "02:00:00:00:00:01", "permanent_mac": "", "mtu": 1500, "up": True,
        "master": "", "physical": True, "wireless": False, "addresses": (), "routes": (),
    }  # fmt: skip
    return LiveNic(name=name, kind=kind, details=details or {}, **{**plain, **more})


def _has(text: str, *lines: str) -> None:
    assert set(lines) <= set(text.splitlines())


def test_a_bridge_and_its_port() -> None:
    nics = {"br0": _nic("br0", "bridge", BRIDGE), "eth0": _nic("eth0", master="br0", mtu=9000),
            "veth1": _nic("veth1", "veth", master="scbr-100")}  # fmt: skip
    _has(netdev(nics["br0"]), "Name=br0", "Kind=bridge", "MACAddress=02:00:00:00:00:01",
         "[Bridge]", "STP=yes", "ForwardDelaySec=15000ms", "HelloTimeSec=2000ms", "Priority=4096",
         "AgeingTimeSec=300000ms", "MulticastSnooping=yes")  # fmt: skip
    managers, settings = {"br0": "ifupdown"}, {"br0": Settings("br0", addresses=("10.0.0.2/24",))}
    add_parts(nics, managers, settings)
    assert managers == {"br0": "ifupdown", "eth0": "ifupdown"}
    _has(render(settings["eth0"]), "Bridge=br0", "LinkLocalAddressing=no", "DHCP=no",
         "IPv6AcceptRA=no", "MTUBytes=9000")  # fmt: skip
    with pytest.raises(HostError, match="VLANs"):
        netdev(_nic("br0", "bridge", {**BRIDGE, "vlan_filtering": 1}))


def test_a_bond_with_a_vlan_on_it() -> None:
    nics = {"bond0": _nic("bond0", "bond", BOND), "eth0": _nic("eth0", master="bond0"),
            "bond0.42": _nic("bond0.42", "vlan", VLAN, lower="bond0")}  # fmt: skip
    _has(netdev(nics["bond0"]), "[Bond]", "Mode=802.3ad", "MIIMonitorSec=100ms",
         "UpDelaySec=200ms", "TransmitHashPolicy=layer3+4", "LACPTransmitRate=fast",
         "PrimaryReselectPolicy=always", "MACAddress=02:00:00:00:00:01")  # fmt: skip
    assert "DownDelaySec" not in netdev(nics["bond0"])
    _has(netdev(nics["bond0.42"]), "Kind=vlan", "[VLAN]", "Id=42", "Protocol=802.1q")
    assert "MACAddress" not in netdev(nics["bond0.42"])
    managers = {"bond0": "NetworkManager", "bond0.42": "NetworkManager"}
    settings = {"bond0": Settings("bond0"), "bond0.42": Settings("bond0.42", dhcp4=True)}
    add_parts(nics, managers, settings)
    _has(render(settings["eth0"]), "Bond=bond0")
    _has(render(settings["bond0"]), "VLAN=bond0.42")
    with pytest.raises(HostError, match="ARP"):
        netdev(_nic("bond0", "bond", {**BOND, "arp_interval": 1000}))


def test_a_vlan_on_a_nic_of_nobody_s() -> None:
    nics = {"eth1": _nic("eth1"), "v7": _nic("v7", "vlan", VLAN, lower="eth1")}
    managers, settings = {"v7": "ifupdown"}, {"v7": Settings("v7", addresses=("10.7.0.2/24",))}
    add_parts(nics, managers, settings)
    _has(render(settings["eth1"]), "VLAN=v7", "DHCP=no")
    with pytest.raises(HostError, match="netplan"):
        add_parts(nics, {"v7": "ifupdown", "eth1": "netplan"}, {"v7": Settings("v7")})
    with pytest.raises(HostError, match="isn't seen"):
        add_parts({"v7": _nic("v7", "vlan", VLAN)}, {"v7": "x"}, {"v7": Settings("v7")})


def test_a_port_of_what_nobody_manages() -> None:
    nics = {"br0": _nic("br0", "bridge", BRIDGE), "eth0": _nic("eth0", master="br0")}
    with pytest.raises(HostError, match="eth0 is a port of br0"):
        add_parts(nics, {}, {})
    nics["vnet0"] = _nic("vnet0", "tun", master="br0")
    add_parts({name: nics[name] for name in ("br0", "vnet0")}, {}, {})
    managers: dict[str, str] = {"br0": "netplan (networkd)", "eth0": "netplan (networkd)"}
    settings: dict[str, Settings] = {}
    add_parts(nics, managers, settings)
    assert settings == {}  # its files are taken over as they are
