"""What NetworkManager is in charge of, and with which settings: from nmcli(1)."""

from __future__ import annotations

from overlay_runtime.errors import HostError
from overlay_runtime.host.nics import LiveNic
from overlay_runtime.host.settings import Settings, StaticRoute
from overlay_runtime.host.tools import attempt, is_active, run
from overlay_runtime.host.virtual import KINDS

UNIT = "NetworkManager.service"
_FIELDS = (
    "connection.type", "connection.id", "ipv4.method", "ipv4.addresses", "ipv4.gateway",
    "ipv4.routes", "ipv4.dns", "ipv4.dns-search", "ipv4.ignore-auto-dns", "ipv4.ignore-auto-routes",
    "ipv4.never-default", "ipv4.route-metric", "ipv4.dhcp-client-id", "ipv6.method",
    "ipv6.addresses", "ipv6.gateway", "ipv6.routes", "ipv6.dns", "ipv6.dns-search",
    "802-3-ethernet.mtu", "802-3-ethernet.cloned-mac-address", "802-1x.eap",
)  # fmt: skip
_WAYS4 = ("auto", "manual", "disabled", "link-local")


def managed() -> dict[str, str]:
    """Return the devices with an active profile of NetworkManager's own, and the profile's UUID.

    Raises HostError.
    """
    if not is_active(UNIT):
        return {}
    found = {}
    words = ("nmcli", "--terse", "--escape", "no", "--fields")
    for line in run(*words, "DEVICE,TYPE,STATE,CON-UUID", "device").splitlines():
        device, kind, state, uuid = line.rsplit(":", 3)
        if state.startswith(("connected", "connecting")) and "externally" not in state and uuid:
            _refuse_strange(device, kind)
            found[device] = uuid
    return found


def settings(nic: LiveNic, uuid: str) -> Settings:
    """Return what a profile gives a NIC. Raises HostError for what can't be carried over."""
    values = _profile(uuid)
    where = f"NetworkManager's profile {values['connection.id']!r} of {nic.name}"
    for key, why in (("802-1x.eap", "needs 802.1X"),):
        if values[key]:
            raise HostError(f"{where} {why}", _BY_HAND)
    way4, way6 = values["ipv4.method"], values["ipv6.method"]
    if way4 not in _WAYS4:
        raise HostError(f"{where} has ipv4.method {way4}", _BY_HAND)
    dhcp4 = way4 == "auto"
    metric = min((r.metric for r in nic.routes if r.version == 4 and r.metric), default=100)
    mtu, mac = values["802-3-ethernet.mtu"], values["802-3-ethernet.cloned-mac-address"]
    client = values["ipv4.dhcp-client-id"]
    if dhcp4 and client not in ("", "mac"):
        raise HostError(f"{where} asks DHCP with an ipv4.dhcp-client-id of its own ({client})",
                        f"set it to `mac`, or {_BY_HAND}")  # fmt: skip
    return Settings(
        nic.name,
        dhcp4=dhcp4,
        dhcp6=way6 in ("auto", "dhcp"),
        accept_ra=way6 in ("auto", "dhcp"),
        link_local6=way6 not in ("disabled", "ignore"),
        addresses=(*_list(values["ipv4.addresses"]), *_list(values["ipv6.addresses"])),
        routes=_routes(values, metric),
        dns=(*_list(values["ipv4.dns"]), *_list(values["ipv6.dns"])),
        domains=tuple(dict.fromkeys(
            (*_list(values["ipv4.dns-search"]), *_list(values["ipv6.dns-search"])))),
        mtu=int(mtu) if mtu.isdigit() and int(mtu) else None,
        mac=mac if mac.count(":") == 5 else "",
        metric=metric,
        use_dns=values["ipv4.ignore-auto-dns"] != "yes",
        use_routes=values["ipv4.ignore-auto-routes"] != "yes"
        and values["ipv4.never-default"] != "yes",
        came_from=where,
    )  # fmt: skip


_BY_HAND = "write a file for it in /etc/systemd/network and take it from NetworkManager by hand"


def _profile(uuid: str) -> dict[str, str]:
    words = ("nmcli", "--escape", "no", "--get-values")
    values = {}
    for field in _FIELDS:  # one by one: a field that a version or a type doesn't have is an error
        code, out, _ = attempt(*words, field, "connection", "show", "uuid", uuid)
        values[field] = out.strip() if code == 0 else ""
    if not values["ipv4.method"]:
        raise HostError(f"nmcli doesn't tell the settings of the profile {uuid}",
                        f"try `nmcli connection show {uuid}`")  # fmt: skip
    return values


def _refuse_strange(device: str, kind: str) -> None:
    if kind in ("ethernet", "loopback", "802-3-ethernet", *KINDS):
        return
    raise HostError(
        f"{device} is a {kind} of NetworkManager's: its keys or its parts can't be carried over",
        "make it with systemd-networkd by hand (systemd.netdev(5)) and delete the profile, or "
        "disconnect it (`nmcli device disconnect`) if the host does without",
    )


def _list(text: str) -> tuple[str, ...]:
    return tuple(one.strip() for one in text.replace(" | ", ",").split(",") if one.strip())


def _routes(values: dict[str, str], metric: int) -> tuple[StaticRoute, ...]:
    routes = []
    for version in ("4", "6"):
        gateway = values[f"ipv{version}.gateway"]
        if gateway and gateway != "--":
            routes.append(StaticRoute("default", gateway, metric))
        for text in _list(values[f"ipv{version}.routes"]):
            words = text.split()
            own = next((int(word) for word in words[1:] if word.isdigit()), metric)
            via = words[1] if len(words) > 1 and ("." in words[1] or ":" in words[1]) else ""
            routes.append(StaticRoute(words[0], via, own))
    return tuple(routes)
