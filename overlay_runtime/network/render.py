"""What is wanted → a bundle of files, of as much as is right."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overlay_runtime.address import IPAddress
from overlay_runtime.network.bundle import NETWORK_DIR, RESOLVED, Bundle, Device
from overlay_runtime.network.describe import Definition, Document, by_dhcp
from overlay_runtime.network.netplan import NetplanError, generate
from overlay_runtime.network.wanted import Wanted

_TRUE = ("true", "yes", "on", "y")
_FILE_NAME = re.compile(r"[^\s/\x00-\x1f\x7f]{1,100}")
_DEFAULTS = ("default", "0.0.0.0/0", "::/0")


@dataclass(frozen=True)
class Rendered:
    """A bundle, the devices that are in it with DHCP instead of what was wanted, and why."""

    bundle: Bundle
    left_out: tuple[str, ...] = ()
    problems: tuple[str, ...] = field(default=())


def render(wanted: Wanted, scratch: Path) -> Rendered:
    """Render as much as is right; what is wrong gets DHCP. Raises OSError."""
    document, wrong, problems = wanted.document, set(wanted.wrong), []
    for name in [name for name in document.definitions if not _FILE_NAME.fullmatch(name)]:
        if name not in wrong:
            problems.append(f"{document.places[name]}: a name that no file can have; expected "
                            "letters and digits; what it matches stands in `match`")  # fmt: skip
        wrong.add(name)
    wrong |= {name for name in document.definitions if document.needs(name) & wrong}
    for name in sorted(wrong):
        _replace(document, name)
    files: dict[str, str] = {}
    try:
        files = generate(document.whole(), scratch) if document.definitions else {}
    except NetplanError as error:
        # Which device is it? Each is asked about alone, with those that it is made of.
        said = {name: _complaint(document, name, scratch) for name in document.definitions}
        problems += [words for words in said.values() if words] or [f"{wanted.origin}: {error}"]
        wrong |= {name for name, words in said.items() if words}
        for name in sorted(wrong):
            _replace(document, name)
        try:
            files = generate(document.whole(), scratch) if document.definitions else {}
        except NetplanError:
            wrong |= set(document.definitions)
            document = Document()
    return Rendered(_bundle(wanted, document, files), tuple(sorted(wrong)), tuple(problems))


def _replace(document: Document, name: str) -> None:
    """Leave of a device the NIC, with DHCP; of one that is made of others nothing, nor of one
    whose name would lead netplan's files elsewhere: NICs that are not described have DHCP."""
    if document.kinds.get(name) == "ethernets" and _FILE_NAME.fullmatch(name):
        definition = by_dhcp(document.definitions[name])
        document.add("ethernets", name, definition, document.places[name])
    else:
        document.remove(name)


def _complaint(document: Document, name: str, scratch: Path) -> str:
    """Return what netplan says against one device and those that it is made of, or nothing."""
    try:
        generate(document.whole(document.needs(name)), scratch)
    except NetplanError as error:
        return f"{document.places[name]}: `{name[:40]}`: {error}"
    return ""


def _bundle(wanted: Wanted, document: Document, files: Mapping[str, str]) -> Bundle:
    written = {f"{NETWORK_DIR}/{name}": text for name, text in files.items()}
    members = document.members()
    devices = []
    for name, definition in document.definitions.items():
        device = _device(document, name, member=name in members)
        devices.append(device)
        main, by_mac = device.files
        text = files.get(main, "")
        if not text:
            continue
        drop_in = _drop_in(definition, member=device.member)
        written[f"{NETWORK_DIR}/{main}.d/50-edge.conf"] = drop_in
        if "PermanentMACAddress=" in text:
            written[f"{NETWORK_DIR}/{by_mac}"] = _any_mac(text)
            written[f"{NETWORK_DIR}/{by_mac}.d/50-edge.conf"] = drop_in
    if wanted.nameservers or wanted.search:
        written[RESOLVED] = _resolved(wanted)
    environment = dict(wanted.proxies.environment or {})
    return Bundle(wanted.origin, tuple(devices), written, environment)


def _device(document: Document, name: str, *, member: bool) -> Device:
    definition = document.definitions[name]
    gateways = [definition.get("gateway4"), definition.get("gateway6")]
    for route in definition.get("routes") or []:
        if isinstance(route, dict) and route.get("to") in _DEFAULTS and not route.get("table"):
            gateways.append(route.get("via"))
    return Device(
        name=name,
        where=str(document.places[name]),
        gateways=tuple(one for gateway in gateways if (one := _address(gateway)) is not None),
        static=bool(definition.get("addresses")),
        dhcp=_is(definition.get("dhcp4"), _TRUE) or _is(definition.get("dhcp6"), _TRUE),
        member=member,
        optional=_is(definition.get("optional"), _TRUE),
    )


def _address(value: object) -> IPAddress | None:
    try:
        return ipaddress.ip_address(str(value)) if value else None
    except ValueError:
        return None


def _is(value: object, words: tuple[str, ...]) -> bool:
    return str(value).lower() in words


def _drop_in(definition: Definition, *, member: bool) -> str:
    """What netplan can't say, and what zz-20-edge-dhcp.network says for other NICs, unless the
    operator wrote something else."""
    lines = ["# See zz-20-edge-dhcp.network: the same for NICs that are described."]
    if definition.get("match"):
        lines += ["[Match]", "Type=!loopback"]  # a pattern may mean everything, but not that
    if _is(definition.get("optional"), _TRUE):
        lines += ["[Link]", "RequiredForOnline=no"]
    if not member:
        lines += ["[Network]", "KeepConfiguration=dhcp-on-stop"]
    dhcp = []
    if not definition.get("dhcp-identifier"):
        dhcp.append("ClientIdentifier=mac")
    overrides: Any = definition.get("dhcp4-overrides") or {}
    if not (isinstance(overrides, dict) and overrides.get("use-hostname")):
        dhcp.append("UseHostname=no")
    if dhcp and not member:
        lines += ["[DHCPv4]", *dhcp]
    return "\n".join(lines) + "\n"


def _any_mac(text: str) -> str:
    """The same file for a NIC whose address was set by others: virtual functions of SR-IOV and
    veth have no permanent one. What is stacked on a NIC has its address, and is not meant."""
    return text.replace("PermanentMACAddress=", "MACAddress=").replace(
        "[Match]\n", "[Match]\nKind=!bond bridge vlan team macvlan macvtap ipvlan vxlan\n", 1
    )


def _resolved(wanted: Wanted) -> str:
    lines = ["[Resolve]"]
    if wanted.nameservers:
        lines.append(f"DNS={' '.join(wanted.nameservers)}")
    if wanted.search:
        lines.append(f"Domains={' '.join(wanted.search)}")
    return "\n".join(lines) + "\n"
