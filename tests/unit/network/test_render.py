"""What is described and what networkd gets, by the real netplan."""

from __future__ import annotations

from pathlib import Path

from overlay_runtime.network.besides import with_dhcp
from tests.unit.network.samples import block, file_of, rendered, sections, settings

STATIC = "{type: static, ipAddress: 10.0.10.25, mask: /24, gateway: 10.0.10.1, nameserver: 10.0.0.5"


def test_a_static_nic(tmp_path: Path) -> None:
    made = rendered(tmp_path, user_data=block(
        "eth0: " + STATIC + ", mtu: 1400, addresses: [fd00::5/64], gateway6: 'fe80::1',",
        "  searchDomains: [a.example, b.example], acceptRA: false, optional: true,",
        "  routes: [{to: 10.8.0.0/16, via: 10.0.10.2, metric: 5}, {to: 10.9.0.0/16}]}",
    ))  # fmt: skip
    assert (made.problems, made.left_out) == ((), ())
    text = file_of(made, "zz-10-edge-eth0.network")
    assert settings(text, "Match") == {"Name=eth0"}
    network = settings(text, "Network")
    assert {"Address=10.0.10.25/24", "Address=fd00::5/64", "DNS=10.0.0.5",
            "LinkLocalAddressing=ipv6", "IPv6AcceptRA=no",
            "KeepConfiguration=dhcp-on-stop"} <= network  # fmt: skip
    assert any(line in network for line in ("Domains=a.example b.example",))
    assert not any(line.startswith("DHCP=") for line in network)
    assert settings(text, "Link") == {"MTUBytes=1400", "RequiredForOnline=no"}
    routes = [lines for name, lines in sections(text) if name == "[Route]"]
    assert {"Destination=0.0.0.0/0", "Gateway=10.0.10.1"} in routes
    assert {"Destination=::/0", "Gateway=fe80::1"} in routes
    assert {"Destination=10.8.0.0/16", "Gateway=10.0.10.2", "Metric=5"} in routes
    assert {"Destination=10.9.0.0/16", "Scope=link"} in routes
    [device] = made.bundle.devices
    assert [str(one) for one in device.gateways] == ["10.0.10.1", "fe80::1"]
    assert device.where.endswith("user-data:7:9") and device.static and not device.dhcp


def test_matches(tmp_path: Path) -> None:
    made = rendered(tmp_path, user_data=block(
        "vmware: {match: {driver: vmxnet3}}",
        "office: {match: {macAddress: 52-54-00-12-34-AB}}",
        "others: {match: {name: 'en*'}}",
    ))  # fmt: skip
    driver = file_of(made, "zz-10-edge-vmware.network")
    assert settings(driver, "Match") == {"Driver=vmxnet3", "Type=!loopback"}
    assert "DHCP=ipv4" in settings(driver, "Network")
    assert {"ClientIdentifier=mac", "UseHostname=no"} <= settings(driver, "DHCPv4")
    permanent = file_of(made, "zz-10-edge-office.network")
    assert "PermanentMACAddress=52:54:00:12:34:ab" in settings(permanent, "Match")
    changeable = file_of(made, "zz-10-edge-office~mac.network")
    assert "MACAddress=52:54:00:12:34:ab" in settings(changeable, "Match")
    assert "Name=en*" in settings(file_of(made, "zz-10-edge-others.network"), "Match")
    assert not any(name.endswith(".link") for name in made.bundle.files)


def test_a_vlan_and_a_bond(tmp_path: Path) -> None:
    made = rendered(tmp_path, user_data=block(
        "bond0: {bond: {interfaces: [eth0, eth1], mode: 802.3ad}}",
        "eth1: {mtu: 9000}",
        "till: {vlan: {id: 17, link: bond0}, type: static, ipAddress: 10.17.0.2/24}",
        "cam: {vlan: {id: 18, link: eth2}}",
    ))  # fmt: skip
    assert made.problems == ()
    for member in ("eth0", "eth1"):
        text = file_of(made, f"zz-10-edge-{member}.network")
        assert settings(text, "Network") == {"Bond=bond0", "LinkLocalAddressing=no"}
    netdev = made.bundle.files["systemd/network/zz-10-edge-bond0.netdev"]
    assert settings(netdev, "NetDev") == {"Name=bond0", "Kind=bond"}
    assert {"Mode=802.3ad", "MIIMonitorSec=100ms"} <= settings(netdev, "Bond")
    assert {"VLAN=till", "DHCP=ipv4"} <= settings(
        file_of(made, "zz-10-edge-bond0.network"), "Network"
    )
    assert "Id=17" in made.bundle.files["systemd/network/zz-10-edge-till.netdev"]
    assert "Address=10.17.0.2/24" in file_of(made, "zz-10-edge-till.network")
    parent = settings(file_of(made, "zz-10-edge-eth2.network"), "Network")
    assert {"VLAN=cam", "DHCP=ipv4"} <= parent, "a NIC that is not described keeps DHCP"
    assert {one.name for one in made.bundle.devices if one.member} == {"eth0", "eth1"}


V2 = """\
network:
  version: 2
  ethernets:
    lan:
      match: {macaddress: 52:54:00:12:34:56}
      set-name: lan0
      dhcp4: true
      dhcp4-overrides: {use-hostname: true, route-metric: 300}
      dhcp-identifier: duid
      link-local: []
      optional: true
    port: {}
  bridges:
    br0: {interfaces: [port], addresses: [10.0.10.5/24], gateway4: 10.0.10.1}
"""


def test_network_config_is_taken_as_it_is(tmp_path: Path) -> None:
    made = rendered(tmp_path, v2=V2)
    assert made.problems == ()
    text = file_of(made, "zz-10-edge-lan.network")
    assert "Name=lan0" in settings(text, "Match")
    assert "LinkLocalAddressing=no" in settings(text, "Network"), "the operator said so"
    assert "RequiredForOnline=no" in settings(text, "Link")
    assert settings(text, "DHCPv4") == set(), "the operator said other things"
    assert "RouteMetric=300" in text
    link = made.bundle.files["systemd/network/10-edge-lan.link"]
    assert {"PermanentMACAddress=52:54:00:12:34:56"} == settings(link, "Match"), "no sexagesimal"
    assert "Name=lan0" in link
    bridge = next(one for one in made.bundle.devices if one.name == "br0")
    assert [str(one) for one in bridge.gateways] == ["10.0.10.1"]
    assert all(name.startswith("systemd/network/") for name in made.bundle.files)


def test_a_link_file_only_where_networkd_can_not_do_it(tmp_path: Path) -> None:
    made = rendered(
        tmp_path, v2="version: 2\nethernets: {eth0: {mtu: 1400}, eth1: {wakeonlan: true}}"
    )
    [(name, text)] = [one for one in made.bundle.files.items() if one[0].endswith(".link")]
    assert name == "systemd/network/10-edge-eth1.link"
    assert {"WakeOnLan=magic", "MACAddressPolicy=persistent"} <= settings(text, "Link")


def test_the_wrapper_may_be_left_out(tmp_path: Path) -> None:
    bare = "\n".join(line[2:] for line in V2.splitlines()[1:])
    one = rendered(tmp_path / "one", v2=V2).bundle
    other = rendered(tmp_path / "other", v2=bare).bundle
    assert one.digest == other.digest


def test_what_netplan_refuses_takes_no_neighbour_with_it(tmp_path: Path) -> None:
    # Our own check knows nothing of tables: this is for netplan to say.
    made = rendered(tmp_path, v2="""\
version: 2
ethernets:
  eth0: {dhcp4: true}
  eth1: {routing-policy: [{table: 7}]}
vlans:
  v9: {id: 9, link: eth1}
""")  # fmt: skip
    assert set(made.left_out) == {"eth1", "v9"}
    assert any("cidata:/network-config:4:3: `eth1`: netplan refuses it" in p
               for p in made.problems), made.problems  # fmt: skip
    assert "DHCP=ipv4" in file_of(made, "zz-10-edge-eth0.network")
    assert "DHCP=ipv4" in file_of(made, "zz-10-edge-eth1.network")
    assert not any("v9" in name for name in made.bundle.files)


def test_a_wrong_nic_has_dhcp_and_what_is_on_it_goes(tmp_path: Path) -> None:
    made = rendered(tmp_path, user_data=block(
        "eth0: {type: static, ipAddress: 10.0.10.300/24}",
        "eth1: " + STATIC + "}",
        "v9: {vlan: {id: 9, link: eth0}}",
        "a-name-that-is-too-long: {}",
    ))  # fmt: skip
    assert {"eth0", "v9", "a-name-that-is-too-long"} == set(made.left_out)
    assert "DHCP=ipv4" in file_of(made, "zz-10-edge-eth0.network")
    assert "Address=10.0.10.25/24" in file_of(made, "zz-10-edge-eth1.network")
    assert not any("v9" in name for name in made.bundle.files)


def test_dhcp_besides_wins_against_the_dead_gateway(tmp_path: Path) -> None:
    lines = "eth0: " + STATIC + ", gateway6: 'fe80::1', routes: [{to: 10.8.0.0/16}]}"
    asked = rendered(tmp_path, user_data=block(lines, "eth1: {}")).bundle
    made = with_dhcp(asked, {"eth0"})
    text = made.files["systemd/network/zz-10-edge-eth0.network"]
    for name, found in sections(text):
        default = found & {"Destination=0.0.0.0/0", "Destination=::/0"}
        assert bool(default) == ("Metric=8192" in found), (name, found)
    assert text.count("Metric=8192") == 2
    assert "Address=10.0.10.25/24" in text
    added = made.files["systemd/network/zz-10-edge-eth0.network.d/60-edge-dhcp-besides.conf"]
    assert "DHCP=yes" in added
    other = "systemd/network/zz-10-edge-eth1.network"
    assert made.files[other] == asked.files[other]
    assert made.digest != asked.digest


def test_a_name_that_no_file_can_have_takes_no_other_nic_with_it(tmp_path: Path) -> None:
    """netplan makes directories of slashes, and refuses the whole document for a space."""
    made = rendered(tmp_path, user_data=block(
        "'../../x': {}", "'a b': {}", "eth0: " + STATIC + "}"))  # fmt: skip
    assert made.left_out == ("../../x", "a b")
    assert "Address=10.0.10.25/24" in file_of(made, "zz-10-edge-eth0.network")
    assert not [path for path in made.bundle.files if "eth0" not in path and "network/" in path]


def test_a_matched_devices_name_is_a_files_too(tmp_path: Path) -> None:
    made = rendered(tmp_path, v2="version: 2\nethernets:\n  ../e: {match: {name: e*}}\n"
                    "  eth0: {addresses: [10.0.0.5/24]}\n")  # fmt: skip
    assert made.left_out == ("../e",)
    [problem] = made.problems
    assert problem.startswith("cidata:/network-config:3:3: a name that no file can have")
    assert "Address=10.0.0.5/24" in file_of(made, "zz-10-edge-eth0.network")
