"""How each network manager is put in charge, by DHCP and statically."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.host.lab import ROUTER, ROUTER6, Machine

_NETPLAN = "/etc/netplan/50-site.yaml"


@dataclass(frozen=True)
class Manager:
    """A manager and a way of addressing. `unit` is the one that must be in charge again."""

    name: str
    unit: str
    static: bool
    set_up: Callable[[Machine], None]
    link: str = "eth0"
    nics: int = 1

    def __str__(self) -> str:
        return f"{self.name}-{'static' if self.static else 'dhcp'}"


def _netplan(renderer: str, static: bool) -> Callable[[Machine], None]:
    def set_up(host: Machine) -> None:
        nic = (
            f"      addresses: [{host.static}]\n      routes: [{{to: default, via: {ROUTER}}}]\n"
            f"      nameservers: {{addresses: [{ROUTER}], search: [site.test]}}\n      mtu: 1400\n"
            if static else "      dhcp4: true\n"
        )  # fmt: skip
        text = f"network:\n  version: 2\n  renderer: {renderer}\n  ethernets:\n    eth0:\n{nic}"
        host.write(_NETPLAN, text, 0o600)
        host.run("ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf")
        host.run("systemctl enable -q systemd-resolved")
        unit = "systemd-networkd" if renderer == "networkd" else "NetworkManager"
        host.run(f"systemctl enable -q {unit}")

    return set_up


def _ifupdown(client: str, static: bool) -> Callable[[Machine], None]:
    def set_up(host: Machine) -> None:
        nic = (
            f"iface eth0 inet static\n    address {host.static}\n    gateway {ROUTER}\n"
            "    mtu 1400\n"
            if static else "iface eth0 inet dhcp\n"
        )  # fmt: skip
        host.write(
            "/etc/network/interfaces", f"auto lo\niface lo inet loopback\n\nauto eth0\n{nic}"
        )
        if client == "dhcpcd":
            host.run("mv /usr/sbin/dhclient /usr/sbin/dhclient.away")
        host.write("/etc/resolv.conf", f"nameserver {ROUTER}\n")
        host.run("systemctl enable -q networking")

    return set_up


def _networkmanager(static: bool) -> Callable[[Machine], None]:
    def set_up(host: Machine) -> None:
        ipv4 = (
            f"method=manual\naddress1={host.static},{ROUTER}\nroute1=10.99.0.0/16,10.77.0.2,50\n"
            f"dns={ROUTER};\ndns-search=site.test;\n"
            if static else "method=auto\n"
        )  # fmt: skip
        text = (
            "[connection]\nid=site\nuuid=8a2f0c1e-0000-4000-8000-000000000001\ntype=ethernet\n"
            f"interface-name=eth0\n\n[ipv4]\n{ipv4}\n[ipv6]\nmethod=disabled\n"
        )
        host.write("/etc/NetworkManager/system-connections/site.nmconnection", text, 0o600)
        if static:  # as without systemd-resolved: NetworkManager writes resolv.conf
            text = "[main]\ndns=default\nsystemd-resolved=false\nrc-manager=file\n"
            host.write("/etc/NetworkManager/conf.d/dns.conf", text)
            host.run("rm /etc/resolv.conf")
        else:
            host.run("ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf")
            host.run("systemctl enable -q systemd-resolved")
        host.run("systemctl enable -q NetworkManager")

    return set_up


def _netplan_bridge(host: Machine) -> None:
    _netplan("networkd", True)(host)
    host.write(
        _NETPLAN,
        "network:\n  version: 2\n  ethernets:\n    eth0: {}\n  bridges:\n    br0:\n"
        f"      interfaces: [eth0]\n      addresses: [{host.static}]\n"
        f"      routes: [{{to: default, via: {ROUTER}}}]\n"
        f"      nameservers: {{addresses: [{ROUTER}]}}\n      parameters: {{stp: false}}\n",
        0o600,
    )


def _ifupdown_bridge(host: Machine) -> None:
    _ifupdown("dhclient", False)(host)
    host.write(
        "/etc/network/interfaces",
        "auto lo\niface lo inet loopback\n\niface eth0 inet manual\n\nauto br0\n"
        "iface br0 inet dhcp\n    bridge_ports eth0\n    bridge_stp off\n    bridge_fd 0\n"
        "    bridge_maxwait 0\n",
    )


def _networkmanager_bridge(host: Machine) -> None:
    _networkmanager(True)(host)
    path = "/etc/NetworkManager/system-connections"
    host.run(f"rm {path}/site.nmconnection")
    host.write(
        f"{path}/br0.nmconnection",
        "[connection]\nid=br0\nuuid=8a2f0c1e-0000-4000-8000-000000000002\ntype=bridge\n"
        f"interface-name=br0\n\n[bridge]\nstp=false\n\n[ipv4]\nmethod=manual\n"
        f"address1={host.static},{ROUTER}\ndns={ROUTER};\n\n[ipv6]\nmethod=disabled\n",
        0o600,
    )
    host.write(
        f"{path}/port.nmconnection",
        "[connection]\nid=port\nuuid=8a2f0c1e-0000-4000-8000-000000000003\ntype=ethernet\n"
        "interface-name=eth0\nmaster=br0\nslave-type=bridge\n",
        0o600,
    )


def _ifupdown_two_nics(host: Machine) -> None:
    """eth0 by DHCP and with an IPv6 address and gateway, eth1 static and without a gateway."""
    _ifupdown("dhclient", False)(host)
    host.write(
        "/etc/network/interfaces",
        "auto lo\niface lo inet loopback\n\nauto eth0\niface eth0 inet dhcp\n"
        f"iface eth0 inet6 static\n    address {host.static6}\n    gateway {ROUTER6}\n\n"
        "auto eth1\niface eth1 inet static\n    address 10.78.0.2/24\n",
    )


def _networkmanager_six(host: Machine) -> None:
    _networkmanager(True)(host)
    path = "/etc/NetworkManager/system-connections/site.nmconnection"
    six = f"method=manual\\naddress1={host.static6},{ROUTER6}"
    host.run(f"sed -i 's#^method=disabled#{six}#' {path}")


MANAGERS = [
    *(Manager("netplan-networkd", "systemd-networkd", s, _netplan("networkd", s))
      for s in (False, True)),
    *(Manager("netplan-NetworkManager", "NetworkManager", s, _netplan("NetworkManager", s))
      for s in (False, True)),
    Manager("ifupdown-dhclient", "networking", False, _ifupdown("dhclient", False)),
    Manager("ifupdown-dhcpcd", "networking", False, _ifupdown("dhcpcd", False)),
    Manager("ifupdown", "networking", True, _ifupdown("", True)),
    *(Manager("NetworkManager", "NetworkManager", s, _networkmanager(s)) for s in (False, True)),
]  # fmt: skip

MORE = [
    Manager("netplan-bridge", "systemd-networkd", True, _netplan_bridge, "br0"),
    Manager("ifupdown-bridge", "networking", False, _ifupdown_bridge, "br0"),
    Manager("NetworkManager-bridge", "NetworkManager", True, _networkmanager_bridge, "br0"),
    Manager("ifupdown-two-nics", "networking", False, _ifupdown_two_nics, nics=2),
    Manager("NetworkManager-ipv6", "NetworkManager", True, _networkmanager_six),
]
