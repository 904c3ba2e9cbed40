"""The steps from what the kernel holds to what it should hold. Pure.

Order matters: what is new comes before what is old goes, so that no frame finds neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

from overlay_runtime import BRIDGE, VXLAN4, VXLAN6
from overlay_runtime.kernel.desired import DesiredLink
from overlay_runtime.kernel.model import (
    ADDRESS_PROTOCOL,
    FLOOD_MAC,
    Forwarding,
    Link,
    LinkAddress,
    Remote,
)

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")

Correction = Literal["mac", "mtu", "bridge", "master", "port", "up"]
"""A setting of a link: `bridge` and `port` are its settings as such."""


@dataclass(frozen=True)
class ForwardingStep:
    """One entry to set or to remove. `table`: flood and unicast lie in the VXLAN device, port in
    the bridge, neighbour in the IP stack."""

    table: Literal["flood", "unicast", "port", "neighbour"]
    remove: bool
    device: str
    mac: str
    remote: Remote | None = None
    address: str | None = None


@dataclass(frozen=True)
class Known:
    """What identifies entries as stale while peers are not all heard yet (see `steps`)."""

    macs: frozenset[str]
    remotes: frozenset[str]
    addresses: frozenset[str]


def must_recreate(want: DesiredLink, have: Link) -> str | None:
    """Say why a link with our name can't be corrected, only made again; None if it can."""
    if want.vni is None:
        return None if have.kind == "bridge" else f"it is a {have.kind or 'physical'} link"
    if have.kind != "vxlan" or have.vxlan is None:
        return f"it is a {have.kind or 'physical'} link"
    if (have.vxlan.vni, have.vxlan.port) != (want.vni, want.port):
        return f"it has VNI {have.vxlan.vni} and port {have.vxlan.port}"
    if have.vxlan.bound:
        return "it is tied to a NIC or an address"
    if have.vxlan.learning:
        return "it learns"
    # The kernel does not tell an IPv6 device from an IPv4 one, but our MACs do.
    return None if have.mac == want.mac else "it has another MAC address"


def corrections(want: DesiredLink, have: Link, bridge: int) -> list[Correction]:
    """Return what of a link differs, in the order in which it is to be set."""
    found: list[Correction] = []
    if have.mac != want.mac:
        found.append("mac")
    if have.mtu != want.mtu:
        found.append("mtu")
    if want.vni is None:
        if have.stp or have.mcast_snooping:
            found.append("bridge")
    else:
        if have.master != bridge:
            found.append("master")
        port = have.port if have.master == bridge else None
        if not port or not port.isolated or port.learning or port.neigh_suppress:
            found.append("port")
    if not have.up:
        found.append("up")
    return found


def stale_addresses(wanted: str | None, have: list[LinkAddress]) -> list[LinkAddress]:
    """Return addresses that an earlier run set and that are no longer ours.

    Told by IFA_PROTO: all others, kube-vip's above all, are left alone.
    """
    return [a for a in have if a.protocol == ADDRESS_PROTOCOL and str(a.interface) != wanted]


def about(want: Forwarding, have: Forwarding) -> Forwarding:
    """Return the part of `have` that the entries of `want`, those of one peer, take the place of.

    What another peer uses too is left out: then it isn't removed.
    """
    part = Forwarding()
    for mac in want.ports:
        for device in (VXLAN6, VXLAN4):
            remote = have.unicast.get((device, mac))
            if remote is None:
                continue
            part.unicast[(device, mac)] = remote
            others = (m for (d, m), r in have.unicast.items() if r == remote and d == device)
            if (device, remote) in have.flood and all(m == mac for m in others):
                part.flood.add((device, remote))
        if mac in have.ports:
            part.ports[mac] = have.ports[mac]
    part.flood |= want.flood & have.flood
    for address in want.neighbours.keys() & have.neighbours.keys():
        part.neighbours[address] = have.neighbours[address]
    return part


def note(step: ForwardingStep, have: Forwarding) -> None:
    """Bring `have` up to date after a step."""
    if step.table == "flood" and step.remote:
        change = have.flood.discard if step.remove else have.flood.add
        change((step.device, step.remote))
    elif step.table == "unicast":
        _put(have.unicast, (step.device, step.mac), step.remote, step.remove)
    elif step.table == "port":
        _put(have.ports, step.mac, step.device, step.remove)
    elif step.address:
        _put(have.neighbours, step.address, step.mac, step.remove)


def _put(table: dict[_Key, _Value], key: _Key, value: _Value | None, remove: bool) -> None:
    if value is None or remove:
        table.pop(key, None)
    else:
        table[key] = value


def steps(want: Forwarding, have: Forwarding, settling: Known | None) -> list[ForwardingStep]:
    """Return the steps from `have` to `want`.

    While `settling` (the first moments of an agent, whose predecessor's entries still work though
    not every peer has been heard yet) an entry is removed only if it is about a peer that is known.
    """
    result = [
        ForwardingStep("flood", False, device, FLOOD_MAC, remote)
        for device, remote in sorted(want.flood - have.flood)
    ]
    result += [
        ForwardingStep("unicast", False, device, mac, remote)
        for (device, mac), remote in sorted(want.unicast.items())
        if have.unicast.get((device, mac)) != remote
    ]
    result += [
        ForwardingStep("port", False, device, mac)
        for mac, device in sorted(want.ports.items())
        if have.ports.get(mac) != device
    ]
    result += [
        ForwardingStep("neighbour", False, BRIDGE, mac, address=address)
        for address, mac in sorted(want.neighbours.items())
        if have.neighbours.get(address) != mac
    ]
    return result + [s for s in _removals(want, have) if settling is None or _stale(s, settling)]


def _removals(want: Forwarding, have: Forwarding) -> list[ForwardingStep]:
    result = [
        ForwardingStep("flood", True, device, FLOOD_MAC, remote)
        for device, remote in sorted(have.flood - want.flood)
    ]
    result += [
        ForwardingStep("unicast", True, device, mac, have.unicast[(device, mac)])
        for device, mac in sorted(have.unicast.keys() - want.unicast.keys())
    ]
    result += [
        ForwardingStep("port", True, have.ports[mac], mac)
        for mac in sorted(have.ports.keys() - want.ports.keys())
    ]
    result += [
        ForwardingStep("neighbour", True, BRIDGE, have.neighbours[address], address=address)
        for address in sorted(have.neighbours.keys() - want.neighbours.keys())
    ]
    return result


def _stale(step: ForwardingStep, known: Known) -> bool:
    if step.table == "flood":
        return step.remote is not None and step.remote.address in known.remotes
    return step.mac in known.macs or step.address in known.addresses
