"""Which description of the network counts on this host, and what is wrong about it.

In this order: the file network-config of the volume, the network block of the volume's user-data,
that of the image's user-data. They are never merged, but for one thing: network-config can't say
proxies, so those of a block hold beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from overlay_runtime.address import IPNetwork
from overlay_runtime.config.document import Entry, Value, read_document
from overlay_runtime.config.load import read_text
from overlay_runtime.config.schema import parse_user_data
from overlay_runtime.config.sources import CIDATA
from overlay_runtime.errors import ConfigError, Position
from overlay_runtime.network.describe import Document, describe, servers
from overlay_runtime.network.proxies import Proxies, read_proxies
from overlay_runtime.network.v2 import is_disabled, not_acted_on, read_v2
from overlay_runtime.paths import Paths
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding, Severity
from overlay_runtime.userdata.lookup import child, entries, texts
from overlay_runtime.userdata.network import check_network
from overlay_runtime.userdata.nics import NicBlock, read_nics
from overlay_runtime.userdata.palette import INTERFACE, NETWORK
from overlay_runtime.userdata.walk import check

NETWORK_CONFIG = "cidata:/network-config"
_PATH = "stylus.site.network"


@dataclass
class Wanted:
    """What the operator asks for. `document` has right and wrong devices; `wrong` names these."""

    origin: str
    document: Document = field(default_factory=Document)
    wrong: set[str] = field(default_factory=set)
    unreadable: bool = False
    """Whether nothing of it can be used."""
    nameservers: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    proxies: Proxies = field(default_factory=Proxies)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def find_wanted(paths: Paths) -> Wanted | None:
    """Return what counts, or None if nobody describes the network. Never raises ConfigError."""
    block, faults = _find_block(paths)
    file = paths.volume / "network-config"
    wanted = _from_v2(file) if file.exists() else None
    if wanted is not None:
        if block is not None:
            origin, network, cidr = block
            wanted.proxies, found = read_proxies(network, cidr)
            wanted.problems += found
            wanted.notes.append(f"{NETWORK_CONFIG} counts, not the network block of {origin}")
    elif block is not None:
        wanted = _from_block(*block)
    elif faults:
        wanted = Wanted(faults[0].partition(": ")[0].rsplit(":", 2)[0], unreadable=True)
    if wanted is not None:
        wanted.problems[:0] = faults
    return wanted


def _find_block(paths: Paths) -> tuple[tuple[str, Value, IPNetwork | None] | None, list[str]]:
    """Return the block that counts, its file and the overlay's range, and what can't be read."""
    faults: list[str] = []
    for path, origin in ((paths.volume / "user-data", CIDATA),
                         (paths.embedded, str(paths.embedded))):  # fmt: skip
        if not path.exists():
            continue
        try:
            top = read_document(read_text(path, origin), origin)
        except ConfigError as error:
            faults += [problem.render() for problem in error.problems]
            continue
        network = child(top, "stylus", "site", "network")
        if network is not None and network.data is not None:
            return (origin, network, _cidr(paths)), faults
    return None, faults


def _cidr(paths: Paths) -> IPNetwork | None:
    """The overlay's range, of the user-data whose `overlay:` block counts."""
    path = paths.user_data if paths.user_data.exists() else paths.embedded
    try:
        overlay = parse_user_data(read_text(path, ""), "").overlay
    except ConfigError:
        return None
    return overlay.cidr if overlay else None


def _from_v2(path: Path) -> Wanted | None:
    """Read a network-config; one that is empty or says `disabled` counts as none."""
    wanted = Wanted(NETWORK_CONFIG)
    try:
        top = read_document(read_text(path, NETWORK_CONFIG), NETWORK_CONFIG)
        if is_disabled(top):
            return None
        wanted.document, found = read_v2(top)
    except ConfigError as error:
        wanted.problems += [problem.render() for problem in error.problems]
        wanted.unreadable = True
        return wanted
    _judge(wanted, [(_owner(one.position, wanted.document.places), one) for one in found])
    told = " ".join(wanted.problems)
    wanted.problems += [words for words in not_acted_on(top) if words.split()[0] not in told]
    return wanted


def _owner(at: Position, places: dict[str, Position]) -> str | None:
    """Return the device whose description a place belongs to."""
    before = [(place, name) for name, place in places.items() if place <= at]
    return max(before)[1] if before else None


def _from_block(origin: str, network: Value, cidr: IPNetwork | None) -> Wanted:
    wanted = Wanted(origin)
    if not isinstance(network.data, dict):
        wanted.problems.append(f"{network.position}: `{_PATH}`: found {network.kind()}; expected "
                               "a mapping")  # fmt: skip
        wanted.unreadable = True
        return wanted
    nics = read_nics(network)
    right = [nic for nic in nics if isinstance(nic.block.data, dict)]
    wanted.document = describe(right)
    _judge(wanted, list(_found(network, nics)))
    wanted.wrong |= {nic.name for nic in nics if not isinstance(nic.block.data, dict)}
    wanted.proxies, found = read_proxies(network, cidr)
    wanted.problems += found
    wanted.nameservers = servers(child(network, "nameserver"))
    wanted.search = tuple(word for _, word in texts(child(network, "searchDomains")))
    return wanted


def _found(network: Value, nics: Sequence[NicBlock]) -> Iterator[tuple[str | None, Finding]]:
    """Yield what is wrong, with the NIC that it is about if it is about one."""
    site = {name: one for name, one in entries(network).items() if name != "interfaces"}
    for finding in check(Value(site, network.position), NETWORK, _PATH):
        yield None, finding
    interfaces = child(network, "interfaces")
    if interfaces is not None and not isinstance(interfaces.data, dict | None):
        yield None, Finding(rules.TYPE, interfaces.position,
                            f"`{_PATH}.interfaces`: found {interfaces.kind()}",
                            "a mapping")  # fmt: skip
    owners = {}
    for nic in nics:
        for finding in check(nic.block, INTERFACE, f"{_PATH}.interfaces.{nic.name[:40]}"):
            yield nic.name, finding
        for finding in nic.findings:
            owners[finding] = nic.name
    site_block = Value({"network": _entry(network)}, network.position)
    stylus = Value({"site": _entry(site_block)}, network.position)
    top = Value({"stylus": _entry(stylus)}, network.position)
    places = {nic.name: nic.entry.key for nic in nics}
    for finding in check_network(top, None):
        if finding.rule is rules.PROXY:
            continue  # `read_proxies` says so
        yield owners.get(finding) or _owner(finding.position, places), finding


def _entry(value: Value) -> Entry:
    return Entry(value.position, value)


def _judge(wanted: Wanted, found: Sequence[tuple[str | None, Finding]]) -> None:
    """Sort findings: errors make a device wrong, but an unknown key is ignored and told."""
    told = set[str]()
    for device, finding in sorted(found, key=lambda one: one[1].order):
        words = finding.problem.render()
        if finding.severity is Severity.NOTE or words in told:
            continue
        told.add(words)
        if finding.severity is Severity.WARNING:
            wanted.notes.append(words)
            continue
        wanted.problems.append(words)
        if device is not None and finding.rule is not rules.UNKNOWN_KEY:
            wanted.wrong.add(device)
