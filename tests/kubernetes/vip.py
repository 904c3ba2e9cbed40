"""kube-vip that keeps the VIP of the control plane on scbr-100, and who answers there."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

import yaml

from overlay_runtime.config.cluster import KubeVip as KubeVipSettings
from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.kubernetes.kubevip import static_pod
from overlay_runtime.kubernetes.lease import settings as lease
from overlay_runtime.kubernetes.model import API_PORT
from tests.kubernetes.kubeadm import own_etc
from tests.kubernetes.programs import Programs
from tests.kubernetes.services import Service
from tests.netns.lab import REPOSITORY, Host
from tests.netns.namespaces import inside

PORT = API_PORT
LEASE_S = float(KubeVipSettings().lease)
"""The lease's length in seconds; renewal is given up after 3, and tried every second."""


def environment(host: Host, vip: str) -> dict[str, str]:
    """What the manifest that the runtime writes gives kube-vip, with all its defaults."""
    manifest = static_pod(
        KubeVipSettings(), ip_address(vip), services_interface=None,
        kubeconfig=Path("/etc/kubernetes/admin.conf"),
        templates=REPOSITORY / "image-templates/edge/usr/lib/edge-overlay",
    )  # fmt: skip
    [container] = yaml.safe_load(manifest)["spec"]["containers"]
    values = {each["name"]: each.get("value") for each in container["env"]}
    return values | {"vip_nodename": host.name}  # in the manifest a field of the pod


def watcher(host: Host) -> Service:
    """What edge-overlay-vip.service runs, told what the runtime writes with all its defaults.

    A service, as systemd starts it once and it never ends.
    """
    folder = host.directory / "run" / "kubernetes"
    folder.mkdir(parents=True, exist_ok=True)
    kubeconfig = Path("/etc/kubernetes/admin.conf")
    (folder / "vip.yaml").write_text(
        lease.written(
            KubeVipSettings(), ip_address(host.address), OverlayConfig().cidr, PORT, kubeconfig
        )
    )
    words: list[str | Path] = [sys.executable, "-m", "overlay_runtime", "kubernetes", "watch-vip",
                               "--run-dir", str(folder.parent)]  # fmt: skip
    return Service(host, "watch-vip", own_etc(host, words), {"PYTHONPATH": str(REPOSITORY)})


def with_etcd(host: Host, programs: Programs, vip: str, endpoint: str) -> KubeVip:
    """kube-vip whose leader is elected in etcd, by the member on its own host.

    With all members' endpoints it may hang on that of a host that lost its power: it sets no
    keepalive on its connections (kube-vip 1.0.0, pkg/etcd/client.go). Measured: 12 s.
    """
    command: list[str | Path] = [programs / "kube-vip", "manager", "--leaderElectionType", "etcd",
               "--etcdEndpoints", endpoint]  # fmt: skip
    variables = environment(host, vip) | {"svc_enable": "false"}  # there is no API server
    return KubeVip(Service(host, "kube-vip", command, variables), vip)


class KubeVip:
    """kube-vip on a host, started again a second after it ended, as kubelet does (once: it
    waits longer each time). It ends by itself whenever it stops being the leader."""

    def __init__(self, service: Service, vip: str) -> None:
        self.service = service
        self.vip = vip
        self.host = service.host
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._restart, daemon=True)

    def start(self) -> None:
        """Start it, and again whenever it ends."""
        self.service.start()
        self._wanted.set()
        self._thread = threading.Thread(target=self._restart, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End it for good, in the hard way."""
        self._wanted.clear()
        self._thread.join()
        self.service.stop(signal.SIGKILL)

    def holds(self) -> bool:
        """Whether the host has the VIP on scbr-100."""
        with suppress(AssertionError):  # no namespace, no bridge
            return f" {self.vip}/" in self.host.ip("-4", "-o", "address", "show", "scbr-100")
        return False

    def _restart(self) -> None:
        while self._wanted.is_set():
            if not self.service.running():
                time.sleep(1)
                with suppress(OSError, AssertionError):
                    if self._wanted.is_set():
                        self.service.start()
            time.sleep(0.1)


class NameServer:
    """A TCP server of a host on the VIP's port, at all its addresses, that says the host's name."""

    def __init__(self, host: Host) -> None:
        self._name = host.name.encode()
        with inside(host.namespace):
            self._socket = socket.create_server(("", PORT), backlog=64)
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Take no more."""
        self._socket.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._socket.accept()
                with connection, suppress(OSError):
                    connection.sendall(self._name)


class VipProbe:
    """Connects to the VIP every 20 ms, each time anew; use it as a context manager."""

    def __init__(self, host: Host, vip: str) -> None:
        self._namespace = host.namespace
        self._vip = vip
        self._stop = threading.Event()
        self._answers: list[float] = []
        self._gaps: list[float] = []
        self._asked: float | None = None
        """When the first connection was tried since the last answer."""
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self) -> VipProbe:
        self._thread.start()
        time.sleep(0.5)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(0.5)
        self._stop.set()
        self._thread.join()

    def gap(self) -> float:
        """The longest time, in seconds, for which no connection was accepted, though it was tried:
        from the first try on. A probe that this busy machine keeps waiting tries nothing."""
        asked = self._asked
        gaps = list(self._gaps)
        if asked is not None and not self._stop.is_set():
            gaps.append(time.monotonic() - asked)
        return max(gaps, default=float("inf")) if len(self._answers) > 1 else float("inf")

    def answers_since(self, moment: float) -> bool:
        """Whether it answered after a time (`time.monotonic()`)."""
        return bool(self._answers) and self._answers[-1] > moment

    def _ask(self) -> None:
        while not self._stop.wait(0.02):
            if self._asked is None:
                self._asked = time.monotonic()
            with suppress(OSError):
                with inside(self._namespace):
                    made = socket.socket()
                with made:
                    made.settimeout(0.25)
                    made.connect((self._vip, PORT))
                    self._answers.append(time.monotonic())
                    self._gaps.append(self._answers[-1] - self._asked)
                    self._asked = None


def holder(all_: Sequence[KubeVip]) -> KubeVip | None:
    """Who has the VIP, if that is exactly one."""
    found = [each for each in all_ if each.holds()]
    return found[0] if len(found) == 1 else None


def kill(service: Service) -> None:
    """SIGKILL to a program that is started again by whoever watches over it."""
    process = service.process_id()
    assert process is not None, f"{service.name} of {service.host.name} doesn't run"
    os.kill(process, signal.SIGKILL)
