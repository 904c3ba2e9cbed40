"""All that can be said about a network-config file: `findings(text, name)`."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from overlay_runtime import OUR_LINKS
from overlay_runtime.address import IPAddress, IPInterface
from overlay_runtime.config.document import Entry, Value, read_document
from overlay_runtime.config.schema import HEADER
from overlay_runtime.errors import ConfigError, Position
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding
from overlay_runtime.userdata.lookup import child, entries, items, text, texts
from overlay_runtime.userdata.netplan import KINDS, TOP, V2
from overlay_runtime.userdata.nics import MAC, NIC_NAME, unfit
from overlay_runtime.userdata.walk import check

_DEFAULTS = ("default", "0.0.0.0/0", "::/0")


@dataclass
class Device:
    """A device of the file, and what could be read of it.

    `gateways`: default ones without a metric or table of their own, which would compete.
    """

    kind: str
    name: str
    entry: Entry
    addresses: list[tuple[IPInterface, Value]] = field(default_factory=list)
    gateways: list[tuple[IPAddress, Value]] = field(default_factory=list)

    @property
    def block(self) -> Value:
        """What stands below its name."""
        return self.entry.value


def is_network_config(text: str, file: str) -> bool:
    """Whether this is a network-config and no user-data: by its name, else by its content."""
    if re.search(r"network[-_]config", file.rpartition("/")[2]):
        return True
    top = set(re.findall(r"^([\w-]+):", text, re.MULTILINE))
    described = "network" in top or {"version", "ethernets"} <= top
    return described and not text.startswith(HEADER) and top <= {"network", "version", "renderer",
                                                                 *KINDS}  # fmt: skip


def findings(text: str, file: str) -> list[Finding]:
    """Return everything that can be said about a file, in its order. Never raises."""
    try:
        found = check_network_config(read_document(text, file))
    except ConfigError as error:
        return [Finding(rules.SYNTAX, one.position, one.found, one.expected, one.remedy)
                for one in error.problems]  # fmt: skip
    return sorted(dict.fromkeys(found), key=lambda one: one.order)


def body(top: Value) -> Value:
    """Return what stands below `network:`, or the whole where that is left out."""
    network = child(top, "network")
    return top if network is None else network


def wrong_version(network: Value) -> Finding | None:
    """Return what is wrong if this is another version than 2."""
    version = child(network, "version")
    if text(version) == "2":
        return None
    at = network.position if version is None else version.position
    found = f"version {text(version)[:20]}" if text(version) else "no `version`"
    return Finding(rules.VALUE, at, f"network-config: {found}", "version 2",
                   "write it as version 2, netplan's format: cloud-init's documents have both "
                   "side by side")  # fmt: skip


def check_network_config(top: Value) -> Iterator[Finding]:
    """Yield what is wrong about a document."""
    network = body(top)
    if isinstance(network.data, dict):
        wrong = wrong_version(network)
        if wrong is not None:
            yield wrong
            return
    if network is top:
        yield from check(top, V2)
    else:
        yield from check(top, TOP)
    devices = read_devices(network)
    names = {one.name for one in devices}
    first: dict[str, Device] = {}
    for one in devices:
        if first.setdefault(one.name, one) is not one:
            yield Finding(rules.NIC_NAME, one.entry.key, f"`{one.name[:40]}` stands below "
                          f"`{first[one.name].kind}` too", "a name of its own")  # fmt: skip
        yield from _names(one)
        yield from _references(one, names)
        yield from _addresses(one)
        yield from _gateways(one)
    yield from _twice(devices)
    yield from _meant_twice(devices)


def read_devices(network: Value) -> list[Device]:
    """Return the devices of all sections."""
    return [
        Device(kind, name, entry)
        for kind in KINDS
        for name, entry in entries(child(network, kind)).items()
        if isinstance(entry.value.data, dict | None)
    ]


def _names(one: Device) -> Iterator[Finding]:
    matched = child(one.block, "match")
    if one.kind != "ethernets" or matched is None:
        yield from _name(one.name, one.entry.key)
    renamed = child(one.block, "set-name")
    if renamed is not None and text(renamed):
        yield from _name(text(renamed), renamed.position)
        if matched is None:
            yield Finding(rules.NIC_LINK, renamed.position, "`set-name` without `match`",
                          "`match: {macaddress: …}` beside it")  # fmt: skip
    for value in (child(matched, "macaddress"), child(one.block, "macaddress")):
        if value is not None and text(value) and not MAC.fullmatch(text(value)):
            yield Finding(rules.NIC_LINK, value.position, f"{text(value)[:40]!r} is no MAC address",
                          "such as 52:54:00:12:34:56")  # fmt: skip
    if matched is not None and not any(
        text(entry.value) or items(entry.value) for entry in entries(matched).values()
    ):
        yield Finding(rules.NIC_LINK, matched.position, "`match` says nothing", "`macaddress`, "
                      "`driver` or `name`")  # fmt: skip


def _name(name: str, at: Position) -> Iterator[Finding]:
    if name in OUR_LINKS:
        yield Finding(rules.NIC_NAME, at, f"{name!r} is a link of the overlay itself",
                      "another device", "its address is set by the overlay")  # fmt: skip
    elif not NIC_NAME.fullmatch(name):
        long = len(name.encode())
        why = f"has {long} characters" if long > 15 else "has a character that can't be"
        yield Finding(rules.NIC_NAME, at, f"{name[:40]!r} {why}", "at most 15 characters, without "
                      "spaces, / and :", "or use `match`")  # fmt: skip


def _references(one: Device, names: set[str]) -> Iterator[Finding]:
    needed = {"vlans": ("id", "link"), "bonds": ("interfaces",)}.get(one.kind, ())
    for key in needed:
        value = child(one.block, key)
        if value is None or not (text(value) or items(value)):
            yield Finding(rules.NIC_LINK, one.entry.key, f"`{one.name[:40]}` without `{key}`",
                          "one")  # fmt: skip
    named = list(texts(child(one.block, "interfaces"))) if one.kind != "ethernets" else []
    link = child(one.block, "link")
    if one.kind == "vlans" and link is not None and text(link):
        named.append((link, text(link)))
    for value, name in named:
        if name == one.name:
            yield Finding(rules.NIC_LINK, value.position, "it is made of itself", "another device")
        elif name not in names:
            yield Finding(rules.NIC_LINK, value.position, f"`{name[:40]}` is not described",
                          "a device of this file", f"add it below `ethernets`: `{name[:40]}: "
                          "{}`")  # fmt: skip


def _addresses(one: Device) -> Iterator[Finding]:
    for item in items(child(one.block, "addresses")):
        for value, written in _written(item):
            try:
                if "/" not in written:
                    raise ValueError
                address = ipaddress.ip_interface(written)
            except ValueError:
                yield Finding(rules.ADDRESS, value.position, f"`addresses`: {written[:50]!r} is no "
                              "address with a prefix length",
                              "such as 10.0.10.25/24 or fd00::5/64")  # fmt: skip
                continue
            one.addresses.append((address, value))
            if why := unfit(address):
                yield Finding(rules.ADDRESS, value.position, f"{address} is {why}",
                              "a host's address")  # fmt: skip
    for value, written in texts(child(one.block, "nameservers", "addresses")):
        try:
            ipaddress.ip_address(written)
        except ValueError:
            yield Finding(rules.VALUE, value.position, f"`nameservers`: {written[:50]!r} is no IP "
                          "address", "an IP address")  # fmt: skip


def _written(item: Value) -> Iterator[tuple[Value, str]]:
    """An address is text, or the one key of a mapping with its options."""
    if text(item):
        yield item, text(item)
    for name in entries(item):
        yield item, name


def _gateways(one: Device) -> Iterator[Finding]:
    given = [(child(one.block, key), False, True) for key in ("gateway4", "gateway6")]
    for route in items(child(one.block, "routes")):
        if text(child(route, "to")) in _DEFAULTS:
            special = text(child(route, "metric")) or text(child(route, "table"))
            on_link = text(child(route, "on-link")).lower() == "true"
            given.append((child(route, "via"), on_link, not special))
        elif text(child(route, "to")):
            yield from _destination(child(route, "to"))
    for value, on_link, competes in given:
        if value is None or not text(value):
            continue
        try:
            gateway = ipaddress.ip_address(text(value))
        except ValueError:
            yield Finding(rules.GATEWAY, value.position, f"{text(value)[:50]!r} is no IP address",
                          "a gateway's address")  # fmt: skip
            continue
        if competes:
            one.gateways.append((gateway, value))
        near = [a for a, _ in one.addresses if a.version == gateway.version]
        if any(gateway == address.ip for address in near):
            yield Finding(rules.GATEWAY, value.position, f"{gateway} is the device's own address",
                          "an address in the network of its own")  # fmt: skip
        elif near and not on_link and not (gateway.version == 6 and gateway.is_link_local) and (
            not any(gateway in address.network for address in near)
        ):  # fmt: skip
            yield Finding(rules.GATEWAY, value.position, f"{gateway} can't be reached: it is not "
                          "in " + " or ".join(str(address.network) for address in near),
                          "an address in the network of its own", "or `on-link: true`")  # fmt: skip


def _destination(value: Value | None) -> Iterator[Finding]:
    try:
        ipaddress.ip_network(text(value), strict=False)
    except ValueError:
        assert value is not None
        yield Finding(rules.VALUE, value.position, f"`to`: {text(value)[:50]!r} is no network",
                      "such as 10.8.0.0/16, or `default`")  # fmt: skip


def _twice(devices: list[Device]) -> Iterator[Finding]:
    seen: dict[IPAddress, Device] = {}
    defaults: dict[int, Device] = {}
    for one in devices:
        for address, value in one.addresses:
            other = seen.setdefault(address.ip, one)
            if other is not one:
                yield Finding(rules.ADDRESS_TWICE, value.position, f"{address.ip} is the address "
                              f"of `{other.name[:40]}` too", "another address")  # fmt: skip
        for gateway, value in one.gateways:
            other = defaults.setdefault(gateway.version, one)
            if other is not one:
                yield Finding(rules.GATEWAY_TWICE, value.position, f"`{other.name[:40]}` has a "
                              "default gateway already", "one for IPv4 and one for IPv6 on a "
                              "host", "or give the routes different metrics")  # fmt: skip


def _meant_twice(devices: list[Device]) -> Iterator[Finding]:
    """Of two descriptions of one NIC the first alone counts; of two NICs one gets a name."""
    for keys, what in ((("set-name",), "name"), (("match", "macaddress"), "MAC address")):
        seen: dict[str, Device] = {}
        for one in devices:
            value = child(one.block, *keys)
            if value is None or not text(value):
                continue
            other = seen.setdefault(text(value).lower(), one)
            if other is not one:
                yield Finding(rules.NIC_NAME, value.position, f"`{other.name[:40]}` has this "
                              f"{what} too", "one of its own")  # fmt: skip
