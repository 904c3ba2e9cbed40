"""The steps from what the kernel holds to what it should hold. Pure.

Order matters: what is new comes before what is old goes, so that no frame finds neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from overlay_runtime import BRIDGE
from overlay_runtime.kernel.desired import DesiredLink
from overlay_runtime.kernel.model import (
    ADDRESS_PROTOCOL,
    FLOOD_MAC,
    Forwarding,
    Link,
    LinkAddress,
    Remote,
)


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


def corrections(want: DesiredLink, have: Link, bridge: int) -> list[dict[str, object]]:
    """Return the settings (rtnetlink's names) that differ, as one `link set` each."""
    steps: list[dict[str, object]] = []
    if have.mac != want.mac:
        steps.append({"address": want.mac})
    if have.mtu != want.mtu:
        steps.append({"mtu": want.mtu})
    if want.vni is None:
        if have.stp or have.mcast_snooping:
            steps.append({"kind": "bridge", "br_stp_state": 0, "br_mcast_snooping": 0})
    else:
        if have.master != bridge:
            steps.append({"master": bridge})
        port = have.port if have.master == bridge else None
        if not port or not port.isolated or port.learning or port.neigh_suppress:
            steps.append({"kind": "bridge_slave", "brport_isolated": 1, "brport_learning": 0,
                          "brport_neigh_suppress": 0})  # fmt: skip
    if not have.up:
        steps.append({"state": "up"})
    return steps


def stale_addresses(wanted: str | None, have: list[LinkAddress]) -> list[LinkAddress]:
    """Return addresses that an earlier run set and that are no longer ours.

    Told by IFA_PROTO: all others, kube-vip's above all, are left alone.
    """
    return [a for a in have if a.protocol == ADDRESS_PROTOCOL and str(a.interface) != wanted]


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
