"""kubeadm (PXK-E is kubeadm, too): the kubelet's address, a configuration to start a cluster with,
and a patch for those who have one of their own.

The kubelet takes its node's address from a flag alone (`--node-ip`; KubeletConfiguration has no
such field). Debian's and Kubernetes' packages start it with $KUBELET_EXTRA_ARGS, which the last
environment file decides: ours has what the user wrote, and then the flag.

In kubeadm's configuration one address decides the rest: `localAPIEndpoint.advertiseAddress` is also
where etcd listens, and what it tells its peers. ClusterConfiguration is kept in the cluster and
read by hosts that join, so that nothing of a single host may stand there.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from overlay_runtime.config.cluster import AGENT, Cluster
from overlay_runtime.kubernetes import units
from overlay_runtime.kubernetes.detect import KUBELET
from overlay_runtime.kubernetes.model import (
    API_PORT,
    HEADER,
    Contradiction,
    File,
    Overlay,
    Setting,
    certificate_names,
    url_host,
)
from overlay_runtime.kubernetes.reading import assignments, documents, text_of

ENVIRONMENT = "/run/edge-overlay/kubernetes/kubelet.env"
INIT = "/etc/kubernetes/edge-overlay/init.yaml"
PATCH = "/etc/kubernetes/edge-overlay/patches/kube-apiserver0+json.json"
_EXTRA = "KUBELET_EXTRA_ARGS"
_DEFAULTS = ("etc/default/kubelet", "etc/sysconfig/kubelet")
_KUBEADM_FLAGS = "var/lib/kubelet/kubeadm-flags.env"
_CONFIGURATIONS = ("opt/kubeadm/*.yaml", "persistent/spectro/opt/kubeadm/*.yaml")
_MANIFESTS = "etc/kubernetes/manifests"
_VERSION = "kubeadm.k8s.io/v1beta4"
_NODE_IP_WHY = "The node's address: it stays, whatever the physical network does."


def plan(root: Path, cluster: Cluster, overlay: Overlay, *, server: bool | None) -> list[File]:
    """Say which files there are to be."""
    files = [_environment(root, overlay)]
    if server is not False and cluster.role != AGENT:
        files.append(File(INIT, init_configuration(cluster, overlay), (
            Setting("localAPIEndpoint.advertiseAddress", str(overlay.address),
                    "The API server's and etcd's address."),
            Setting("controlPlaneEndpoint", _endpoint(overlay), "By which hosts join: the VIP."),
            Setting("apiServer.certSANs", ", ".join(_names(cluster, overlay)),
                    "The API server's certificate has the VIP and the names outside."),
            Setting("nodeRegistration.kubeletExtraArgs", f"node-ip={overlay.address}",
                    _NODE_IP_WHY),
        ), 0o644))  # fmt: skip
        files.append(File(PATCH, _patch(overlay), (
            Setting("--advertise-address", str(overlay.address),
                    "For `kubeadm --patches`, with a configuration of your own."),
        ), 0o644))  # fmt: skip
    return files


def init_configuration(cluster: Cluster, overlay: Overlay) -> str:
    """Return what `kubeadm init --config` takes."""
    top = (
        f"# {HEADER}\n"
        "# kubeadm init --upload-certs --config " + INIT + "\n"
        "# To change it, copy it: kubeadm reads it once, when the cluster is made.\n"
    )
    init = {
        "apiVersion": _VERSION,
        "kind": "InitConfiguration",
        "localAPIEndpoint": _local(overlay),
        "nodeRegistration": _registration(overlay),
    }
    whole = {
        "apiVersion": _VERSION,
        "kind": "ClusterConfiguration",
        "controlPlaneEndpoint": _endpoint(overlay),
        "apiServer": {"certSANs": _names(cluster, overlay)},
    }
    return f"{top}{_yaml(init)}---\n{_yaml(whole)}"


def join_configuration(
    overlay: Overlay, token: str, hashes: Sequence[str], key: str | None, *, control: bool
) -> str:
    """Return what `kubeadm join --config` takes. It has the token: it is never written by us."""
    join: dict[str, Any] = {
        "apiVersion": _VERSION,
        "kind": "JoinConfiguration",
        "discovery": {
            "bootstrapToken": {
                "apiServerEndpoint": _endpoint(overlay),
                "token": token,
                "caCertHashes": list(hashes),
            }
        },
        "nodeRegistration": _registration(overlay),
    }
    if control:
        join["controlPlane"] = {"localAPIEndpoint": _local(overlay)}
        if key:
            join["controlPlane"]["certificateKey"] = key
    return _yaml(join)


def contradictions(root: Path, overlay: Overlay, *, server: bool | None) -> Iterator[Contradiction]:
    """Say what the user's or the cluster's own files say otherwise."""
    own = str(overlay.address)
    for where, text in (*_extra(root), (f"/{_KUBEADM_FLAGS}", text_of(root / _KUBEADM_FLAGS))):
        for value in _node_ips(text):
            if value != own:
                yield Contradiction(where, f"--node-ip={value}", own, "remove it")
    if server:
        yield from _manifest(root, "kube-apiserver", "advertise-address", own)
        for flag in ("listen-peer-urls", "initial-advertise-peer-urls", "advertise-client-urls"):
            yield from _manifest(root, "etcd", flag, own)
    for pattern in _CONFIGURATIONS:
        for path in sorted(root.glob(pattern)):
            yield from _configuration(path, f"/{path.relative_to(root)}", overlay)


def node_ips(root: Path) -> list[str]:
    """Return the addresses that the kubelet is told by others than us."""
    texts = [text for _, text in _extra(root)] + [text_of(root / _KUBEADM_FLAGS)]
    return [value for text in texts for value in _node_ips(text)]


def _environment(root: Path, overlay: Overlay) -> File:
    users = next((text for _, text in reversed(_extra(root))), "")
    flag = f"--node-ip={overlay.address}"
    elsewhere = [*_node_ips(users), *_node_ips(text_of(root / _KUBEADM_FLAGS))]
    words = users if elsewhere else f"{users} {flag}".strip()
    settings = () if elsewhere else (Setting("--node-ip", str(overlay.address), _NODE_IP_WHY),)
    quoted = re.sub(r'([\\"$`])', r"\\\1", words)
    text = (
        f"# {HEADER}\n# kubelet.service reads it last: what /etc/default/kubelet says is in it.\n"
        f'{_EXTRA}="{quoted}"\n'
    )
    return File(ENVIRONMENT, text, settings)


def _extra(root: Path) -> list[tuple[str, str]]:
    """Return what the user gives the kubelet, by the place; the last one counts."""
    found = []
    for path in units.drop_ins(root, KUBELET):
        for name, value in units.assignments(path):
            if name == "Environment":
                given = dict(word.partition("=")[::2] for word in units.split(value))
                found += [(f"/{path.relative_to(root)}", given[_EXTRA])] if _EXTRA in given else []
    for name in _DEFAULTS:
        given = assignments(text_of(root / name))
        found += [(f"/{name}", given[_EXTRA])] if _EXTRA in given else []
    return [(where, " ".join(value.splitlines()).strip()) for where, value in found]


def _node_ips(text: str) -> list[str]:
    try:
        words = shlex.split(text)
    except ValueError:
        words = text.split()
    words = [word for part in words for word in part.split()]  # `KEY="--a --b"` is one word
    words = [re.sub(r"^[A-Z_]+=(?=--)", "", word) for word in words]
    return [v.split(",")[0] for v in units.flags(words).get("node-ip", ())]


def _manifest(root: Path, name: str, flag: str, own: str) -> Iterator[Contradiction]:
    """Look into a static pod's command. What kubeadm wrote stays until it is changed by hand."""
    path = root / _MANIFESTS / f"{name}.yaml"
    for value in re.findall(rf"--{flag}=(\S+)", text_of(path)):
        if own not in value:
            yield Contradiction(
                f"/{_MANIFESTS}/{name}.yaml", f"--{flag}={value}", own,
                "the cluster was made on another address: make it anew with "
                f"`kubeadm init --config {INIT}`",
            )  # fmt: skip


def _configuration(path: Path, shown: str, overlay: Overlay) -> Iterator[Contradiction]:
    """Look into kubeadm's configuration, as Palette's and Kairos's provider leave it."""
    for document in documents(text_of(path)) or ():
        if not isinstance(document, dict):
            continue
        local = document.get("localAPIEndpoint")
        found = local.get("advertiseAddress") if isinstance(local, dict) else None
        if found and found not in (str(overlay.address), "0.0.0.0"):
            yield Contradiction(shown, f"advertiseAddress: {found}", str(overlay.address),
                                "set it, or use " + INIT)  # fmt: skip
        endpoint = document.get("controlPlaneEndpoint")
        if isinstance(endpoint, str) and endpoint and str(overlay.vip) not in endpoint:
            yield Contradiction(shown, f"controlPlaneEndpoint: {endpoint}", _endpoint(overlay),
                                "set it, or use " + INIT)  # fmt: skip


def _patch(overlay: Overlay) -> str:
    """RFC 6902. The last flag counts; the probes ask at the same address."""
    probes = ("livenessProbe", "readinessProbe", "startupProbe")
    container = "/spec/containers/0"
    steps = [{"op": "add", "path": f"{container}/command/-",
              "value": f"--advertise-address={overlay.address}"}]  # fmt: skip
    steps += [
        {
            "op": "replace",
            "path": f"{container}/{probe}/httpGet/host",
            "value": str(overlay.address),
        }
        for probe in probes
    ]
    return json.dumps(steps, indent=1) + "\n"


def _names(cluster: Cluster, overlay: Overlay) -> list[str]:
    return list(dict.fromkeys(certificate_names(cluster, overlay)))


def _endpoint(overlay: Overlay) -> str:
    return f"{url_host(overlay.vip)}:{API_PORT}"


def _local(overlay: Overlay) -> dict[str, Any]:
    return {"advertiseAddress": str(overlay.address), "bindPort": API_PORT}


def _registration(overlay: Overlay) -> dict[str, Any]:
    return {"kubeletExtraArgs": [{"name": "node-ip", "value": str(overlay.address)}]}


def _yaml(document: dict[str, Any]) -> str:
    import yaml

    return str(yaml.safe_dump(document, sort_keys=False))
