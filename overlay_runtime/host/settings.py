"""A NIC's settings, and the systemd.network(5) file that keeps them. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_DUID_TYPES = {1: "link-layer-time", 2: "vendor", 3: "link-layer", 4: "uuid"}


@dataclass(frozen=True)
class StaticRoute:
    """A route to keep; `destination` "default" or a network, `metric` 0: the kernel's."""

    destination: str
    gateway: str
    metric: int = 0
    source: str = ""
    onlink: bool = False


@dataclass(frozen=True)
class ClientIdentity:
    """As whom the DHCPv4 client of before asked: by the MAC (`duid` empty), or by a DUID (RFC 8415;
    hexadecimal, with its type's two bytes) and an IAID."""

    duid: str = ""
    iaid: int = 0


@dataclass(frozen=True)
class Settings:
    """What a NIC gets. Addresses as ADDRESS/LENGTH; `request`: the DHCPv4 address to ask for;
    `metric`: of the routes from DHCP, None: networkd's 1024; `mtu` in bytes, None: as it is."""

    name: str
    dhcp4: bool = False
    dhcp6: bool = False
    accept_ra: bool = True
    link_local6: bool = True
    addresses: tuple[str, ...] = ()
    routes: tuple[StaticRoute, ...] = ()
    dns: tuple[str, ...] = ()
    domains: tuple[str, ...] = ()
    mtu: int | None = None
    mac: str = ""
    master: tuple[str, str] = ("", "")
    """Of a port: ("Bridge" or "Bond", its name)."""
    vlans: tuple[str, ...] = ()
    client: ClientIdentity = ClientIdentity()
    request: str = ""
    metric: int | None = None
    use_dns: bool = True
    use_routes: bool = True
    came_from: str = ""

    def words(self) -> str:
        """In words, for the plan."""
        parts = [f"port of {self.master[1]}"] if self.master[0] else []
        if self.dhcp4:
            parts.append(f"DHCP, asks for {self.request}" if self.request else "DHCP")
        if self.dhcp6:
            parts.append("DHCPv6")
        parts += [f"{address} static" for address in self.addresses]
        parts += [f"{r.destination} via {r.gateway}" for r in self.routes if r.gateway]
        if self.dns:
            parts.append(f"DNS {' '.join(self.dns)}")
        if self.domains:
            parts.append(f"search {' '.join(self.domains)}")
        if self.mtu:
            parts.append(f"MTU {self.mtu}")
        return ", ".join(parts) or "no address"


def render(settings: Settings) -> str:
    """Return the .network file. Keys that an older networkd doesn't know it skips by itself."""
    sections = [
        _section("Match", [("Name", settings.name)]),
        _section("Link", [("MACAddress", settings.mac), ("MTUBytes", settings.mtu or "")]),
        _section("Network", _network(settings)),
        *[_section("Route", _route(route)) for route in settings.routes],
    ]
    if settings.dhcp4:
        sections.append(_section("DHCPv4", _dhcp4(settings)))
    head = f"# Written by `edge-overlay host prepare`, from the settings of {settings.came_from}.\n"
    return head + "\n".join(section for section in sections if section)


def _network(settings: Settings) -> list[tuple[str, object]]:
    dhcp = {(True, True): "yes", (True, False): "ipv4", (False, True): "ipv6"}
    pairs: list[tuple[str, object]] = [
        ("DHCP", dhcp.get((settings.dhcp4, settings.dhcp6), "no")),
        ("LinkLocalAddressing", "ipv6" if settings.link_local6 else "no"),
        ("IPv6AcceptRA", "yes" if settings.accept_ra else "no"),
        # A restart of networkd takes no address away.
        ("KeepConfiguration", "dhcp-on-stop" if settings.dhcp4 else "static"),
    ]
    pairs += [settings.master] if settings.master[0] else []
    pairs += [("VLAN", name) for name in settings.vlans]
    pairs += [("Address", address) for address in settings.addresses]
    pairs += [("DNS", server) for server in settings.dns]
    pairs.append(("Domains", " ".join(settings.domains)))
    return pairs


def _route(route: StaticRoute) -> list[tuple[str, object]]:
    default = "::/0" if ":" in route.gateway else "0.0.0.0/0"
    return [
        ("Destination", default if route.destination == "default" else route.destination),
        ("Gateway", route.gateway),
        ("Scope", "" if route.gateway or ":" in route.destination else "link"),
        ("Metric", route.metric or ""),
        ("PreferredSource", route.source),
        ("GatewayOnLink", "yes" if route.onlink else ""),
    ]


def _dhcp4(settings: Settings) -> list[tuple[str, object]]:
    pairs: list[tuple[str, object]] = []
    if settings.client.duid:
        pairs += [
            ("ClientIdentifier", "duid"),
            ("DUIDType", _duid_type(settings.client.duid)),
            ("DUIDRawData", _colons(settings.client.duid[4:])),
            ("IAID", settings.client.iaid),
        ]
    else:
        pairs.append(("ClientIdentifier", "mac"))
    pairs += [
        ("RequestAddress", settings.request),
        ("RouteMetric", "" if settings.metric is None else settings.metric),
        ("UseDNS", "" if settings.use_dns else "no"),
        ("UseRoutes", "" if settings.use_routes else "no"),
    ]
    return pairs


def _duid_type(duid: str) -> str:
    """systemd 252 takes the names alone, and makes a DUID of its own for a number."""
    number = int(duid[:4], 16)
    return _DUID_TYPES.get(number, str(number))


def _colons(digits: str) -> str:
    return ":".join(digits[at : at + 2] for at in range(0, len(digits), 2))


def _section(name: str, pairs: list[tuple[str, object]]) -> str:
    lines = [f"{key}={value}\n" for key, value in pairs if value != ""]
    return f"[{name}]\n{''.join(lines)}" if lines else ""
