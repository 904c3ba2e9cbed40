"""A node: a host with our agent, containerd, kubelet as its package has it, and images."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker

from tests.host.lab import ROUTER, Machine, Site, machine
from tests.kubernetes.nodes.base import VOLUMES
from tests.kubernetes.nodes.images import PAUSE
from tests.vm.harness.waiting import wait_until

_DISTRIBUTIONS = Path(__file__).parents[2] / "oci" / "distributions"
_CAPABILITIES = ["SYS_ADMIN", "NET_ADMIN", "NET_RAW", "SYS_PTRACE"]
"""runc leaves out of a pod's what is not among these: not even a privileged one has all."""

_CONTAINERD = f"""
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  # To lower it takes CAP_SYS_RESOURCE.
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
"""
# Two lines of kubeadm's 10-kubeadm.conf that the oci tier's stand-in for a kubelet has no use for.
_ARGUMENTS = """[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf \
--kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
"""
_USERS = "--cgroup-driver=cgroupfs"
"""What the user gives the kubelet (/etc/default/kubelet): containerd makes the control groups."""

_INSTALL = """
set -e
cp /given/programs/kubelet /given/programs/kubeadm /given/programs/kubectl /usr/bin/
mkdir -p /opt/cni/bin /etc/edge-overlay /etc/kubernetes/manifests
for plugin in /given/programs/cni/*; do  # flannel brings its own
    [ "${plugin##*/}" = flannel ] || cp "$plugin" /opt/cni/bin/
done
systemctl daemon-reload
systemctl enable --quiet kubelet
systemctl restart containerd
echo net.ipv4.ip_forward=1 > /etc/sysctl.d/99-kubernetes.conf
sysctl --quiet --load /etc/sysctl.d/99-kubernetes.conf
"""
_NETWORK = "/etc/systemd/network/10-eth0.network"
_PODS_LINKS = ("cni0", "flannel.1", "kube-ipvs0")


@dataclass
class Node(Machine):
    """One host, which may become a node of a cluster."""

    def set_address(self, address: str, gateway: str = ROUTER) -> None:
        """Have networkd give eth0 this ADDRESS/LENGTH, and no other."""
        self.write(_NETWORK, _network(address, gateway))
        self.run("networkctl reload && networkctl reconfigure eth0")

    def install(self, archives: Sequence[str], user_data: str) -> None:
        """As kubeadm's page and its packages do, and our package: no cluster is there yet."""
        self.write("/etc/containerd/config.toml", _CONTAINERD)
        self.write("/etc/default/kubelet", f'KUBELET_EXTRA_ARGS="{_USERS}"\n')
        units = "/usr/lib/systemd/system"
        self.write(f"{units}/kubelet.service", (_DISTRIBUTIONS / "kubelet.service").read_text())
        text = (_DISTRIBUTIONS / "10-kubeadm.conf").read_text()
        self.write(f"{units}/kubelet.service.d/10-kubeadm.conf",
                   text.replace("[Service]\n", _ARGUMENTS))  # fmt: skip
        self.run(_INSTALL)
        for name in archives:
            self.run(f"ctr -n k8s.io images import /given/images/{name}")
        self.write("/etc/edge-overlay/user-data", user_data, 0o600)
        self.run("dpkg --force-depends -i /given/agent/edge-overlay.deb 2>&1")

    def overlay_address(self) -> str:
        """Its address on the overlay, once it has one."""
        held = [each for each in self.addresses("scbr-100") if not each.endswith("/32")]
        return held[0].partition("/")[0]

    @property
    def name_inside(self) -> str:
        """What it calls itself, and Kubernetes its node."""
        return f"host{self.mac[-1]}"

    def listening(self, program: str) -> set[str]:
        """Where a program accepts TCP connections."""
        return set(self.run(f"ss -Htlnp | grep '\"{program}\"' | awk '{{print $4}}'").split())

    def holds(self, address: str, link: str) -> bool:
        """Whether a link has an address."""
        return any(each.startswith(f"{address}/") for each in self.addresses(link))

    def wait_for_overlay(self, others: int) -> None:
        """Wait until it is up and hears the others."""
        wait_until(f"{self.name}: the overlay", lambda: self._hears(others), 90,
                   evidence=self.evidence)  # fmt: skip

    def unit(self, name: str) -> tuple[str, str]:
        """A unit's process, and since when it runs."""
        said = self.run(f"systemctl show -P MainPID -P ExecMainStartTimestampMonotonic {name}")
        process, began = said.split()
        assert process != "0", f"{self.name}: {name} doesn't run\n{self.evidence()}"
        return process, began

    def power_cut(self, address: str) -> None:
        """Cut its power; it will have this ADDRESS/LENGTH when it boots. Its network, which a
        container leaves behind, answers nobody."""
        self.write(_NETWORK, _network(address, ROUTER))
        self.set_port("down")
        self.container.kill()

    def power_on(self) -> None:
        """Boot it again."""
        self.set_port("up")
        self.reboot()

    def reboot(self) -> None:
        self.container.stop(timeout=20)
        for link in _PODS_LINKS:
            words = self._in_network("link", "delete", link)
            subprocess.run(words, capture_output=True, check=False)
        words = [*self._in_network()[:-1], "nft", "flush", "ruleset"]
        subprocess.run(words, check=True, timeout=20)
        super().reboot()

    def evidence(self) -> str:
        words = (
            "edge-overlay status; edge-overlay kubernetes | grep -v '^ '; "
            "journalctl --no-pager -n 30 -u kubelet -o cat | cut -c 1-300; "
            "journalctl --no-pager -n 10 -u containerd -o cat | cut -c 1-300; "
            "for log in /var/log/pods/*/*/*.log; do echo \"- $log\"; tail -n 8 $log | "
            "cut -c 36-300; done"
        )  # fmt: skip
        return f"--- {self.name}:\n{self.try_run(words)[1]}"

    def _hears(self, others: int) -> bool:
        said = self.try_run("edge-overlay status")[1]
        return said.startswith("The overlay is up") and said.count(" up\n") >= others + 1


@contextlib.contextmanager
def node(
    client: docker.DockerClient, image: str, where: Site, number: int, given: dict[str, Path]
) -> Iterator[Node]:
    """A node that has booted, with directories to be read at /given/…; gone at the block's end."""
    rights: dict[str, Any] = {
        "cap_add": _CAPABILITIES,
        # A privileged pod (kube-proxy) gets all devices, which only who has them can give.
        "device_cgroup_rules": ["a *:* rwm"],
        "volumes": [*VOLUMES, *(f"{path}:/given/{name}:ro" for name, path in given.items())],
    }
    with machine(client, image, where, number, kind=Node, rights=rights) as made:
        assert isinstance(made, Node)
        made.write("/etc/resolv.conf", f"nameserver {ROUTER}\n")
        made.set_address(made.static)
        made.wait_for_network()
        yield made


def _network(address: str, gateway: str) -> str:
    return (
        f"[Match]\nName=eth0\n[Network]\nAddress={address}\nGateway={gateway}\n"
        "LinkLocalAddressing=ipv6\n"
    )
