"""All checks by name, in the order in which a person should read them."""

from __future__ import annotations

from overlay_runtime.doctor import cluster, cni, discovery, machine, path, system
from overlay_runtime.doctor.model import Check, Host, Result

CHECKS: dict[str, Check] = {
    "agent": discovery.agent,
    "address-conflict": discovery.address_conflict,
    "duplicate-identity": discovery.duplicate_identity,
    "beacon-port-blocked": discovery.beacon_port_blocked,
    "vxlan-port-blocked": path.vxlan_port_blocked,
    "path-mtu": path.path_mtu,
    "broadcast-blocked": discovery.broadcast_blocked,
    "foreign-cluster": discovery.foreign_cluster,
    "cidr-overlap": system.cidr_overlap,
    "firewall": system.firewall,
    "promiscuous-mode": machine.promiscuous_mode,
    "vmxnet3-offload": machine.vmxnet3_offload,
    "networkd": system.networkd,
    "resolved": system.resolved,
    "state-storage": system.state_storage,
    "kubernetes": cluster.kubernetes,
    "cni": cni.cni,
    "clock": machine.clock,
}

PROBING = frozenset({"vxlan-port-blocked", "path-mtu"})
"""Checks that need probes across the overlay."""


def examine(host: Host, names: list[str]) -> dict[str, Result]:
    """Run checks. One that fails itself is "unknown": the others are told all the same."""
    return {name: _run(CHECKS[name], host) for name in names}


def _run(check: Check, host: Host) -> Result:
    try:
        return check(host)
    except Exception as error:  # noqa: BLE001 # whatever odd thing it met, the rest still helps
        return Result("unknown", f"the check itself failed: {type(error).__name__}: {error}")
