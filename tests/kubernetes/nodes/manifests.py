"""What is given to `kubectl apply`: flannel as its page has it, and a service on every node."""

from __future__ import annotations

from typing import Any

import yaml

from tests.kubernetes.nodes.images import WEB
from tests.kubernetes.programs import Programs

NODE_PORT = 30080
OF_CONTAINERS = """---
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
# The machine's, which no container may set.
conntrack: {maxPerCore: 0, min: 0}
---
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
# The disk is the machine's: how full it is says nothing of these tests.
evictionHard: {nodefs.available: 0%, imagefs.available: 0%, nodefs.inodesFree: 0%}
imageGCHighThresholdPercent: 100
"""
"""What kubeadm is told beside what the example says."""

_SERVE = (
    "mkdir -p /tmp/www; echo $NODE > /tmp/www/index.html; echo serving $NODE; "
    "exec httpd -f -p 8080 -h /tmp/www"
)


def flannel(programs: Programs) -> list[dict[str, Any]]:
    """kube-flannel.yml, with the one argument that our page names."""
    documents = list(yaml.safe_load_all(programs.flannel_manifest.read_text()))
    _daemon(documents)["containers"][0]["args"].append("--iface=scbr-100")
    return documents


def flannel_images(programs: Programs) -> list[str]:
    """The images in it."""
    pod = _daemon(list(yaml.safe_load_all(programs.flannel_manifest.read_text())))
    return sorted({each["image"] for each in (*pod["containers"], *pod["initContainers"])})


def web(balancer: str) -> list[dict[str, Any]]:
    """A pod on every node that tells the node's name, behind a service with an address inside, a
    NodePort, and a load balancer's address."""
    named = {"name": "web", "labels": {"app": "web"}}
    own = {"name": "NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    container = {"name": "web", "image": WEB, "command": ["sh", "-c", _SERVE], "env": [own]}
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"containers": [container], "tolerations": [{"operator": "Exists"}],
                 "terminationGracePeriodSeconds": 0},
    }  # fmt: skip
    selector = {"app": "web"}
    return [
        {
            "apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": named,
            "spec": {"selector": {"matchLabels": selector}, "template": template},
        },
        {
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": "web", "annotations": {"kube-vip.io/loadbalancerIPs": balancer}},
            "spec": {
                "type": "LoadBalancer", "selector": selector,
                "ports": [{"port": 80, "targetPort": 8080, "nodePort": NODE_PORT}],
            },
        },
    ]  # fmt: skip


def _daemon(documents: list[dict[str, Any]]) -> dict[str, Any]:
    [daemon] = [each for each in documents if each["kind"] == "DaemonSet"]
    pod = daemon["spec"]["template"]["spec"]
    assert isinstance(pod, dict)
    return pod
