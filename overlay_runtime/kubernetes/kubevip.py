"""kube-vip's manifest: as the runtime writes it (`static_pod`, `daemonset`).

Names, defaults and what is made of them: kube-vip v1.0.0, pkg/kubevip/config_envvar.go,
config_environment.go and cmd/kube-vip.go. What is wrong about a user's own: `kubevip_check.py`.
"""

from __future__ import annotations

from pathlib import Path

from overlay_runtime import BRIDGE
from overlay_runtime.address import IPAddress
from overlay_runtime.config.cluster import K3S, KUBEADM, RKE2, STATIC_POD, KubeVip
from overlay_runtime.kubernetes.kubevip_check import problems as problems
from overlay_runtime.kubernetes.model import API_PORT
from overlay_runtime.kubernetes.template import fill, library

ANY_NIC = "auto"
"""kube-vip looks itself for the NIC in whose network a service's address lies."""

MANIFEST = "kube-vip.yaml"

_STATIC_PODS = {
    K3S: "var/lib/rancher/k3s/agent/pod-manifests",
    RKE2: "var/lib/rancher/rke2/agent/pod-manifests",
    KUBEADM: "etc/kubernetes/manifests",
}
_SERVER_MANIFESTS = {
    K3S: "var/lib/rancher/k3s/server/manifests",
    RKE2: "var/lib/rancher/rke2/server/manifests",
}
_KUBECONFIGS = {
    K3S: "etc/rancher/k3s/k3s.yaml",
    RKE2: "etc/rancher/rke2/rke2.yaml",
    KUBEADM: "etc/kubernetes/admin.conf",
}


def static_pod(
    settings: KubeVip,
    vip: IPAddress,
    *,
    kubeconfig: Path,
    services_interface: str | None,
    port: int = API_PORT,
    templates: Path | None = None,
) -> str:
    """Return the manifest of a static pod, which comes up before the API server answers.

    `kubeconfig` is a file of the host, see `kubeconfig_of`. `services_interface` None: kube-vip
    takes the NIC in whose network a service's address lies, which also fits where NICs have other
    names on other hosts.
    """
    values = {"kubeconfig": str(kubeconfig)}
    return _filled("pod.yaml", settings, vip, services_interface, port, templates, values)


def daemonset(
    settings: KubeVip,
    vip: IPAddress,
    *,
    services_interface: str | None,
    port: int = API_PORT,
    templates: Path | None = None,
) -> str:
    """Return the manifests of a DaemonSet on all control planes, with the rights that it needs.

    It has a service account, and needs no kubeconfig. It is the same on all hosts: name a
    `services_interface` only if all of them have it.
    """
    return _filled("daemonset.yaml", settings, vip, services_interface, port, templates, {})


def manifest_path(distribution: str, mode: str, root: Path = Path("/")) -> Path | None:
    """Return where a distribution takes the manifest from; None: kubeadm takes no DaemonSet from a
    file, `kubectl apply` does that."""
    places = _STATIC_PODS if mode == STATIC_POD else _SERVER_MANIFESTS
    return root / places[distribution] / MANIFEST if distribution in places else None


def kubeconfig_of(distribution: str) -> Path:
    """Return the administrator's kubeconfig, as the host names it."""
    return Path("/") / _KUBECONFIGS[distribution]


def _filled(
    name: str,
    settings: KubeVip,
    vip: IPAddress,
    services_interface: str | None,
    port: int,
    templates: Path | None,
    more: dict[str, str],
) -> str:
    place = (templates or library()) / "kube-vip"
    container = fill(
        (place / "container.yaml").read_text(),
        {
            "image": settings.image,
            "port": str(port),
            "vip": str(vip),
            "interface": BRIDGE,
            "services_interface": services_interface or ANY_NIC,
            "lease_duration": str(settings.lease),
            "renew_deadline": str(settings.renew_deadline),
            "retry_period": str(settings.retry_period),
        },
    )
    return fill((place / name).read_text(), more, {"container": container})
