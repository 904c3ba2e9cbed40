"""Services as kube-proxy (iptables mode) writes them: chains, marks and masquerading."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from tests.netns.lab import Host

_RULES = """*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-SVC-WEB - [0:0]
:KUBE-EXT-WEB - [0:0]
:KUBE-SEP-WEB - [0:0]
-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES
-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING
-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000
-A KUBE-POSTROUTING -j MASQUERADE --random-fully
-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000
-A KUBE-NODEPORTS -p tcp -m tcp --dport {node_port} -j KUBE-EXT-WEB
{balanced}
-A KUBE-SERVICES -d {cluster_ip}/32 -p tcp -m tcp --dport 80 -j KUBE-SVC-WEB
-A KUBE-SERVICES -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-EXT-WEB -j KUBE-MARK-MASQ
-A KUBE-EXT-WEB -j KUBE-SVC-WEB
-A KUBE-SVC-WEB ! -s 10.42.0.0/16 -d {cluster_ip}/32 -p tcp -m tcp --dport 80 -j KUBE-MARK-MASQ
-A KUBE-SVC-WEB -j KUBE-SEP-WEB
-A KUBE-SEP-WEB -p tcp -m tcp -j DNAT --to-destination {endpoint}
COMMIT
"""

NODE_PORT = 30080
CLUSTER_IP = "10.43.0.80"


def serve(hosts: Sequence[Host], endpoint: str, balancer: str | None = None) -> None:
    """Make a service on all hosts: a NodePort, an address inside, and perhaps one of a load
    balancer, all of which lead to `endpoint` (address:port of a pod)."""
    balanced = (f"-A KUBE-SERVICES -d {balancer}/32 -p tcp -m tcp --dport 80 -j KUBE-EXT-WEB"
                if balancer else "")  # fmt: skip
    rules = _RULES.format(node_port=NODE_PORT, cluster_ip=CLUSTER_IP, endpoint=endpoint,
                          balanced=balanced)  # fmt: skip
    for host in hosts:
        host.sysctl("net/ipv4/ip_forward", "1")
        subprocess.run(
            ["ip", "netns", "exec", host.namespace, "iptables-nft-restore"],
            input=rules, text=True, check=True, timeout=20,
        )  # fmt: skip
