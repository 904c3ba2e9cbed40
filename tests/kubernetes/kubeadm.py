"""kube-apiserver as kubeadm sets it up: its certificates, kubeconfigs and flags, by phases of the
real `kubeadm init`, on overlay addresses with the VIP as the endpoint of the control plane.

There is no container runtime here, so no kubelet: what the static pods' manifests say is run by
the tests, and Node objects are made by them.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.kubernetes.programs import KUBERNETES, Programs
from tests.kubernetes.services import Client, Service
from tests.netns.lab import Host

PORT = 6443
_OWN_ETC = (
    'mount -t overlay -o lowerdir="$0":/etc overlay /etc && '
    'mount --bind "$0/kubernetes" /etc/kubernetes && exec "$@"'
)


def own_etc(host: Host, command: Sequence[str | Path]) -> list[str | Path]:
    """The command with an /etc/kubernetes and /etc/hosts of the host's own (within the mount
    namespace that `ip netns exec` makes)."""
    etc = host.directory / "etc"
    if not etc.exists():
        (etc / "kubernetes").mkdir(parents=True)
        # As kube-vip's manifest has it: hostAliases.
        (etc / "hosts").write_text("127.0.0.1 localhost kubernetes\n")
    return ["sh", "-c", _OWN_ETC, etc, *command]


class ControlPlane:
    """kube-apiserver of a host, with the etcd member on the host itself."""

    def __init__(self, host: Host, programs: Programs, vip: str, etcd: str, pods: str) -> None:
        self.host = host
        self.address = host.address
        self._programs = programs
        self.kubernetes = host.directory / "etc/kubernetes"
        self.config = host.directory / "kubeadm.yaml"
        self.config.write_text(_config(host, vip, etcd, pods))
        self.service: Service | None = None

    def prepare(self, first: ControlPlane | None) -> None:
        """Make certificates (with the authorities of `first`), kubeconfigs and the manifest."""
        own_etc(self.host, [])
        if first:
            shutil.copytree(first.kubernetes / "pki", self.kubernetes / "pki")
            for name in ("apiserver", "apiserver-kubelet-client", "front-proxy-client"):
                for end in ("crt", "key"):
                    (self.kubernetes / f"pki/{name}.{end}").unlink()
        for phase in (
            "certs all", "kubeconfig admin", "kubeconfig super-admin", "control-plane apiserver"
        ):  # fmt: skip
            self._kubeadm("init", "phase", *phase.split(), "--config", str(self.config))
        manifest = yaml.safe_load((self.kubernetes / "manifests/kube-apiserver.yaml").read_text())
        [name, *flags] = manifest["spec"]["containers"][0]["command"]
        command = own_etc(self.host, [self._programs / name, *flags])
        self.service = Service(self.host, name, command)

    def start(self) -> None:
        """Start kube-apiserver."""
        assert self.service, "not prepared"
        self.service.start()

    def ready(self) -> bool:
        """Whether it says so itself."""
        try:
            return bool(self.client(self.host)("/readyz", method="GET") == "ok")
        except OSError:
            return False

    def client(self, source: Host, address: str | None = None, timeout: float = 5.0) -> Client:
        """A client with all rights that connects from a host to this server, or to an address."""
        config = yaml.safe_load((self.kubernetes / "super-admin.conf").read_text())
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
        tls = ssl.create_default_context(cadata=authority)
        pair = self.kubernetes / "super-admin.pem"
        pair.write_bytes(
            base64.b64decode(user["client-certificate-data"])
            + base64.b64decode(user["client-key-data"])
        )
        tls.load_cert_chain(pair)
        return Client(source.namespace, address or self.address, PORT, timeout, tls)

    def kubectl(self, *arguments: str, given: Any = None) -> str:
        """Run kubectl on this host against its own server; `given` is its input, as JSON."""
        return self._run(
            self._programs / "kubectl", "--kubeconfig", "/etc/kubernetes/super-admin.conf",
            "--server", f"https://{self.address}:{PORT}", *arguments, given=given,
        )  # fmt: skip

    def _kubeadm(self, *arguments: str) -> None:
        self._run(self._programs / "kubeadm", *arguments)

    def _run(self, *command: str | Path, given: Any = None) -> str:
        words = ["ip", "netns", "exec", self.host.namespace, *own_etc(self.host, command)]
        answer = subprocess.run(
            words, input=json.dumps(given), capture_output=True, text=True, timeout=60,
            env=os.environ | {"HOME": str(self.host.directory)},
        )  # fmt: skip
        assert answer.returncode == 0, f"{command}\n{answer.stdout}{answer.stderr}"
        return answer.stdout


def _config(host: Host, vip: str, etcd: str, pods: str) -> str:
    kind = {"apiVersion": "kubeadm.k8s.io/v1beta4"}
    return yaml.safe_dump_all([
        {
            **kind, "kind": "InitConfiguration", "nodeRegistration": {"name": host.name},
            "localAPIEndpoint": {"advertiseAddress": host.address, "bindPort": PORT},
        },
        {
            **kind, "kind": "ClusterConfiguration", "kubernetesVersion": KUBERNETES,
            "controlPlaneEndpoint": f"{vip}:{PORT}", "apiServer": {"certSANs": [vip]},
            "networking": {"podSubnet": pods}, "etcd": {"external": {"endpoints": [etcd]}},
        },
    ])  # fmt: skip
