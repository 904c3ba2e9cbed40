"""What the kernel holds now: links, their addresses and routes, as `ip -json` (ip(8)) tells."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overlay_runtime.host.tools import run_json
from overlay_runtime.kernel.actual import read_links
from overlay_runtime.kernel.netlink import Netlink
from overlay_runtime.underlay import entrances


@dataclass(frozen=True)
class HeldAddress:
    """An address with its prefix length; `dynamic`: it has a lifetime (DHCP, SLAAC)."""

    interface: ipaddress.IPv4Interface | ipaddress.IPv6Interface
    dynamic: bool
    link_scope: bool

    def __str__(self) -> str:
        return str(self.interface)


@dataclass(frozen=True)
class HeldRoute:
    """A route of the main table. `destination` is "default" or a network; `gateway` may be ""."""

    destination: str
    gateway: str
    protocol: str
    metric: int
    source: str
    onlink: bool
    version: int


@dataclass(frozen=True)
class LiveNic:
    """A link as it is. `kind` is rtnetlink's, "" for hardware; `physical` after underlay.py."""

    name: str
    index: int
    mac: str
    permanent_mac: str
    mtu: int
    kind: str
    up: bool
    master: str
    physical: bool
    wireless: bool
    addresses: tuple[HeldAddress, ...]
    routes: tuple[HeldRoute, ...]
    lower: str = ""
    """The link that it lies on (a VLAN), "" without one or if that is in another namespace."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What rtnetlink says of its kind (IFLA_INFO_DATA), as `ip -json -details` names it."""

    def gateways(self) -> tuple[str, ...]:
        """The next hops of its default routes, IPv4 first."""
        found = [r for r in self.routes if r.destination == "default" and r.gateway]
        found.sort(key=lambda route: (route.version, route.metric))
        return tuple(dict.fromkeys(route.gateway for route in found))

    def kept(self) -> tuple[HeldAddress, ...]:
        """The addresses that must be there after the switch: not those that the kernel makes."""
        mine = (a for a in self.addresses if not a.link_scope)
        return tuple(a for a in mine if not (a.dynamic and a.interface.version == 6))


def read_nics() -> dict[str, LiveNic]:
    """Return all links but the loopback, by name. Raises HostError, NetlinkError."""
    links = read_links(Netlink())
    physical = entrances(links, (), ())
    routes = _routes()
    found = {}
    for link in run_json("ip", "-json", "-details", "address", "show"):
        name = str(link["ifname"])
        if "LOOPBACK" in link["flags"]:
            continue
        found[name] = LiveNic(
            name=name,
            index=int(link["ifindex"]),
            mac=str(link.get("address", "")),
            permanent_mac=str(link.get("permaddr", link.get("address", ""))),
            mtu=int(link["mtu"]),
            kind=str(link.get("linkinfo", {}).get("info_kind", "")),
            up="UP" in link["flags"],
            master=str(link.get("master", "")),
            physical=name in physical,
            wireless=_wireless(name),
            addresses=tuple(_address(a) for a in link["addr_info"] if "local" in a),
            routes=tuple(routes.get(name, ())),
            lower=str(link.get("link") or ""),
            details=link.get("linkinfo", {}).get("info_data", {}),
        )
    return found


def _address(found: Mapping[str, Any]) -> HeldAddress:
    interface = ipaddress.ip_interface(f"{found['local']}/{found['prefixlen']}")
    return HeldAddress(interface, bool(found.get("dynamic")), found.get("scope") == "link")


def _routes() -> dict[str, list[HeldRoute]]:
    by_link: dict[str, list[HeldRoute]] = {}
    for version in (4, 6):
        for route in run_json("ip", f"-{version}", "-json", "route", "show", "table", "main"):
            if "dev" not in route or route.get("type", "unicast") != "unicast":
                continue
            by_link.setdefault(str(route["dev"]), []).append(
                HeldRoute(
                    str(route["dst"]), str(route.get("gateway", "")),
                    str(route.get("protocol", "boot")), int(route.get("metric", 0)),
                    str(route.get("prefsrc", "")), "onlink" in route.get("flags", ()), version,
                )
            )  # fmt: skip
    return by_link


def _wireless(name: str) -> bool:
    return (Path("/sys/class/net") / name / "wireless").exists()
