"""A cluster on the overlay: three control planes, a worker, all that runs on them, and what is
seen of it while something happens to the hosts below."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime

from tests.kubernetes import vip as kube_vip
from tests.kubernetes.etcd import Member, Watch, Writers, start_members
from tests.kubernetes.faults import FIRST, may_start, three_hosts
from tests.kubernetes.kubeadm import ControlPlane, own_etc
from tests.kubernetes.pods import NETWORK, Pod, flannel, subnet_file
from tests.kubernetes.programs import Programs
from tests.kubernetes.services import Client, Service
from tests.kubernetes.vip import KubeVip, VipProbe, holder
from tests.netns.lab import Host, Lab, until
from tests.netns.probe import Outcome, Probe

VIP = "100.64.192.1"


class Cluster:
    """All of it; use it as a context manager."""

    def __init__(self, lab: Lab, programs: Programs) -> None:
        self.lab = lab
        self.programs = programs
        self.planes: list[ControlPlane] = []
        self.vips: list[KubeVip] = []
        self.watchers: list[Service] = []
        self.flannels: dict[str, Service] = {}
        self.pods: dict[str, Pod] = {}
        self._nodes = itertools.count(1)

    def __enter__(self) -> Cluster:
        return self

    def start(self) -> None:
        """Start all; the VIP is there, and a pod on each host."""
        self.hosts = three_hosts(self.lab)
        self.worker = self.lab.host("worker", f"{FIRST}.4/24").start()
        self.lab.all_up(30)
        self.members: list[Member] = start_members(self.hosts)
        for host, member in zip(self.hosts, self.members, strict=True):
            plane = ControlPlane(host, self.programs, VIP, member.url, NETWORK)
            plane.prepare(self.planes[0] if self.planes else None)
            self.planes.append(plane)
        for plane in self.planes:
            plane.start()
        for plane in self.planes:
            until(plane.ready, f"kube-apiserver of {plane.host.name} is ready", 90)
        # As `kubeadm init` does, for admin.conf.
        self.planes[0].kubectl("create", "clusterrolebinding", "kubeadm:cluster-admins",
                               "--clusterrole=cluster-admin",
                               "--group=kubeadm:cluster-admins")  # fmt: skip
        for host in self.hosts:
            command = own_etc(host, [self.programs / "kube-vip", "manager"])
            service = Service(host, "kube-vip", command, kube_vip.environment(host, VIP))
            self.vips.append(KubeVip(service, VIP))
            self.watchers.append(kube_vip.watcher(host))
        for each in self.vips:
            each.start()
        for watcher in self.watchers:
            watcher.start()
        until(lambda: holder(self.vips), "one host has the VIP", 30)
        for host in [*self.hosts, self.worker]:
            self.add_node(host)

    def __exit__(self, *_: object) -> None:
        for each in self.vips:
            each.stop()
        for watcher in self.watchers:
            watcher.stop()
        for host in self.lab.hosts:
            for log in sorted(host.directory.glob("*.log")):
                print(f"--- {log.stem} of {host.name}\n{log.read_text(errors='replace')[-2500:]}")

    def add_node(self, host: Host) -> None:
        """Make a host a node: a Node object with a range for pods, flannel, a pod."""
        number = next(self._nodes)
        pods = f"10.244.{number}.0/24"
        self.planes[0].kubectl("create", "-f", "-", given={
            "apiVersion": "v1", "kind": "Node", "metadata": {
                "name": host.name, "labels": {"kubernetes.io/hostname": host.name},
                # flannel 0.28.4 falls over one that has none at all
                "annotations": {"volumes.kubernetes.io/controller-managed-attach-detach": "true"},
            },
            "spec": {"podCIDR": pods, "podCIDRs": [pods]},
        })  # fmt: skip
        # The kubelet's part, with our `--node-ip`.
        status = {"status": {"addresses": [{"type": "InternalIP", "address": host.address}]}}
        self.planes[0].kubectl("patch", "node", host.name, "--subresource=status",
                               "--patch", json.dumps(status))  # fmt: skip
        own_etc(host, [])
        admin = host.directory / "etc/kubernetes/admin.conf"
        if not admin.exists():
            admin.write_text((self.planes[0].kubernetes / "admin.conf").read_text())
        self.start_pods(host)

    def start_pods(self, host: Host) -> None:
        """Start flannel and a pod on a host, the first time or after a power cut."""
        self.flannels[host.name] = flannel(host, self.programs)
        self.flannels[host.name].start()
        until(subnet_file(host).exists, f"flannel of {host.name} is ready", 60)
        self.pods[host.name] = Pod(self.lab, host, self.programs)

    def boot(self, host: Host, address: str) -> None:
        """Bring a host back after a power cut, with another physical address: the overlay first,
        then what the host runs, as systemd and kubelet order it."""
        self.lab.power_on(host, address)
        until(lambda: may_start(host), f"the overlay of {host.name} is up again", 20)
        for number, each in enumerate(self.hosts):
            if each is host:
                self.members[number].service.start()
                self.planes[number].start()
                self.vips[number].start()
                self.watchers[number] = kube_vip.watcher(host)
                self.watchers[number].start()

    def power_cut(self, host: Host) -> None:
        """Cut a host's power."""
        for number, each in enumerate(self.hosts):
            if each is host:
                self.vips[number].stop()
                self.watchers[number].stop()
        self.lab.power_cut(host)

    def lease(self) -> tuple[str, float]:
        """Who has kube-vip's lease in the Kubernetes API, and since when (`time.time()`)."""
        plane = next(each for each in self.planes if each.host.up() and each.ready())
        spec = plane.client(plane.host)(
            "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/plndr-cp-lock",
            method="GET",
        )["spec"]
        return str(spec["holderIdentity"]), datetime.fromisoformat(spec["acquireTime"]).timestamp()

    def watched(self) -> str:
        """What all that watch the lease have said, for a failure."""
        return "\n".join(f"{each.host.name}: {each.log()[-1500:]}" for each in self.watchers)

    def holder(self) -> KubeVip:
        """Who has the VIP: exactly one."""
        until(lambda: holder(self.vips), "one host has the VIP", 30)
        found = holder(self.vips)
        assert found is not None
        return found


class ApiWriter:
    """Writes through the VIP, from a host that is no control plane; a context manager."""

    def __init__(self, cluster: Cluster) -> None:
        self._client: Client = cluster.planes[0].client(cluster.worker, VIP, timeout=1.0)
        self._stop = threading.Event()
        self._done: list[float] = []
        self.refused = 0
        self._thread = threading.Thread(target=self._write)

    def __enter__(self) -> ApiWriter:
        with suppress(OSError):  # it is there
            self._client("/api/v1/namespaces/default/configmaps",
                         {"metadata": {"name": "written"}})  # fmt: skip
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._client.close()

    def gap(self) -> float:
        """The longest time, in seconds, between two writes that were accepted."""
        return max((b - a for a, b in itertools.pairwise(self._done)), default=float("inf"))

    def _write(self) -> None:
        for number in itertools.count():
            if self._stop.wait(0.05):
                return
            try:
                self._client("/api/v1/namespaces/default/configmaps/written",
                             {"data": {"number": str(number)}}, "PATCH",
                             "application/merge-patch+json")  # fmt: skip
                self._done.append(time.monotonic())
            except OSError:
                self.refused += 1


@dataclass
class Seen:
    """All that is measured during a fault; use it as a context manager."""

    cluster: Cluster
    members: Sequence[Member]
    """Members of etcd that the writers write to."""
    between: tuple[Host, Host]
    """Hosts between whose pods packets go."""

    def __enter__(self) -> Seen:
        pods = [self.cluster.pods[host.name].end for host in self.between]
        self.writers = Writers(self.members)
        self.watch = Watch(self.members)
        self.vip = VipProbe(self.cluster.worker, VIP)
        self.api = ApiWriter(self.cluster)
        self._probes = [Probe(pods[0], pods[1], 7100, 200), Probe(pods[1], pods[0], 7101, 200)]
        self._stack = ExitStack()
        parts: list[AbstractContextManager[object]] = [
            *self._probes, self.vip, self.api, self.watch, self.writers
        ]  # fmt: skip
        for each in parts:
            self._stack.enter_context(each)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def pods(self) -> Outcome:
        """The worse of both directions between the pods."""
        return max((probe.outcome() for probe in self._probes), key=lambda each: each.gap)

    def figures(self) -> dict[str, object]:
        """For the evidence."""
        pods = self.pods()
        return {
            "etcd_acknowledged": len(self.writers.acknowledged()),
            "etcd_refused": self.writers.refused(), "etcd_gap": self.writers.gap(),
            "etcd_terms": len(self.watch.terms()), "vip_gap": self.vip.gap(),
            "api_refused": self.api.refused, "api_gap": self.api.gap(),
            "pods_sent": pods.sent, "pods_lost": pods.lost, "pods_gap": pods.gap,
        }  # fmt: skip
