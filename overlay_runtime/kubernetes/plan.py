"""Puts together what is to be so on this host: the one place that all commands ask."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overlay_runtime import BRIDGE
from overlay_runtime.config.cluster import INIT, K3S, KUBEADM, NONE, RKE2, Cluster
from overlay_runtime.kubernetes import charts, kubeadm, rancher, rancher_config, vip
from overlay_runtime.kubernetes.detect import UNITS, detect, set_up
from overlay_runtime.kubernetes.facts import Facts
from overlay_runtime.kubernetes.model import (
    API_PORT,
    Contradiction,
    Detected,
    Overlay,
    Plan,
    address,
)
from overlay_runtime.kubernetes.record import Record

_RANCHER = (K3S, RKE2)


def make_plan(root: Path, facts: Facts, record: Record, starting: str | None = None) -> Plan:
    """Say what is to be written on this host, what contradicts it, and if nothing is: why."""
    cluster = facts.cluster
    detected = detect(root, cluster, facts.kairos, starting, record.started)
    overlay = overlay_of(facts.status) if facts.has_block else None
    plan = Plan(detected, cluster, overlay)
    plan.withheld, plan.leave = _withheld(root, facts, plan, record)
    if overlay is None or detected.distribution is None or cluster.distribution == NONE:
        return plan
    _fill(root, facts, plan, overlay, record)
    if plan.withheld:
        plan.files = []
    return plan


def overlay_of(status: Mapping[str, Any] | None) -> Overlay | None:
    """Return the overlay as the agent's status has it, once this host has an address."""
    found = (status or {}).get("overlay") or {}
    own, at = address(str(found.get("address"))), address(str(found.get("vip")))
    if own is None or at is None:
        return None
    return Overlay(own, at, str(found.get("interface", BRIDGE)))


def _withheld(root: Path, facts: Facts, plan: Plan, record: Record) -> tuple[str, bool]:
    detected, cluster = plan.detected, plan.cluster
    if not facts.has_block:
        return facts.fault or "user-data has no `overlay:` block", bool(facts.fault)
    if cluster.distribution == NONE:
        return "`kubernetes.distribution` is `none`", False
    if detected.several:
        names = " and ".join(detected.several)
        return f"{names} are both here: name one in `kubernetes.distribution`", True
    if detected.distribution is None:
        return "no Kubernetes is found on this host", True
    before = foreign(root, facts, detected, record)
    if before:
        return before, True
    if plan.overlay is None:
        return "this host has no overlay address yet", True
    return "", False


def foreign(root: Path, facts: Facts, detected: Detected, record: Record) -> str:
    """Say that Kubernetes was set up here without the overlay, or return "".

    Other addresses for it would break it: etcd does not start when its own have changed.
    """
    name = str(detected.distribution)
    before = set_up(root, name)
    if not before or name in record.adopted or _lives_there(root, facts, detected):
        return ""
    return (
        f"{name} was set up on this host before, on other addresses ({before} is there): it is "
        "left as it is; to move it, see `kubernetes adopt` in edge-overlay(8), to leave it so for "
        "good write `kubernetes: {distribution: none}`"
    )


def _lives_there(root: Path, facts: Facts, detected: Detected) -> bool:
    """Whether Kubernetes uses the overlay already, by what we or somebody wrote."""
    if detected.distribution not in _RANCHER:
        texts = kubeadm.node_ips(root)
    elif rancher_config.is_ours(root, detected):
        return True
    else:
        texts = rancher_config.said_by_user(root, detected).values.get("node-ip", [])[:1]
    found = [address(text) for text in texts]
    return any(at is not None and at in facts.config.cidr for at in found)


def _fill(root: Path, facts: Facts, plan: Plan, overlay: Overlay, record: Record) -> None:
    cluster, detected, port = plan.cluster, plan.detected, API_PORT
    if detected.distribution in _RANCHER:
        user = rancher_config.said_by_user(root, detected)
        ours = rancher.plan(cluster, detected, overlay, user)
        said = rancher_config.said_in_all(root, detected, "" if plan.withheld else ours.content)
        port = rancher_config.api_port(detected, said)
        plan.files.append(ours)
        plan.notes += said.unreadable
        plan.contradictions += rancher.contradictions(cluster, detected, overlay, said)
        if detected.distribution == RKE2 and detected.server:
            manifests, found = charts.plan(root, cluster, facts.config, overlay, said)
            plan.files += manifests
            plan.contradictions += found
    elif detected.distribution == KUBEADM:
        plan.files += kubeadm.plan(root, cluster, overlay, server=detected.server)
        plan.contradictions += kubeadm.contradictions(root, overlay, server=detected.server)
    manifests, found, notes = vip.plan(root, cluster, detected, overlay, facts.config.cidr, port)
    plan.files += manifests
    plan.contradictions += found
    plan.notes += notes
    plan.contradictions += [*_roles(cluster, detected), *_moved(root, detected, overlay, record)]


def _roles(cluster: Cluster, detected: Detected) -> list[Contradiction]:
    if cluster.role is None or detected.server is None:
        return []
    if detected.server == (cluster.role in (INIT, "server")):
        return []
    name = UNITS[str(detected.distribution)][0 if detected.server else -1]
    part = "a control plane" if detected.server else "an agent"
    return [Contradiction("user-data", f"`role: {cluster.role}`, but this host is {part}",
                          f"the role of {name}", "change `kubernetes.role`")]  # fmt: skip


def _moved(root: Path, detected: Detected, overlay: Overlay, record: Record) -> list[Contradiction]:
    """After `edge-overlay reset` a host may have another address than its cluster knows."""
    name = str(detected.distribution)
    first = record.adopted.get(name, str(overlay.address))
    path = set_up(root, name)
    if first == str(overlay.address) or path is None:
        return []
    return [Contradiction(path, f"{name} was set up as {first}, and this host is {overlay.address}",
                          f"`address: {first}` in user-data, or this host joined anew",
                          "an etcd does not start on another address than its own")]  # fmt: skip
