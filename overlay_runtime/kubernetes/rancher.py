"""k3s and RKE2: what our drop-in says, and what of their configuration contradicts the overlay.

node-ip decides more than the kubelet's address: it is etcd's address for peers and clients, and the
default of advertise-address (k3s, pkg/cli/server/server.go and pkg/etcd/etcd.go). So no `etcd-arg`
is needed. `bind-address` stays at "all": the API server has to answer at the VIP, too, and at the
physical address for those outside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from overlay_runtime.config.cluster import AGENT, INIT, K3S, RKE2, SERVER, Cluster
from overlay_runtime.kubernetes.model import (
    HEADER,
    Contradiction,
    Detected,
    File,
    Overlay,
    Setting,
    address,
    certificate_names,
    url_host,
)
from overlay_runtime.kubernetes.rancher_config import Said, path_of

_SUPERVISOR_PORT = {K3S: 6443, RKE2: 9345}
"""k3s's is the API's, RKE2's is one of its own."""

_ANYWHERE = ("", "0.0.0.0", "::")

_Wanted = tuple[str, Any, str]
"""A key, its value, and why it is there."""


def plan(cluster: Cluster, detected: Detected, overlay: Overlay, user: Said) -> File:
    """Say what our drop-in has. Pure: what the user wrote is left to them, key by key."""
    name = str(detected.distribution)
    wanted = list(_wanted(name, cluster, detected, overlay, user))
    lines = [
        f"# {HEADER}",
        f"# It makes {name} use the overlay network {overlay.interface}. What another file of this",
        "# directory or config.yaml says is left to it: write a key there, and it is not written",
        "# here. `edge-overlay kubernetes` shows all of it; docs: edge-overlay(8).",
    ]
    for key, value, why in wanted:
        lines += [f"# {why}", f"{key}: {json.dumps(value)}"]  # JSON is YAML
    settings = tuple(Setting(key, _as_text(value), why) for key, value, why in wanted)
    return File(path_of(name), "\n".join(lines) + "\n", settings)


def _wanted(
    name: str, cluster: Cluster, detected: Detected, overlay: Overlay, user: Said
) -> Iterator[_Wanted]:
    own = str(overlay.address)
    if "node-ip" not in user.values:
        yield (
            "node-ip",
            own,
            "The node's address, and etcd's: it stays, whatever the physical network does.",
        )
    # RKE2 has no such key: its flannel is canal, a chart of its own.
    if name == K3S and "flannel-iface" not in user.values and _has_flannel(cluster, user):
        yield "flannel-iface", overlay.interface, "flannel's packets go through the overlay."
    if detected.server:
        yield from _wanted_by_server(name, cluster, overlay, user)
    elif detected.server is False and cluster.role == AGENT and "server" not in user.values:
        yield _join(name, overlay)


def _wanted_by_server(
    name: str, cluster: Cluster, overlay: Overlay, user: Said
) -> Iterator[_Wanted]:
    def free(*keys: str) -> bool:
        return not any(key in user.values for key in keys)

    if free("advertise-address"):
        yield (
            "advertise-address",
            str(overlay.address),
            "What the API server tells the cluster, even if node-external-ip is set.",
        )
    names = _names_missing(cluster, overlay, user)
    if names:
        yield "tls-san+", names, "The API server's certificate has the VIP and the names outside."
    if cluster.role == SERVER and free("server", "cluster-init"):
        yield _join(name, overlay)
    if cluster.cni in ("calico", "cilium") and name == K3S:
        for key, value in (("flannel-backend", "none"), ("disable-network-policy", True)):
            if free(key):
                yield key, value, f"{cluster.cni} is the CNI, and has policies of its own."
    if cluster.cni and name == RKE2 and free("cni"):
        yield "cni", cluster.cni, "As named in user-data."
    first = (name, cluster.role) == (K3S, INIT)
    if first and free("cluster-init", "datastore-endpoint", "server"):
        yield "cluster-init", True, "The first control plane: etcd, so that others can join."


def _join(name: str, overlay: Overlay) -> _Wanted:
    url = f"https://{url_host(overlay.vip)}:{_SUPERVISOR_PORT[name]}"
    return "server", url, "Where this host joins: the VIP."


def _names_missing(cluster: Cluster, overlay: Overlay, said: Said) -> list[str]:
    present = said.values.get("tls-san", ())
    return [one for one in certificate_names(cluster, overlay) if one not in present]


def _has_flannel(cluster: Cluster, user: Said) -> bool:
    return user.one("flannel-backend") != "none" and cluster.cni in (None, "flannel")


def _as_text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value).lower()


def contradictions(
    cluster: Cluster, detected: Detected, overlay: Overlay, said: Said
) -> Iterator[Contradiction]:
    """Say what of a whole configuration keeps Kubernetes off the overlay."""
    for key in ("node-ip", "advertise-address"):
        yield from _not_ours(said, key, str(overlay.address))
    if detected.distribution == K3S and said.one("flannel-backend") != "none":
        yield from _not_ours(said, "flannel-iface", overlay.interface)
        if said.one("flannel-external-ip").lower() == "true":
            yield _about(said, "flannel-external-ip", "false", "flannel would use node-external-ip")
    yield from _arguments(said, overlay)
    if detected.server:
        yield from _unreachable(cluster, overlay, said)
    yield from _joins_elsewhere(said, overlay)


def _not_ours(said: Said, key: str, expected: str) -> Iterator[Contradiction]:
    """A list may have an address of the other family after the overlay's."""
    one = said.one(key)
    if key in said.values and (address(one) or one) != (address(expected) or expected):
        yield _about(said, key, expected, f"remove it, and edge-overlay writes {key}")


def _unreachable(cluster: Cluster, overlay: Overlay, said: Said) -> Iterator[Contradiction]:
    """What keeps others from the API server: where it answers, and by which names."""
    if said.one("bind-address") not in _ANYWHERE:
        yield _about(said, "bind-address", "none", "the API server would not answer at the VIP")
    missing = _names_missing(cluster, overlay, said)
    if missing and "tls-san" in said.where:
        yield Contradiction(
            said.where["tls-san"],
            f"tls-san takes the place of the list before it, which has {', '.join(missing)}",
            "a list that appends",
            "write the key as `tls-san+`",
        )


def _about(said: Said, key: str, expected: str, remedy: str) -> Contradiction:
    found = ", ".join(said.values[key])
    return Contradiction(said.where[key], f"{key}: {found}", expected, remedy)


def _arguments(said: Said, overlay: Overlay) -> Iterator[Contradiction]:
    """Arguments that are handed on to the kubelet, the API server and etcd."""
    own = str(overlay.address)
    for key, flag in (
        ("kubelet-arg", "node-ip"),
        ("kube-apiserver-arg", "advertise-address"),
    ):
        for text in said.values.get(key, ()):
            name, _, value = text.partition("=")
            if name.lstrip("-") == flag and value.split(",")[0] != own:
                yield Contradiction(said.where[key], f"{key}: {text}", own, "remove it")
    for text in said.values.get("etcd-arg", ()):
        name, _, value = text.partition("=")
        if name.lstrip("-").endswith("-urls") and own not in value:
            yield Contradiction(said.where["etcd-arg"], f"etcd-arg: {text}", f"an URL with {own}",
                                "remove it: node-ip decides etcd's addresses")  # fmt: skip


def _joins_elsewhere(said: Said, overlay: Overlay) -> Iterator[Contradiction]:
    url = said.one("server")
    try:
        host = address(urlsplit(url).hostname or "")
    except ValueError:
        return
    if host is not None and host != overlay.vip:
        yield Contradiction(said.where["server"], f"server: {url}", f"the VIP, {overlay.vip}",
                            "an address that can go away, or change, can't be joined for ever"
                            )  # fmt: skip
