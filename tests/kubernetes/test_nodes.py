"""`examples/kubeadm-cluster` as its page says: whole hosts with our agent, and kubeadm with what it
writes.

systemd, containerd, runc, kubelet, all of the control plane as static pods, kube-proxy, kube-vip,
flannel: none of it is a stand-in. Three control planes and a worker, each host a container.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.host.lab import Site, site
from tests.kubernetes.evidence import record
from tests.kubernetes.nodes import images, manifests
from tests.kubernetes.nodes.base import node_image
from tests.kubernetes.nodes.cluster import VIP, Cluster
from tests.kubernetes.nodes.node import Node, node
from tests.kubernetes.nodes.outside import Watch, accepts, answers
from tests.kubernetes.programs import Programs
from tests.kubernetes.vip import LEASE_S
from tests.oci.daemon import docker_daemon
from tests.site import REPOSITORY

pytestmark = pytest.mark.timeout(400, func_only=True)

EXAMPLE = REPOSITORY / "examples" / "kubeadm-cluster"
HOSTS = ("one", "two", "three", "worker")
BALANCER = "10.77.0.150"


@pytest.fixture(scope="module")
def router() -> Iterator[Site]:
    """The physical network: 10.77.0.0/24, and 10.78.0.0/24 on the same segment."""
    with site() as made:
        made.run("ip", "address", "add", "10.78.0.1/24", "dev", "br0")
        yield made


@pytest.fixture(scope="module")
def cluster(router: Site, programs: Programs) -> Iterator[Cluster]:
    """A cluster that is ready, with pods on all nodes."""
    began = time.monotonic()
    with docker_daemon() as client, ExitStack() as stack:
        temporary = tempfile.TemporaryDirectory(prefix="edge-test-nodes-")
        directory = Path(stack.enter_context(temporary))
        given = {"agent": directory / "agent", "images": directory / "images"}
        for each in given.values():
            each.mkdir()
        image = node_image(client)
        common = images.common_layer(image)
        names = manifests.flannel_images(programs)
        for name, listed in (("all.tar", images.of_all(programs, names)),
                             ("control.tar", images.of_control_planes(programs))):  # fmt: skip
            images.write_archive(listed, common, given["images"] / name)
        words = [sys.executable, "-m", "builder.cli", "agent", "--quiet", "--output"]
        subprocess.run([*words, given["agent"]], cwd=REPOSITORY, check=True, timeout=300)
        given["programs"] = programs.directory
        nodes = [stack.enter_context(node(client, image, router, number, given))
                 for number in range(1, len(HOSTS) + 1)]  # fmt: skip
        at_once(nodes, lambda host: install(host, HOSTS[nodes.index(host)]))
        for host in nodes:
            host.wait_for_overlay(len(nodes) - 1)
        made = Cluster(nodes)
        installed = time.monotonic()
        made.init((EXAMPLE / "pods.yaml").read_text())
        for host in nodes[1:]:
            made.join(host, control_plane=host in made.planes)
        made.apply(manifests.flannel(programs))
        made.apply(manifests.web(BALANCER))
        made.wait_for_nodes()
        record("kubeadm: a cluster of four", installed=installed - began,
               ready=time.monotonic() - installed)  # fmt: skip
        yield made


def at_once(nodes: list[Node], do: Callable[[Node], object]) -> None:
    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(do, nodes))


def install(host: Node, name: str) -> None:
    archives = ["all.tar"] if name == "worker" else ["all.tar", "control.tar"]
    host.install(archives, (EXAMPLE / f"{name}.yaml").read_text())


def test_all_of_it_is_on_the_overlay(cluster: Cluster) -> None:
    own = {host.name_inside: host.overlay_address() for host in cluster.nodes}
    assert cluster.internal_addresses() == {name: [at] for name, at in own.items()}
    planes = cluster.planes
    for host in cluster.nodes:
        said = host.run("edge-overlay kubernetes; edge-overlay doctor kubernetes")
        assert "Nothing contradicts it." in said and "kubeadm is on the overlay" in said, said
        assert f"--node-ip={own[host.name_inside]}" in host.run(
            "tr '\\0' ' ' < /proc/$(pidof kubelet)/cmdline").split()  # fmt: skip
    for host in planes:
        at = own[host.name_inside]
        assert host.listening("etcd") == {"127.0.0.1:2379", "127.0.0.1:2381", f"{at}:2379",
                                          f"{at}:2380"}  # fmt: skip
        assert f"--advertise-address={at}" in host.run(
            "tr '\\0' '\\n' < /proc/$(pidof kube-apiserver)/cmdline").split()  # fmt: skip
    [endpoints] = [each for each in cluster.get("endpointslices") if
                   each["metadata"]["name"] == "kubernetes"]  # fmt: skip
    found = sorted(at for each in endpoints["endpoints"] for at in each["addresses"])
    assert found == sorted(own[host.name_inside] for host in planes)
    pods = {each["metadata"]["name"] for each in cluster.get("pods -n kube-system")}
    assert {f"kube-vip-{host.name_inside}" for host in planes} <= pods
    assert cluster.holder() in planes
    for host in planes:
        host.unit("edge-overlay-vip")
        said = host.run("journalctl --no-pager -o cat -u edge-overlay-vip")
        assert "is given up if its holder's host does not answer" in said, said
    code, said = cluster.worker.try_run("systemctl is-active edge-overlay-vip")
    assert (code, said.strip()) == (3, "inactive")


def test_services_from_outside_and_inside(cluster: Cluster, router: Site) -> None:
    """By each node's physical address, by a load balancer's, and from a node: kube-proxy leads to
    pods on all nodes, flannel across the overlay."""
    check_services(cluster, router)
    names = {host.name_inside for host in cluster.nodes}
    cluster.until("the load balancer's address leads to all pods",
                  lambda: answers(router, BALANCER, 80, names), 60)  # fmt: skip
    [holder] = [host for host in cluster.nodes if host.holds(BALANCER, "eth0")]
    assert not any(host.holds(BALANCER, "scbr-100") for host in cluster.nodes)
    assert holder in cluster.planes, "kube-vip runs on control planes"


def test_overlay_addresses_are_closed_from_outside(cluster: Cluster, router: Site) -> None:
    first = cluster.nodes[0]
    physical = first.static.partition("/")[0]
    router.run("ip", "route", "add", "100.64.192.0/24", "via", physical)
    try:
        assert accepts(router, physical, 6443)
        for at in (VIP, first.overlay_address()):
            assert not accepts(router, at, 6443)
    finally:
        router.run("ip", "route", "delete", "100.64.192.0/24")


def test_all_hosts_get_other_addresses(cluster: Cluster, router: Site) -> None:
    before = (cluster.ready(), cluster.restarts(), cluster.internal_addresses())
    kubelets = {host.name: host.unit("kubelet") for host in cluster.nodes}
    check_logs_and_exec(cluster)
    leases = renewals(cluster)
    with Watch(cluster.worker, f"https://{VIP}:6443/readyz") as watch:
        at_once(list(cluster.nodes), lambda host: host.set_address(second(host), "10.78.0.1"))
        time.sleep(10)
    record("kubeadm: all hosts renumbered", api_gap=watch.gap())
    assert watch.gap() < 5.0, cluster.evidence()
    cluster.until("the kubelets told since that they are there", lambda: all(
        at > leases[name] for name, at in renewals(cluster).items()), 60)  # fmt: skip
    assert (cluster.ready(), cluster.restarts(), cluster.internal_addresses()) == before
    assert {host.name: host.unit("kubelet") for host in cluster.nodes} == kubelets
    check_logs_and_exec(cluster)
    check_services(cluster, router)


def test_the_host_with_the_vip_loses_its_power(cluster: Cluster, router: Site) -> None:
    """kube-vip's lease of 6 s, and a second: edge-overlay-vip gives it up for the host."""
    holder = cluster.holder()
    others = [host for host in cluster.planes if host is not holder]
    with Watch(cluster.worker, f"https://{VIP}:6443/readyz") as watch:
        time.sleep(1)
        cut = moment()
        holder.power_cut(fourth(holder))
        time.sleep(12)
    said = [host.run("journalctl --no-pager -o cat -u edge-overlay-vip") for host in others]
    record("kubeadm: power cut of the VIP's host", api_gap=watch.gap())
    assert watch.gap() < LEASE_S + 1, "\n".join(said)
    assert any(f"{holder.name_inside} is gone" in text for text in said), said
    assert sum(host.holds(VIP, "scbr-100") for host in others) == 1
    holder.power_on()
    cluster.wait_for_nodes([holder], cut)
    cluster.until("one host has the VIP", lambda: cluster.holder() in others, 30)
    check_services(cluster, router)


def test_the_whole_site_loses_its_power(cluster: Cluster, router: Site) -> None:
    """All hosts boot with yet other addresses, and nobody does anything."""
    internal = cluster.internal_addresses()
    cut = moment()
    at_once(list(cluster.nodes), lambda host: host.power_cut(third(host)))
    at_once(list(cluster.nodes), Node.power_on)
    began = time.monotonic()
    cluster.wait_for_nodes(cluster.nodes, cut)
    record("kubeadm: the whole site lost its power", ready=time.monotonic() - began)
    assert cluster.internal_addresses() == internal
    check_logs_and_exec(cluster)
    check_services(cluster, router)
    for host in cluster.nodes:
        assert "kubeadm is on the overlay" in host.run("edge-overlay doctor kubernetes")


def moment() -> str:
    """Now, as the API tells times."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def second(host: Node) -> str:
    return host.static.replace("10.77.0.20", "10.78.0.21")


def third(host: Node) -> str:
    return host.static.replace("10.77.0.20", "10.77.0.22")


def fourth(host: Node) -> str:
    return host.static.replace("10.77.0.20", "10.77.0.23")


def renewals(cluster: Cluster) -> dict[str, str]:
    """When the kubelets last told that they are there."""
    found = cluster.get("leases -n kube-node-lease")
    return {each["metadata"]["name"]: each["spec"]["renewTime"] for each in found}


def check_services(cluster: Cluster, router: Site) -> None:
    names = {host.name_inside for host in cluster.nodes}
    for host in cluster.nodes:
        [physical] = [at for at in host.addresses("eth0") if not at.endswith("/32")]
        at = physical.partition("/")[0]
        cluster.until(f"{host.name}'s NodePort at {at} leads to all pods", lambda at=at: answers(
            router, at, manifests.NODE_PORT, names), 60)  # fmt: skip
    [service] = [each for each in cluster.get("services") if each["metadata"]["name"] == "web"]
    inside = service["spec"]["clusterIP"]
    for host in cluster.nodes:
        cluster.until(f"from {host.name} the service's own address leads to all pods",
                      lambda host=host: names <= set(host.try_run(
                          f"for i in $(seq 30); do busybox wget -qO- -T2 http://{inside}/; done"
                      )[1].split()), 60)  # fmt: skip


def check_logs_and_exec(cluster: Cluster) -> None:
    """The API server asks the kubelet at the node's InternalIP for them."""
    pods = {each["spec"]["nodeName"]: each["metadata"]["name"] for each in cluster.get("pods")}
    assert set(pods) == {host.name_inside for host in cluster.nodes}
    for name, pod in pods.items():
        assert cluster.kubectl(f"logs {pod}").strip() == f"serving {name}"
        assert cluster.kubectl(f"exec {pod} -- hostname").strip() == pod
