"""What is read of others' files, and what becomes of it for networkd."""

from __future__ import annotations

from pathlib import Path

import pytest

from overlay_runtime.errors import HostError
from overlay_runtime.host import dhcp, netplan, networkd
from overlay_runtime.host.interfaces import read_interfaces
from overlay_runtime.host.settings import ClientIdentity, Settings, StaticRoute, render


def test_a_static_nic() -> None:
    one = Settings(
        "eth0", addresses=("10.0.0.2/24", "fd00::2/64"), dns=("10.0.0.1",), domains=("a.test",),
        routes=(StaticRoute("default", "10.0.0.1", 50), StaticRoute("default", "fd00::1"),
                StaticRoute("10.9.0.0/16", "", source="10.0.0.2")),
        mtu=1400, came_from="a test",
    )  # fmt: skip
    lines = render(one).splitlines()
    for line in (
        "Name=eth0", "MTUBytes=1400", "DHCP=no", "Address=10.0.0.2/24", "Address=fd00::2/64",
        "DNS=10.0.0.1", "Domains=a.test", "Destination=0.0.0.0/0", "Gateway=10.0.0.1", "Metric=50",
        "Destination=::/0", "Scope=link", "PreferredSource=10.0.0.2", "KeepConfiguration=static",
    ):  # fmt: skip
        assert line in lines
    assert "[DHCPv4]" not in lines


def test_the_identity_of_the_client_before() -> None:
    client = ClientIdentity("0001000132 98c7f7020000000011".replace(" ", ""), 0x11)
    lines = render(Settings("eth0", dhcp4=True, client=client, request="10.0.0.9")).splitlines()
    for line in ("DHCP=ipv4", "ClientIdentifier=duid", "DUIDType=link-layer-time", "IAID=17",
                 "DUIDRawData=00:01:32:98:c7:f7:02:00:00:00:00:11",
                 "RequestAddress=10.0.0.9"):  # fmt: skip
        assert line in lines
    assert "ClientIdentifier=mac" in render(Settings("eth0", dhcp4=True))


def test_dhclient_s_duid(tmp_path: Path) -> None:
    leases = tmp_path / "var/lib/dhcp/dhclient.eth0.leases"
    leases.parent.mkdir(parents=True)
    leases.write_text(
        'default-duid "\\000\\001\\000\\0012\\230\\307\\367\\002\\000\\000\\000\\"\\021";\n'
        "lease {\n  option domain-name-servers 10.0.0.1,10.0.0.2;\n}\n"
    )
    assert dhcp._duid_of_dhclient(tmp_path, "eth0") == "000100013298c7f70200000022" + "11"
    assert dhcp.leased_servers(tmp_path, ["eth0"]) == {"10.0.0.1", "10.0.0.2"}


def test_interfaces_with_all_that_they_source(tmp_path: Path) -> None:
    network = tmp_path / "etc/network"
    (network / "interfaces.d").mkdir(parents=True)
    (network / "interfaces").write_text(
        "# comment\nauto lo\niface lo inet loopback\nsource interfaces.d/*\n"
        "allow-hotplug eth1\niface eth1 inet dhcp\n"
    )
    (network / "interfaces.d/site").write_text(
        "auto eth0\niface eth0 inet static\n  address 10.0.0.2 \\\n\n  netmask 255.255.255.0\n"
        "  dns_nameservers 10.0.0.1 10.0.0.2\n  up ip route add default via 10.0.0.1\n"
    )
    found = read_interfaces(tmp_path)
    assert found.automatic == {"lo", "eth0", "eth1"}
    [eth0] = [s for s in found.stanzas if s.name == "eth0"]
    assert (eth0.family, eth0.method) == ("inet", "static")
    assert eth0.first("netmask") == "255.255.255.0"
    assert eth0.all("dns-nameservers") == ["10.0.0.1 10.0.0.2"]
    assert eth0.where.endswith("site:2")
    (network / "interfaces").write_text("mapping eth0\n  script x\n")
    with pytest.raises(HostError, match="mapping"):
        read_interfaces(tmp_path)
    (network / "interfaces").write_text("source interfaces\n")
    with pytest.raises(HostError, match="circle"):
        read_interfaces(tmp_path)


def test_netplan_s_files(tmp_path: Path) -> None:
    run, etc = tmp_path / "run/systemd/network", tmp_path / "etc/netplan"
    (run / "10-netplan-eth0.network.d").mkdir(parents=True)
    etc.mkdir(parents=True)
    for name in ("10-netplan-eth0.network", "10-netplan-v9.netdev", "50-other.network",
                 "10-netplan-eth0.network.d/override.conf"):  # fmt: skip
        (run / name).write_text(name)
    (run / "10-netplan-v9.netdev").chmod(0o640)
    taken = {
        str(one.path.relative_to(tmp_path / "etc")): one for one in netplan.taken_over(tmp_path)
    }
    assert set(taken) == {
        "systemd/network/10-netplan-eth0.network", "systemd/network/10-netplan-v9.netdev",
        "systemd/network/10-netplan-eth0.network.d/override.conf",
    }  # fmt: skip
    assert taken["systemd/network/10-netplan-v9.netdev"].mode == 0o640
    (etc / "a.yaml").write_text("network: {}\n")
    (etc / "backup").mkdir()
    (etc / "backup/a.yaml").write_text("an older one")
    there, gone = netplan.moved(tmp_path)
    assert there.path.name == "a.yaml.1"
    assert (gone.path, gone.data) == (etc / "a.yaml", None)
    units = tmp_path / "run/systemd/system"
    units.mkdir(parents=True)
    (units / "netplan-ovs-cleanup.service").touch()
    netplan.refuse_strange(tmp_path)
    (units / "netplan-wpa-wlan0.service").touch()
    with pytest.raises(HostError, match="Wi-Fi"):
        netplan.refuse_strange(tmp_path)


def test_the_links_that_enable_a_unit(tmp_path: Path) -> None:
    units = tmp_path / "usr/lib/systemd/system"
    units.mkdir(parents=True)
    (units / "a.service").write_text(
        "[Unit]\nAlso=no.service\n[Install]\n# WantedBy=no.target\nWantedBy=multi-user.target\n"
        "Alias=dbus-a.service\nAlso=b.socket a.service missing.service\n"
    )
    (units / "b.socket").write_text("[Install]\nRequiredBy=sockets.target\n")
    etc = tmp_path / "etc/systemd/system"
    assert networkd.enabling_links(tmp_path, "a.service") == {
        etc / "dbus-a.service": "/usr/lib/systemd/system/a.service",
        etc / "multi-user.target.wants/a.service": "/usr/lib/systemd/system/a.service",
        etc / "sockets.target.requires/b.socket": "/usr/lib/systemd/system/b.socket",
    }
