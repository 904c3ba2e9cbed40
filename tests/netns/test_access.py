"""The three ways to a cluster on the overlay, through the real firewall: the VIP inside, a node's
external address, and the address of a LoadBalancer service on the physical network."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from tests.netns.kube_proxy import CLUSTER_IP, NODE_PORT, serve
from tests.netns.lab import Host, Lab, until
from tests.netns.namespaces import inside, run

VIP, BALANCER = "100.64.192.1", "10.9.0.200"
NODES = ("10.9.0.1", "10.9.0.2", "10.9.0.3")
OUTSIDE = "10.9.0.66"
SEEN = ("10.42.1.0", "10.42.2.0", "10.42.3.1")
"""As whom a pod on the last node sees the nodes: they masquerade."""

_LARGE = b"answer" * 20_000
"""More than fits one packet: paths of full size are used both ways."""


@contextmanager
def answering(namespace: str, address: str, port: int) -> Iterator[None]:
    """A TCP server that answers with who asked, and much more."""
    with inside(namespace):
        server = socket.create_server((address, port))
    server.settimeout(0.2)
    stop = threading.Event()

    def run_it() -> None:
        while not stop.is_set():
            try:
                connection, (peer, *_) = server.accept()
            except TimeoutError:
                continue
            with connection:
                connection.settimeout(5)
                try:
                    connection.sendall(peer.encode() + b"\n" + _LARGE)
                except OSError:
                    continue

    thread = threading.Thread(target=run_it)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        server.close()


def ask(namespace: str, address: str, port: int, seconds: float = 1.5) -> str | None:
    """Return as whom the server saw us, if all of its answer came; else None."""
    with inside(namespace):
        client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    with client:
        client.settimeout(seconds)
        try:
            client.connect((address, port))
            data = b""
            while part := client.recv(65536):
                data += part
        except OSError:
            return None
    peer, _, rest = data.partition(b"\n")
    return peer.decode() if rest == _LARGE else None


class Cluster:
    """Three hosts with the routes and tunnels that flannel makes, a pod on the last one, and a
    machine outside."""

    def __init__(self, lab: Lab) -> None:
        self.hosts = [lab.host(f"node{n}", f"{at}/24") for n, at in enumerate(NODES, 1)]
        for host in self.hosts:
            host.start()
        lab.all_up()
        for host in self.hosts:
            until(lambda host=host: host.status()["firewall"]["state"] == "on", "firewall on")  # type: ignore[misc]
            # As every Kubernetes node has it (kubeadm's preflight; k3s sets it).
            host.sysctl("net/bridge/bridge-nf-call-iptables", "1")
        self.outside = lab.bystander("outside", f"{OUTSIDE}/24")
        # Whoever outside knows the range and tries by a node: what the firewall is there for.
        self.outside.ip("route", "add", "100.64.192.0/23", "via", NODES[0])
        for number, host in enumerate(self.hosts, 1):
            host.ip("route", "add", "default", "via", "10.9.0.254")
            self._connect(number, host)
        self.pod = lab.namespace("pod")
        last = self.hosts[2]
        last.ip("link", "add", "cali0", "mtu", "1380", "type", "veth", "peer", "name", "eth0",
                "netns", self.pod)  # fmt: skip
        last.ip("address", "add", "10.42.3.1/24", "dev", "cali0")
        last.ip("link", "set", "cali0", "up")
        for words in (("link", "set", "eth0", "mtu", "1380", "up"),
                      ("address", "add", "10.42.3.9/24", "dev", "eth0"),
                      ("route", "add", "default", "via", "10.42.3.1")):  # fmt: skip
            run("ip", "-n", self.pod, *words)

    def _connect(self, number: int, host: Host) -> None:
        host.ip("link", "add", "flannel.1", "address", f"02:42:00:00:00:0{number}", "type", "vxlan",
                "id", "1", "dstport", "8472", "local", host.address, "dev", "scbr-100",
                "nolearning")  # fmt: skip
        host.ip("link", "set", "flannel.1", "mtu", "1380", "up")
        host.ip("address", "add", f"10.42.{number}.0/32", "dev", "flannel.1")
        for other, peer in enumerate(self.hosts, 1):
            if peer is not host:
                mac = f"02:42:00:00:00:0{other}"
                host.bridge("fdb", "add", mac, "dev", "flannel.1", "dst", peer.address)
                host.ip("neighbour", "add", f"10.42.{other}.0", "lladdr", mac, "dev", "flannel.1")
                host.ip("route", "add", f"10.42.{other}.0/24", "via", f"10.42.{other}.0", "dev",
                        "flannel.1", "onlink")  # fmt: skip


def move(address: str, link: str, old: Host | None, new: Host) -> None:
    """What kube-vip does: the address alone in its network, and everybody is told."""
    if old is not None:
        old.ip("address", "del", f"{address}/32", "dev", link)
    new.ip("address", "add", f"{address}/32", "dev", link)
    announce(new, address, link)


def announce(host: Host, address: str, link: str) -> None:
    """Send a gratuitous ARP request (RFC 5227, section 3), as kube-vip does."""
    with inside(host.namespace):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with raw:
        raw.bind((link, 0x0806))
        mac = raw.getsockname()[4]
        ip = socket.inet_aton(address)
        arp = b"\x00\x01\x08\x00\x06\x04\x00\x01" + mac + ip + bytes(6) + ip
        raw.send(b"\xff" * 6 + mac + b"\x08\x06" + arp)


def dropped(host: Host) -> int:
    """How many packets from outside the firewall has dropped, by status: written every 5 s."""
    return int(host.status()["firewall"]["dropped"].get("outside", 0))


def test_through_the_vip_inside(lab: Lab) -> None:
    cluster = Cluster(lab)
    first, second, third = cluster.hosts
    move(VIP, "scbr-100", None, first)
    with answering(first.namespace, "0.0.0.0", 6443), answering(second.namespace, "0.0.0.0", 6443):
        for host in (second, third):
            assert ask(host.namespace, VIP, 6443) == host.address
        assert ask(first.namespace, VIP, 6443) is not None  # the holder itself
        assert ask(cluster.outside.namespace, VIP, 6443) is None
        assert ask(cluster.outside.namespace, NODES[0], 6443) == OUTSIDE  # the probe can fail
        move(VIP, "scbr-100", first, second)
        began = time.monotonic()
        until(lambda: ask(third.namespace, VIP, 6443, 0.3) == third.address, "it has moved", 2)
        assert time.monotonic() - began < 1.0
        assert ask(first.namespace, VIP, 6443) == first.address


def test_a_nodes_external_address_from_outside(lab: Lab) -> None:
    cluster = Cluster(lab)
    serve(cluster.hosts, "10.42.3.9:8080")
    with answering(cluster.pod, "10.42.3.9", 8080):
        for physical, node in zip(NODES, SEEN, strict=True):
            # The pod answers to the node that was asked: across the overlay, or on its own host.
            assert ask(cluster.outside.namespace, physical, NODE_PORT) == node
        # Overlay addresses stay unreachable, whatever listens there.
        for host in cluster.hosts:
            assert ask(cluster.outside.namespace, host.address, NODE_PORT, 0.7) is None
        until(lambda: dropped(cluster.hosts[0]) > 0, "counted", 20)
        # Inside, all of it works: by overlay address, by the service's address.
        assert ask(cluster.hosts[0].namespace, cluster.hosts[1].address, NODE_PORT) == SEEN[1]
        assert ask(cluster.hosts[0].namespace, CLUSTER_IP, 80) == SEEN[0]


def test_a_loadbalancers_address_on_the_physical_network(lab: Lab) -> None:
    cluster = Cluster(lab)
    first, second, _ = cluster.hosts
    serve(cluster.hosts, "10.42.3.9:8080", BALANCER)
    move(BALANCER, "eth0", None, first)
    with answering(cluster.pod, "10.42.3.9", 8080):
        assert ask(cluster.outside.namespace, BALANCER, 80) == SEEN[0]
        move(BALANCER, "eth0", first, second)
        until(lambda: ask(cluster.outside.namespace, BALANCER, 80, 0.3) == SEEN[1],
              "it has moved", 2)  # fmt: skip
        assert ask(cluster.outside.namespace, second.address, 80, 0.7) is None
    # The address is the physical side's: peers go on, and are not told of it as one of a host.
    assert all(host.up() for host in cluster.hosts)
    assert first.peer(second)["state"] == "up"
