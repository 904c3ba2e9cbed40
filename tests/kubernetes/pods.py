"""flannel, as its manifest for Kubernetes runs it, and pods that the CNI plugins attach."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
from pathlib import Path

from tests.kubernetes.kubeadm import own_etc
from tests.kubernetes.programs import Programs
from tests.kubernetes.services import Service
from tests.netns.lab import Host, Lab

NETWORK = "10.244.0.0/16"
_numbers = itertools.count(1)


def flannel(host: Host, programs: Programs) -> Service:
    """flannel with its subnets in the Kubernetes API, VXLAN, on the overlay's NIC."""
    config = host.directory / "net-conf.json"
    config.write_text(json.dumps({"Network": NETWORK, "Backend": {"Type": "vxlan"}}))
    host.sysctl("net/ipv4/ip_forward", "1")
    return Service(host, "flannel", own_etc(host, [
        programs / "flannel", "--ip-masq", "--kube-subnet-mgr", "--iface=scbr-100",
        "--kubeconfig-file=/etc/kubernetes/admin.conf", f"--net-config-path={config}",
        f"--subnet-file={subnet_file(host)}",
    ]), {"NODE_NAME": host.name})  # fmt: skip


def subnet_file(host: Host) -> Path:
    """What flannel tells the CNI plugin; below /run."""
    return host.directory / "run/flannel-subnet.env"


class Pod:
    """A namespace that the plugins have attached to the network of pods."""

    def __init__(self, lab: Lab, host: Host, programs: Programs) -> None:
        name = f"pod{next(_numbers)}"
        self.namespace = lab.namespace(name)
        # The configuration of kube-flannel.yml, with directories of this host.
        config = {
            "name": "cbr0", "cniVersion": "0.3.1", "type": "flannel",
            "subnetFile": str(subnet_file(host)), "dataDir": str(host.directory / "cni"),
            "ipam": {"type": "host-local", "dataDir": str(host.directory / "ipam")},
            "delegate": {"hairpinMode": True, "isDefaultGateway": True},
        }  # fmt: skip
        answer = subprocess.run(
            ["ip", "netns", "exec", host.namespace, programs.cni / "flannel"],
            input=json.dumps(config), capture_output=True, text=True, timeout=30,
            env=os.environ | {
                "CNI_COMMAND": "ADD", "CNI_CONTAINERID": self.namespace, "CNI_IFNAME": "eth0",
                "CNI_NETNS": f"/run/netns/{self.namespace}", "CNI_PATH": str(programs.cni),
            },
        )  # fmt: skip
        assert answer.returncode == 0, f"{answer.stdout}{answer.stderr}"
        self.address = json.loads(answer.stdout)["ips"][0]["address"].split("/")[0]

    @property
    def end(self) -> tuple[str, str]:
        """Where probes start and end."""
        return self.namespace, self.address
