"""What ifupdown is in charge of, and with which settings: its files and the kernel's live state."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path

from overlay_runtime.errors import HostError
from overlay_runtime.host.dhcp import client_identity
from overlay_runtime.host.interfaces import Stanza, read_interfaces
from overlay_runtime.host.nics import LiveNic
from overlay_runtime.host.settings import ClientIdentity, Settings, StaticRoute
from overlay_runtime.host.tools import is_active
from overlay_runtime.host.virtual import KINDS

UNIT = "networking.service"
_HOOKS = ("pre-up", "up", "post-up", "down", "pre-down", "post-down")
_STRANGE = re.compile(
    r"(wpa|wireless|bond|bridge|ovs|vlan|slaves|batman|vxlan|tunnel|macvlan|ppp|provider|gre|mesh)"
)
_OWN = {"bridge": ("bridge",), "bond": ("bond", "slaves"), "vlan": ("vlan",)}
_METHODS = {
    "inet": ("static", "dhcp", "manual"),
    "inet6": ("static", "dhcp", "auto", "manual"),
    "": ("",),
}


def managed(root: Path, nics: dict[str, LiveNic]) -> dict[str, list[Stanza]]:
    """Return the stanzas that are in effect, by NIC. Raises HostError for what isn't Ethernet."""
    if not is_active(UNIT) and not (root / "run/network/ifstate").exists():
        return {}
    found = read_interfaces(root)
    up = _state(root)
    by_name: dict[str, list[Stanza]] = {}
    for stanza in found.stanzas:
        name = stanza.name.split(":")[0]  # eth0:1 is one more address of eth0
        wanted = stanza.name in found.automatic or stanza.name in up
        if name == "lo" or not wanted or (name not in nics and stanza.name not in up):
            continue
        _refuse_strange(stanza, nics.get(name))
        by_name.setdefault(name, []).append(stanza)
    return by_name


def hooks(stanzas: list[Stanza]) -> list[tuple[str, str]]:
    """Return the commands of stanzas, each with its place."""
    return [(s.where, f"{name} {value}")
            for s in stanzas for name, value in s.options if name in _HOOKS]  # fmt: skip


def settings(root: Path, nic: LiveNic, stanzas: list[Stanza]) -> Settings:
    """Return what these stanzas and the kernel's live state give a NIC. Raises HostError."""
    dhcp4 = _has(stanzas, "inet", "dhcp")
    written = [address for s in stanzas if s.method in ("static", "") for address in _written(s)]
    live = [a.interface for a in nic.addresses if not a.link_scope and not a.dynamic]
    if dhcp4:  # a lease without an end has no lifetime either
        live = [i for i in live if i.version == 6 or str(i) in written]
    auto6 = _has(stanzas, "inet6", "auto") or _has(stanzas, "inet6", "dhcp")
    any6 = any(s.family == "inet6" for s in stanzas)
    mtu = next((s.first("mtu") for s in stanzas if s.first("mtu")), "")
    mac = next((s.first("hwaddress").split()[-1] for s in stanzas if s.first("hwaddress")), "")
    metrics = [r.metric for r in nic.routes if r.version == 4 and r.destination == "default"]
    return Settings(
        nic.name,
        dhcp4=dhcp4,
        dhcp6=_has(stanzas, "inet6", "dhcp"),
        accept_ra=auto6 or not any6,
        addresses=tuple(dict.fromkeys([*written, *map(str, live)])),
        routes=_routes(nic, stanzas, dhcp4),
        dns=_words(stanzas, "dns-nameservers", "dns-nameserver"),
        domains=_words(stanzas, "dns-search", "dns-domain"),
        mtu=int(mtu) if mtu.isdigit() else None,
        mac=mac if mac.count(":") == 5 else "",
        client=client_identity(root, nic.name, nic.mac) if dhcp4 else ClientIdentity(),
        metric=min(metrics, default=0) if dhcp4 else None,
        came_from=f"ifupdown ({', '.join(s.where for s in stanzas)})",
    )


def _state(root: Path) -> set[str]:
    try:
        lines = (root / "run/network/ifstate").read_text().splitlines()
    except OSError:
        return set()
    return {line.split("=")[0] for line in lines if line}


def _has(stanzas: list[Stanza], family: str, method: str) -> bool:
    return any((s.family, s.method) == (family, method) for s in stanzas)


def _refuse_strange(stanza: Stanza, nic: LiveNic | None) -> None:
    remedy = ("make it with systemd-networkd by hand (systemd.netdev(5), systemd.network(5)) and "
              "take it out of this file")  # fmt: skip
    if nic is None:
        raise HostError(f"{stanza.where}: there is no link {stanza.name}", remedy)
    if stanza.method not in _METHODS.get(stanza.family, ()):
        raise HostError(f"{stanza.where}: `{stanza.family} {stanza.method}` can't be carried over",
                        remedy)  # fmt: skip
    strange = next((name for name, _ in stanza.options if _STRANGE.match(name)), None)
    if nic.wireless:
        raise HostError(f"{stanza.where}: {stanza.name} is Wi-Fi: its keys can't be carried over",
                        remedy)  # fmt: skip
    own = _OWN.get(nic.kind, ()) + (("bond",) if nic.master else ())
    if strange and strange.startswith(own):
        strange = None  # the kernel has it: `virtual.py`, `parts.py`
    if strange or nic.kind not in ("", "veth", *KINDS):
        raise HostError(f"{stanza.where}: {stanza.name} is no plain Ethernet NIC "
                        f"({strange or nic.kind}): it can't be carried over", remedy)  # fmt: skip
    if stanza.first("pointopoint"):
        raise HostError(f"{stanza.where}: `pointopoint` can't be carried over", remedy)
    if stanza.method == "dhcp" and stanza.first("client"):
        raise HostError(f"{stanza.where}: DHCP with a `client` identifier of its own", remedy)


def _written(stanza: Stanza) -> list[str]:
    """Return the addresses of a stanza, with their prefix lengths."""
    found = []
    for value in stanza.all("address"):
        mask = stanza.first("netmask")
        text = value if "/" in value or not mask else f"{value}/{mask}"
        try:
            found.append(str(ipaddress.ip_interface(text)))
        except ValueError as error:
            raise HostError(f"{stanza.where}: {text} is no address", "mend it") from error
    return found


def _routes(nic: LiveNic, stanzas: list[Stanza], dhcp4: bool) -> tuple[StaticRoute, ...]:
    routes = []
    for held in nic.routes:
        leased = dhcp4 and held.version == 4 and held.destination == "default"
        if held.protocol not in ("boot", "static") or leased:
            continue
        metric = _metric(held.metric, held.version)
        onlink = held.onlink and bool(held.gateway)
        routes.append(StaticRoute(held.destination, held.gateway, metric, held.source, onlink))
    have = {(r.destination, ":" in r.gateway) for r in routes}
    for stanza in stanzas:  # a NIC without a cable has no routes at the moment
        gateway = stanza.first("gateway")
        if gateway and ("default", ":" in gateway) not in have:
            wish = stanza.first("metric")
            routes.append(StaticRoute("default", gateway, int(wish) if wish.isdigit() else 0))
    return tuple(routes)


def _metric(metric: int, version: int) -> int:
    """1024 is what the kernel makes of "none" for IPv6."""
    return 0 if version == 6 and metric == 1024 else metric


def _words(stanzas: list[Stanza], *names: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(w for s in stanzas for v in s.all(*names) for w in v.split()))
