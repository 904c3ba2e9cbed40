"""The network block → a netplan v2 document, NIC by NIC."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from overlay_runtime.config.checks import Wrong, nameservers
from overlay_runtime.config.document import Value
from overlay_runtime.errors import Position
from overlay_runtime.userdata.lookup import child, items, text, texts
from overlay_runtime.userdata.nics import NicBlock

KINDS = ("ethernets", "bonds", "bridges", "vlans")
"""The sections of a document: cloud-init's v2 has these."""

Definition = dict[str, Any]


@dataclass
class Document:
    """A netplan document in parts: a device's definition, its section, its place in a file."""

    definitions: dict[str, Definition] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)
    places: dict[str, Position] = field(default_factory=dict)

    def add(self, kind: str, name: str, definition: Definition, place: Position) -> None:
        """Add a device; one of the same name is replaced."""
        self.kinds[name], self.definitions[name], self.places[name] = kind, definition, place

    def remove(self, name: str) -> None:
        """Remove a device."""
        for table in (self.kinds, self.definitions, self.places):
            table.pop(name, None)

    def needs(self, name: str) -> set[str]:
        """Return the devices that one is made of, directly or not, and itself."""
        found, open_ = set[str](), [name]
        while open_:
            one = open_.pop()
            if one not in found and one in self.definitions:
                found.add(one)
                open_ += [str(other) for other in parts(self.definitions[one])]
        return found

    def members(self) -> set[str]:
        """Return the devices whose addresses are those of a bond or bridge."""
        return {
            str(member)
            for name, one in self.definitions.items()
            if self.kinds[name] in ("bonds", "bridges")
            for member in _listed(one.get("interfaces"))
        }

    def whole(self, only: set[str] | None = None) -> dict[str, Any]:
        """Return the document, or the part of it with these devices."""
        made: dict[str, Any] = {"version": 2, "renderer": "networkd"}
        for name, one in self.definitions.items():
            if only is None or name in only:
                made.setdefault(self.kinds[name], {})[name] = one
        return made


def parts(definition: Definition) -> list[object]:
    """Return the names of devices that a definition refers to."""
    link = definition.get("link")
    return [*_listed(definition.get("interfaces")), *([link] if link else [])]


def _listed(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def describe(nics: Sequence[NicBlock]) -> Document:
    """Return the document for NICs whose blocks are right.

    A NIC that is only named by a VLAN keeps DHCP, as all do that are not described; one that is
    only named by a bond is its member and nothing else.
    """
    made = Document()
    members = {name for nic in nics for _, name in texts(child(nic.block, "bond", "interfaces"))}
    for nic in nics:
        vlan, bond = child(nic.block, "vlan"), child(nic.block, "bond")
        definition = _definition(nic, member=nic.name in members)
        kind = "ethernets"
        if vlan is not None:
            kind = "vlans"
            definition |= {"id": text(child(vlan, "id")), "link": text(child(vlan, "link"))}
        elif bond is not None:
            kind = "bonds"
            definition |= _bond(bond)
        made.add(kind, nic.name, definition, nic.entry.key)
    for nic in nics:
        link = text(child(nic.block, "vlan", "link"))
        if link and link not in made.definitions and link not in members:
            made.add("ethernets", link, {"dhcp4": "true"}, nic.entry.key)
        for _, name in texts(child(nic.block, "bond", "interfaces")):
            if name not in made.definitions:
                made.add("ethernets", name, {}, nic.entry.key)
    return made


def by_dhcp(definition: Definition) -> Definition:
    """Return what is left of a definition that can't be used: the NIC, with DHCP."""
    match = definition.get("match")
    usable = isinstance(match, dict) and any(match.values())
    return {"dhcp4": "true"} | ({"match": match} if usable else {})


def _definition(nic: NicBlock, *, member: bool) -> Definition:
    block = nic.block
    made: Definition = {}
    if match := _match(child(block, "match")):
        made["match"] = match
    for ours, its in (("mtu", "mtu"), ("optional", "optional")):
        if text(child(block, ours)):
            made[its] = text(child(block, ours))
    if member:
        return made
    for ours, its in (("dhcp6", "dhcp6"), ("acceptRA", "accept-ra")):
        if text(child(block, ours)):
            made[its] = text(child(block, ours))
    made["dhcp4"] = "false" if nic.static else "true"
    if nic.addresses:
        made["addresses"] = [str(one.interface) for one in nic.addresses]
    routes: list[dict[str, str]] = [
        {"to": "default" if gateway.version == 4 else "::/0", "via": str(gateway)}
        for gateway, _ in nic.gateways
        if nic.static or gateway.version == 6
    ]
    for route in items(child(block, "routes")):
        routes.append({key: text(child(route, key)) for key in ("to", "via", "metric")
                       if text(child(route, key))})  # fmt: skip
        if "via" not in routes[-1]:
            routes[-1]["scope"] = "link"
    if routes:
        made["routes"] = routes
    resolving = {
        "addresses": list(servers(child(block, "nameserver"))),
        "search": [word for _, word in texts(child(block, "searchDomains"))],
    }
    if any(resolving.values()):
        made["nameservers"] = {key: value for key, value in resolving.items() if value}
    return made


def _match(block: Value | None) -> dict[str, str]:
    names = {"macAddress": "macaddress", "driver": "driver", "name": "name"}
    found = {its: text(child(block, ours)) for ours, its in names.items()}
    if found["macaddress"]:
        found["macaddress"] = found["macaddress"].replace("-", ":").lower()
    return {key: value for key, value in found.items() if value}


def _bond(block: Value) -> Definition:
    interval = text(child(block, "monitorInterval")) or "100"
    return {
        "interfaces": [name for _, name in texts(child(block, "interfaces"))],
        "parameters": {
            "mode": text(child(block, "mode")) or "active-backup",
            "mii-monitor-interval": interval,
        },
    }


def servers(value: Value | None) -> tuple[str, ...]:
    """Return the addresses of name servers, none if they can't be read: the check says so."""
    try:
        return nameservers(value) if value is not None else ()
    except Wrong:
        return ()
