"""What is wrong about a user's own kube-vip manifest on a host with the overlay.

Only what keeps the VIP or a service's address from where it belongs. Modes other than ARP (BGP,
routing table, WireGuard) are somebody's deliberate work, and are left alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

from overlay_runtime import BRIDGE
from overlay_runtime.address import IPAddress
from overlay_runtime.config.cluster import JITTER
from overlay_runtime.errors import Position, Problem

_TEXT = "tag:yaml.org,2002:str"
_TIMINGS = {"vip_leaseduration": 5, "vip_renewdeadline": 3, "vip_retryperiod": 1}
"""Seconds, with kube-vip's own defaults (cmd/kube-vip.go)."""

_OTHER_MODES = ("bgp_enable", "vip_wireguard", "vip_routingtable")
_SUBNETS = ("vip_subnet", "vip_cidr")
"""Before v0.9 it was `vip_cidr`."""


@dataclass(frozen=True)
class _Setting:
    value: str
    at: Position


@dataclass(frozen=True)
class _Container:
    """A kube-vip container: its settings by name, and where it starts."""

    settings: dict[str, _Setting]
    at: Position
    unquoted: dict[str, Position]
    elsewhere: bool
    """Settings may come from elsewhere: flags, a ConfigMap. What is missing is not known then."""

    def on(self, name: str) -> bool:
        """Whether a switch is on, as Go's ParseBool has it."""
        return name in self.settings and self.settings[name].value in (
            "1", "t", "T", "true", "TRUE", "True",
        )  # fmt: skip

    def value(self, *names: str) -> _Setting | None:
        """Return the first of these settings that is there and not empty."""
        return next((self.settings[n] for n in names if n in self.settings
                     and self.settings[n].value), None)  # fmt: skip


def problems(manifest: str, vip: IPAddress, file: str = "kube-vip.yaml") -> list[Problem]:
    """Return what is wrong in a manifest, with places; nothing where no kube-vip is in it.

    Text that is no YAML is one problem. Raises nothing.
    """
    try:
        documents = [node for node in yaml.compose_all(manifest, yaml.SafeLoader) if node]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        at = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
        return [Problem(at, "this is no YAML", "a manifest", "mend it: kubelet can't read it")]
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return [Problem(Position(file, 1, 1), "this is no YAML", "a manifest", "mend it")]
    seen: set[int] = set()
    return [found for document in documents for container in _containers(document, file, seen)
            for found in _judged(container, vip)]  # fmt: skip


def _judged(container: _Container, vip: IPAddress) -> Iterator[Problem]:
    for name, at in container.unquoted.items():
        remedy = "put it in quotes: Kubernetes refuses it otherwise"
        yield Problem(at, f"the value of `{name}` is no text", "text", remedy)
    if any(container.on(mode) for mode in _OTHER_MODES):
        return
    if container.on("cp_enable"):
        yield from _control_plane(container, vip)
    if container.on("svc_enable"):
        yield from _services(container)
    yield from _timings(container)


def _control_plane(container: _Container, vip: IPAddress) -> Iterator[Problem]:
    interface = container.value("vip_interface")
    why = "the VIP belongs on the overlay, whose addresses never change"
    if interface is not None and interface.value != BRIDGE:
        found = f"`vip_interface` is {interface.value[:40]!r}"
        yield Problem(interface.at, found, f"'{BRIDGE}'", why)
    if interface is None and not container.elsewhere:
        found = "`vip_interface` is missing: kube-vip takes the NIC with the default route"
        yield Problem(container.at, found, f"'{BRIDGE}'", why)
    address = container.value("address", "vip_address")
    written = _address(address.value) if address else None
    if address and written is not None and written != vip:
        yield Problem(address.at, f"the control plane's address is {written}", f"the VIP {vip}",
                      "the VIP is the first address of the overlay's range")  # fmt: skip
    if not (address or container.elsewhere or container.on("vip_ddns")):
        yield Problem(container.at, "`address` is missing", f"the VIP {vip}", "add it")
    yield from _subnet(container, vip)


def _subnet(container: _Container, vip: IPAddress) -> Iterator[Problem]:
    subnet = container.value(*_SUBNETS)
    if subnet is None:
        return
    parts = subnet.value.replace("/", "").split(",")
    mine = parts[-1 if vip.version == 6 else 0].strip()
    if mine != str(vip.max_prefixlen):
        found = f"the VIP's prefix length is {mine[:20]!r}"
        yield Problem(subnet.at, found, str(vip.max_prefixlen),
                      "a shorter one brings a route to the whole range along")  # fmt: skip


def _services(container: _Container) -> Iterator[Problem]:
    interface = container.value("vip_servicesinterface")
    found = f"`vip_servicesinterface` is '{BRIDGE}'"
    if interface is None and not container.elsewhere:
        interface = container.value("vip_interface")
        found = f"`vip_servicesinterface` is missing: kube-vip takes {BRIDGE}"
    if interface is not None and interface.value == BRIDGE:
        remedy = "addresses of services on the overlay can't be reached from outside"
        yield Problem(interface.at, found, "a physical NIC, or 'auto'", remedy)


def _timings(container: _Container) -> Iterator[Problem]:
    known: dict[str, int] = {}
    at = container.at
    for name, default in _TIMINGS.items():
        setting = container.value(name)
        if setting is None:
            known[name] = default
            continue
        if not (setting.value.isascii() and setting.value.isdigit() and len(setting.value) < 7):
            yield Problem(setting.at, f"`{name}` is {setting.value[:20]!r}", "whole seconds",
                          "kube-vip does not start with it")  # fmt: skip
            return
        at = setting.at if at is container.at else at
        known[name] = int(setting.value)
    lease, renew, retry = known.values()
    if not lease > renew > JITTER * retry:
        yield Problem(at, f"`vip_leaseduration` {lease}, `vip_renewdeadline` {renew} and "
                      f"`vip_retryperiod` {retry} don't go together",
                      "vip_leaseduration > vip_renewdeadline > 1.2 * vip_retryperiod",
                      "such as 5, 3, 1, or 30, 20, 4")  # fmt: skip


def _address(text: str) -> IPAddress | None:
    """Return an IP address; None for a name, of which nothing can be said."""
    try:
        return ipaddress.ip_address(text.split("/")[0])
    except ValueError:
        return None


def _containers(document: yaml.Node, file: str, seen: set[int]) -> Iterator[_Container]:
    """Each node once, however many aliases lead to it, in a circle even."""
    if id(document) in seen:
        return
    seen.add(id(document))
    kind = _scalar(_at(document, "kind"))
    if kind == "List":
        for item in _items(_at(document, "items")):
            yield from _containers(item, file, seen)
        return
    place = ("spec",) if kind == "Pod" else ("spec", "template", "spec")
    for node in _items(_at(document, *place, "containers")):
        if id(node) not in seen and _is_kube_vip(node):
            seen.add(id(node))
            yield _container(node, file)


def _is_kube_vip(node: yaml.Node) -> bool:
    image = (_scalar(_at(node, "image")) or "").split("@")[0].rsplit("/", 1)[-1]
    return image.split(":")[0].startswith("kube-vip") and "cloud-provider" not in image


def _container(node: yaml.Node, file: str) -> _Container:
    settings: dict[str, _Setting] = {}
    unquoted: dict[str, Position] = {}
    elsewhere = _at(node, "envFrom") is not None or len(_items(_at(node, "args"))) > 1
    for item in _items(_at(node, "env")):
        name, value = _scalar(_at(item, "name")), _at(item, "value")
        if name is None or not isinstance(value, yaml.ScalarNode):
            elsewhere |= name != "vip_nodename"
            continue
        settings[name] = _Setting(value.value, _position(value, file))
        if value.tag != _TEXT:
            unquoted[name] = settings[name].at
    return _Container(settings, _position(node, file), unquoted, elsewhere)


def _at(node: yaml.Node | None, *path: str) -> yaml.Node | None:
    for name in path:
        if not isinstance(node, yaml.MappingNode):
            return None
        node = next((value for key, value in node.value if _scalar(key) == name), None)
    return node


def _items(node: yaml.Node | None) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _scalar(node: yaml.Node | None) -> str | None:
    return str(node.value) if isinstance(node, yaml.ScalarNode) else None


def _position(node: yaml.Node, file: str) -> Position:
    return Position(file, node.start_mark.line + 1, node.start_mark.column + 1)
