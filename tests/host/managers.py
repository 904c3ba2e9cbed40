"""How each network manager is put in charge, by DHCP and statically."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.host.lab import ROUTER, Machine

_NETPLAN = "/etc/netplan/50-site.yaml"


@dataclass(frozen=True)
class Manager:
    """A manager and a way of addressing. `unit` is the one that must be in charge again."""

    name: str
    unit: str
    static: bool
    set_up: Callable[[Machine], None]

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
