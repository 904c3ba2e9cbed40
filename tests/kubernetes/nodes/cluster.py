"""A cluster as our page says: `kubeadm init` with our configuration, `kubeadm join` with ours."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from tests.kubernetes.nodes.manifests import OF_CONTAINERS
from tests.kubernetes.nodes.node import Node
from tests.vm.harness.waiting import wait_until

VIP = "100.64.192.1"
_INIT = "/etc/kubernetes/edge-overlay/init.yaml"
_KUBECTL = "KUBECONFIG=/etc/kubernetes/admin.conf kubectl --request-timeout=20s"
_LIMIT_S = 240


@dataclass
class Cluster:
    """Nodes; the first one makes the cluster."""

    nodes: Sequence[Node]
    _join: str = ""
    _key: str = ""

    @property
    def planes(self) -> Sequence[Node]:
        """The control planes: all but the last one."""
        return self.nodes[:-1]

    @property
    def worker(self) -> Node:
        """The last one."""
        return self.nodes[-1]

    def holder(self) -> Node:
        """Who has the VIP: exactly one."""
        [found] = [host for host in self.nodes if host.holds(VIP, "scbr-100")]
        return found

    def init(self, pods: str) -> None:
        """Make the cluster; `pods` is appended to a copy of our init.yaml. CoreDNS can't be had;
        nothing here asks for names."""
        first, own = self.nodes[0], "/root/own.yaml"
        first.write(own, pods + OF_CONTAINERS)
        first.run(f"cat {_INIT} {own} > /root/init.yaml")
        said = self._kubeadm(first, "init --upload-certs --skip-phases=addon/coredns "
                                    "--config /root/init.yaml")  # fmt: skip
        found = re.search(r"--token (\S+)[\s\\]+--discovery-token-ca-cert-hash (\S+)[\s\\]+"
                          r"--control-plane --certificate-key (\S+)", said)  # fmt: skip
        assert found, said
        self._join, self._key = f"--token {found[1]} --ca-cert-hash {found[2]}", found[3]

    def join(self, node: Node, *, control_plane: bool) -> None:
        """Have a node join, through the VIP."""
        words = self._join + (f" --certificate-key {self._key}" if control_plane else "")
        self._kubeadm(node, "join --config /dev/stdin",
                      f"edge-overlay kubernetes join-config {words} | ")  # fmt: skip

    def kubectl(self, words: str) -> str:
        """Run kubectl on the first node."""
        return self.nodes[0].run(f"{_KUBECTL} {words}")

    def apply(self, documents: Sequence[dict[str, Any]]) -> None:
        """Give documents to `kubectl apply`."""
        given = "\n".join(json.dumps(each) for each in documents)
        self.nodes[0].run(f"printf %s {shlex.quote(given)} | {_KUBECTL} apply -f -")

    def get(self, what: str) -> list[dict[str, Any]]:
        """What `kubectl get` finds."""
        items = json.loads(self.kubectl(f"get {what} -o json"))["items"]
        assert isinstance(items, list)
        return items

    def wait_for_nodes(self, booted: Sequence[Node] = (), since: str = "") -> None:
        """Wait until all are Ready, and all pods of all namespaces. Those of nodes that `booted`
        must have been started `since`: what the API says of them at first is of before."""
        names = {host.name_inside for host in booted}
        self.until("all nodes are Ready", lambda: len(self.ready()) == len(self.nodes))
        self.until("all pods are ready", lambda: not self.unready(names, since))

    def ready(self) -> dict[str, str]:
        """By the names of the nodes that are Ready: since when."""
        found = {}
        for each in self.get("nodes"):
            for condition in each["status"].get("conditions", ()):
                if (condition["type"], condition["status"]) == ("Ready", "True"):
                    found[each["metadata"]["name"]] = condition["lastTransitionTime"]
        return found

    def unready(self, booted: Collection[str] = (), since: str = "") -> list[str]:
        """The pods that aren't ready, or on nodes that `booted` not started `since`."""
        found = []
        for each in self.get("pods -A"):
            after = since if each["spec"].get("nodeName") in booted else ""
            containers = each["status"].get("containerStatuses") or [{"ready": False}]
            if not all(one["ready"] and _began(one) >= after for one in containers):
                found.append(each["metadata"]["name"])
        return found

    def restarts(self) -> dict[str, int]:
        """How often containers were started again, by the pod."""
        return {
            each["metadata"]["name"]: sum(one["restartCount"]
                                          for one in each["status"]["containerStatuses"])
            for each in self.get("pods -A")
        }  # fmt: skip

    def internal_addresses(self) -> dict[str, list[str]]:
        """What Kubernetes takes for the nodes' addresses."""
        return {
            each["metadata"]["name"]: [one["address"] for one in each["status"]["addresses"]
                                       if one["type"] == "InternalIP"]
            for each in self.get("nodes")
        }  # fmt: skip

    def until(self, what: str, probe: Any, limit: float = _LIMIT_S) -> None:
        """Wait for something of the cluster."""
        wait_until(what, probe, limit, poll_s=1.0, evidence=self.evidence)

    def evidence(self) -> str:
        """What all nodes and the cluster say, for a failure."""
        words = f"{_KUBECTL} get nodes,pods,services -A -o wide"
        said = [self.nodes[0].try_run(words)[1], *(each.evidence() for each in self.nodes)]
        return "\n".join(said)

    def _kubeadm(self, node: Node, words: str, before: str = "") -> str:
        code, said = node.try_run(f"{before}timeout {_LIMIT_S} kubeadm {words}")
        assert code == 0, f"{node.name}: kubeadm {words}: exit {code}\n{said}\n{self.evidence()}"
        return said


def _began(container: dict[str, Any]) -> str:
    return str(container.get("state", {}).get("running", {}).get("startedAt", ""))
