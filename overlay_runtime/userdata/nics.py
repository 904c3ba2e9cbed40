"""The network block read as addresses: what `stylus.site.network.interfaces` says of each NIC.

Read once, for the check of a file and for the configuration of a host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from overlay_runtime import OUR_LINKS
from overlay_runtime.address import IPAddress, IPInterface
from overlay_runtime.config.document import Entry, Value
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding
from overlay_runtime.userdata.lookup import child, entries, text, texts

NIC_NAME = re.compile(r"(?!\.{1,2}$)[^\s/:%]{1,15}")
MAC = re.compile(r"([0-9a-f]{2}[:-]){5}[0-9a-f]{2}", re.IGNORECASE)


@dataclass(frozen=True)
class Address:
    """A static address, and where it stands."""

    interface: IPInterface
    value: Value


@dataclass
class NicBlock:
    """One NIC's block: what could be read of it, and what is wrong."""

    name: str
    entry: Entry
    static: bool = False
    addresses: list[Address] = field(default_factory=list)
    gateways: list[tuple[IPAddress, Value]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def block(self) -> Value:
        """What stands below the NIC's name."""
        return self.entry.value


def read_nics(network: Value | None) -> list[NicBlock]:
    """Read every NIC's block below `interfaces`."""
    return [_read(*item) for item in entries(child(network, "interfaces")).items()]


def mask_length(written: str) -> int | None:
    """Return a mask's prefix length, written as /25, 25 or 255.255.255.128; None if it is none."""
    plain = written.removeprefix("/")
    if plain.isascii() and plain.isdigit():
        return int(plain) if len(plain) <= 3 and int(plain) <= 32 else None
    try:
        number = int(ipaddress.IPv4Address(plain))
    except ValueError:
        return None
    ones = f"{number:032b}".rstrip("0")
    return len(ones) if "0" not in ones else None


def _read(name: str, entry: Entry) -> NicBlock:
    nic = NicBlock(name, entry)
    if not isinstance(entry.value.data, dict):
        return nic  # the schema's check says so
    nic.static = text(child(entry.value, "type")) == "static"
    nic.findings += _name(nic)
    _main_address(nic)
    _further_addresses(nic)
    for key in ("gateway", "gateway6"):
        _gateway(nic, key)
    nic.findings += _links(nic)
    return nic


def _name(nic: NicBlock) -> Iterator[Finding]:
    at = nic.entry.key
    if child(nic.block, "match") is None and any(c in nic.name for c in "*?["):
        yield Finding(rules.NIC_NAME, at, f"{nic.name[:40]!r} is a pattern", "a NIC's name",
                      "write `match: {name: …}` below a name of your own")  # fmt: skip
    elif not NIC_NAME.fullmatch(nic.name):
        length = len(nic.name.encode())
        why = f"has {length} characters" if length > 15 else "has a character that can't be"
        yield Finding(rules.NIC_NAME, at, f"{nic.name[:40]!r} {why}", "at most 15 characters, "
                      "without spaces, / and :", "or use `match` with a MAC address")  # fmt: skip
    elif nic.name in OUR_LINKS:
        yield Finding(rules.NIC_NAME, at, f"{nic.name!r} is a link of the overlay itself",
                      "a physical NIC", "its address is set by the overlay")  # fmt: skip


def _main_address(nic: NicBlock) -> None:
    written, mask = child(nic.block, "ipAddress"), child(nic.block, "mask")
    if not nic.static:
        for key in ("ipAddress", "mask", "gateway"):
            value = child(nic.block, key)
            if text(value) and value is not None:
                nic.findings.append(
                    Finding(rules.UNUSED, value.position, f"`{key}` without `type: static` has no "
                            "effect: the NIC uses DHCP", "", "write `type: static`, or remove it")
                )  # fmt: skip
        return
    if written is None or not text(written):
        if child(nic.block, "addresses") is None:
            nic.findings.append(
                Finding(rules.ADDRESS, nic.entry.key, f"`{nic.name}` is static and has no "
                        "`ipAddress`", "an address such as 10.0.10.25/24")
            )  # fmt: skip
        return
    found = _with_mask(nic, written, mask)
    if found is not None:
        _add(nic, found, written)


def _with_mask(nic: NicBlock, written: Value, mask: Value | None) -> IPInterface | None:
    """Put address and mask together, whichever of them has the prefix length."""
    address, slash, prefix = text(written).partition("/")
    try:
        bare = ipaddress.ip_address(address)
        length = int(prefix) if slash else None
        if length is not None and not (prefix.isascii() and length <= bare.max_prefixlen):
            raise ValueError
    except ValueError:
        nic.findings.append(
            Finding(rules.ADDRESS, written.position, f"`ipAddress`: {text(written)[:50]!r} is no "
                    "IP address", "an address such as 10.0.10.25/24")
        )  # fmt: skip
        return None
    masked = None
    if mask is not None and text(mask):
        masked = mask_length(text(mask))
        if masked is None or bare.version == 6:
            nic.findings.append(
                Finding(rules.MASK, mask.position, f"`mask`: {text(mask)[:50]!r} is no IPv4 "
                        "network mask", "255.255.255.0, /24 or 24")
            )  # fmt: skip
            return None
        if length is not None and length != masked:
            nic.findings.append(
                Finding(rules.MASK, mask.position, f"`mask` says /{masked}, `ipAddress` says "
                        f"/{length}", "the same prefix length", "remove one of them")
            )  # fmt: skip
            return None
    if length is None and masked is None:
        nic.findings.append(
            Finding(rules.MASK, written.position, f"`ipAddress`: {text(written)} has no prefix "
                    "length, and there is no `mask`", "10.0.10.25/24, or a `mask`",
                    f"append the network's prefix length, such as {text(written)}/24")
        )  # fmt: skip
        return None
    return ipaddress.ip_interface(f"{bare}/{length if length is not None else masked}")


def _further_addresses(nic: NicBlock) -> None:
    for value, written in texts(child(nic.block, "addresses")):
        try:
            if "/" not in written:
                raise ValueError
            _add(nic, ipaddress.ip_interface(written), value)
        except ValueError:
            nic.findings.append(
                Finding(rules.ADDRESS, value.position, f"`addresses`: {written[:50]!r} is no "
                        "address with a prefix length", "such as 10.0.10.25/24 or fd00::5/64")
            )  # fmt: skip


def _add(nic: NicBlock, interface: IPInterface, value: Value) -> None:
    why = unfit(interface)
    if why:
        nic.findings.append(
            Finding(rules.ADDRESS, value.position, f"{interface} is {why}", "a host's address")
        )
    nic.addresses.append(Address(interface, value))


def unfit(interface: IPInterface) -> str:
    """Say why no host can have this address, or nothing."""
    address, network = interface.ip, interface.network
    if address.is_multicast:
        return "a multicast address"
    if address.is_loopback:
        return "a loopback address"
    if address.is_unspecified or address in ipaddress.ip_network("0.0.0.0/8"):
        return "no address of a host"
    if isinstance(address, ipaddress.IPv4Address):
        if address.is_reserved:
            return "a reserved address"
        if network.prefixlen <= 30 and address == network.network_address:
            return f"the address of the network {network} itself"
        if network.prefixlen <= 30 and address == network.broadcast_address:
            return f"the broadcast address of {network}"
    return ""


def _gateway(nic: NicBlock, key: str) -> None:
    value = child(nic.block, key)
    written = text(value)
    if value is None or not written or not (nic.static or nic.addresses):
        return
    try:
        gateway = ipaddress.ip_address(written)
    except ValueError:
        nic.findings.append(
            Finding(rules.GATEWAY, value.position, f"`{key}`: {written[:50]!r} is no IP address",
                    "an address in the network of the NIC's own")
        )  # fmt: skip
        return
    nic.gateways.append((gateway, value))
    near = [a.interface for a in nic.addresses if a.interface.version == gateway.version]
    if any(gateway == one.ip for one in near):
        why = "is the NIC's own address"
    elif gateway.is_link_local and gateway.version == 6:
        return
    elif near and not any(gateway in one.network for one in near):
        why = "can't be reached: it is not in " + " or ".join(str(one.network) for one in near)
    else:
        unusable = [one for one in near if gateway in one.network and unfit(
            ipaddress.ip_interface(f"{gateway}/{one.network.prefixlen}"))]  # fmt: skip
        if not unusable:
            return
        why = f"is {unfit(ipaddress.ip_interface(f'{gateway}/{unusable[0].network.prefixlen}'))}"
    nic.findings.append(
        Finding(rules.GATEWAY, value.position, f"`{key}`: {gateway} {why}",
                "an address in the network of the NIC's own")
    )  # fmt: skip


def _links(nic: NicBlock) -> Iterator[Finding]:
    """VLANs, bonds and matches: what they name must be there."""
    vlan, bond, match = (child(nic.block, key) for key in ("vlan", "bond", "match"))
    several = [key for key in ("vlan", "bond", "match") if child(nic.block, key) is not None]
    if len(several) > 1:
        yield Finding(rules.NIC_LINK, nic.entry.key,
                      f"`{nic.name}` has " + " and ".join(f"`{key}`" for key in several),
                      "one of them")  # fmt: skip
    if vlan is not None:
        for key in ("id", "link"):
            if not text(child(vlan, key)):
                yield Finding(rules.NIC_LINK, vlan.position, f"`vlan` without `{key}`",
                              "`vlan: {id: 17, link: eth0}`")  # fmt: skip
        if text(child(vlan, "link")) == nic.name:
            yield Finding(rules.NIC_LINK, vlan.position, "a VLAN on itself", "another NIC")
    if bond is not None and not child(bond, "interfaces"):
        yield Finding(rules.NIC_LINK, bond.position, "`bond` without `interfaces`",
                      "`bond: {interfaces: [eth0, eth1]}`")  # fmt: skip
    for value, member in texts(child(bond, "interfaces")):
        if member == nic.name:
            yield Finding(rules.NIC_LINK, value.position, "a bond of itself", "other NICs")
    mac = child(match, "macAddress")
    if mac is not None and text(mac) and not MAC.fullmatch(text(mac)):
        yield Finding(rules.NIC_LINK, mac.position, f"{text(mac)[:40]!r} is no MAC address",
                      "such as 52:54:00:12:34:56")  # fmt: skip
    if match is not None and not any(text(v.value) for v in entries(match).values()):
        yield Finding(rules.NIC_LINK, match.position, "`match` says nothing", "`macAddress`, "
                      "`driver` or `name`")  # fmt: skip
