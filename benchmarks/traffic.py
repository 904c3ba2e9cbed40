"""What the overlay costs the traffic on it: against a VXLAN made by hand on the same path, and
when the cluster's virtual address moves as kube-vip moves it."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from benchmarks.figures import spread, table
from benchmarks.lab import Host, Lab, LabError, ip
from overlay_runtime.dad.frames import announcement
from tests.netns.namespaces import inside, udp_socket

_SECONDS, _ROUND_TRIPS = 2, 3000
_HAND_MADE = {"by hand": "10.99.0", "by hand, in a bridge": "10.98.0"}
"""Way → first bytes of the addresses on it."""

_PORT = 7300
_VIP = "100.64.192.1"


def against_hand_made(lab: Lab, runs: int, say: Callable[[str], None]) -> str:
    """Throughput and round trips, in turn on both, by transport."""
    rows = []
    for ipv6 in (True, False):
        with _pair(lab, ipv6=ipv6) as (one, two):
            _make_by_hand(one, two, ipv6=ipv6)
            ways = {"overlay": (one.overlay, two.overlay)}
            ways |= {way: (f"{start}.1", f"{start}.2") for way, start in _HAND_MADE.items()}
            rates: dict[str, list[float]] = {way: [] for way in ways}
            trips: dict[str, list[float]] = {way: [] for way in ways}
            for run in range(runs):
                order = list(ways) if run % 2 else list(reversed(ways))
                for way in order:
                    source, target = ways[way]
                    rates[way].append(_throughput(one, two, target))
                    trips[way].append(_round_trip(one, two, source, target))
            name = "IPv6 link-local" if ipv6 else "IPv4"
            for what, found, digits in (("Gbit/s", rates, 2), ("round trip, µs", trips, 1)):
                ratios = [_ratio(what, found["overlay"], found[way]) for way in _HAND_MADE]
                columns = [spread(found[way], digits) for way in ways]
                columns += [spread(ratio, 3) for ratio in ratios]
                rows.append([f"{name}: {what}", str(runs), *columns])
                say(f"{name} {what}: {[round(statistics.median(ratio), 3) for ratio in ratios]}")
    head = ["", "N", "overlay", *_HAND_MADE, *(f"ratio to {way}" for way in _HAND_MADE)]
    return table(head, rows)


def _ratio(what: str, ours: list[float], others: list[float]) -> list[float]:
    """Return how good ours is, run by run; 1 is as good."""
    pairs = zip(ours, others, strict=True)
    return [a / b if what == "Gbit/s" else b / a for a, b in pairs]


def vip_moves(lab: Lab, runs: int, say: Callable[[str], None]) -> str:
    """How long until a third host's packets reach the new holder of the VIP."""
    hosts = [lab.host(number, ipv6=True) for number in (1, 2, 3)]
    for number, host in enumerate(hosts, 1):
        host.plug(f"10.1.7.{number}")
        host.start_agent()
    for host in hosts:
        host.wait_for("up")
    for host in hosts:
        for other in hosts:
            if other is not host:
                host.wait_for_peer(other.overlay, "ipv6-link-local")
    took = []
    ip(f"addr add {_VIP}/32 dev scbr-100\n", hosts[0].namespace)
    for run in range(runs):
        took.append(_move(hosts[run % 2], hosts[1 - run % 2], hosts[2]) * 1000)
        say(f"VIP: {took[-1]:.1f} ms")
    for host in hosts:
        lab.remove(host)
    return table(["the VIP moves by gratuitous ARP", "N", "ms"],
                 [["from before `ip addr add` and the announcement to the first packet", str(runs),
                   spread(took)]])  # fmt: skip


@contextmanager
def _pair(lab: Lab, *, ipv6: bool) -> Iterator[tuple[Host, Host]]:
    one, two = (lab.host(number, ipv6=ipv6) for number in (1, 2))
    for number, host in enumerate((one, two), 1):
        host.plug(f"10.1.7.{number}")
        host.start_agent()
    for host in (one, two):
        host.wait_for("up")
    transport = "ipv6-link-local" if ipv6 else "ipv4"
    for host, other in ((one, two), (two, one)):
        host.wait_for_peer(other.overlay, transport)
    time.sleep(2)  # the burst of beacons is over
    yield one, two
    lab.remove(one)
    lab.remove(two)


def _make_by_hand(one: Host, two: Host, *, ipv6: bool) -> None:
    """A VXLAN as its manual page shows it, between the same two NICs, with the same MTU."""
    ends = [_link_local(host) if ipv6 else f"10.1.7.{n}" for n, host in enumerate((one, two), 1)]
    for number, host in enumerate((one, two)):
        own, other = ends[number], ends[1 - number]
        mtu = host.status()["overlay"]["mtu"]
        device = f"dstport {{}} local {own} remote {other} dev eth0"
        ip(f"link add hand type vxlan id 200 {device.format(4999)}\n"
           f"link set hand mtu {mtu} up\n"
           f"addr add {_HAND_MADE['by hand']}.{number + 1}/24 dev hand\n"
           "link add handbr type bridge\n"
           f"link add handvx type vxlan id 201 {device.format(4998)}\n"
           f"link set handvx mtu {mtu} master handbr up\nlink set handbr mtu {mtu} up\n"
           f"addr add {_HAND_MADE['by hand, in a bridge']}.{number + 1}/24 dev handbr\n",
           host.namespace)  # fmt: skip


def _link_local(host: Host) -> str:
    for nic in host.status()["underlay"]:
        for address in nic["addresses"]:
            if address.startswith("fe80"):
                return str(address)
    raise LabError("no link-local address")


def _throughput(one: Host, two: Host, target: str) -> float:
    """Return Gbit/s of one TCP stream."""
    server = subprocess.Popen(two.words("iperf3", "--server", "--one-off", "--bind", target),
                              stdout=subprocess.DEVNULL)  # fmt: skip
    time.sleep(0.2)
    words = one.words("iperf3", "--client", target, "--json", "--time", str(_SECONDS))
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    server.wait(10)
    if done.returncode:
        raise LabError(f"iperf3: {done.stdout[-300:]}")
    return float(json.loads(done.stdout)["end"]["sum_received"]["bits_per_second"]) / 1e9


def _round_trip(one: Host, two: Host, source: str, target: str) -> float:
    """Return the median of round trips, in microseconds."""
    with (
        udp_socket(one.namespace, source, _PORT) as asker,
        udp_socket(two.namespace, target, _PORT) as server,
    ):
        asker.settimeout(1)
        server.settimeout(1)
        asker.connect((target, _PORT))
        server.connect((source, _PORT))
        found = []
        for _ in range(_ROUND_TRIPS):
            began = time.perf_counter()
            asker.send(b"?")
            server.send(server.recv(8))
            asker.recv(8)
            found.append(time.perf_counter() - began)
    return statistics.median(found) * 1e6


def _move(old: Host, new: Host, third: Host) -> float:
    """Move the VIP; return the seconds until packets of `third` come to its new place."""
    with inside(new.namespace):
        wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    wire.bind(("scbr-100", 0))
    mac = subprocess.run(["ip", "-n", new.namespace, "-o", "link", "show", "scbr-100"],
                         capture_output=True, text=True, check=True).stdout  # fmt: skip
    frame = announcement(ipaddress.ip_address(_VIP), mac.split("link/ether ")[1].split()[0])
    arrived = threading.Event()
    first = [0.0]
    stop = threading.Event()

    def listen() -> None:
        with udp_socket(new.namespace, "0.0.0.0", _PORT) as receiver:
            receiver.settimeout(0.05)
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    receiver.recv(8)
                    first[0] = time.monotonic()
                    arrived.set()
                    return

    def send() -> None:
        with udp_socket(third.namespace, "0.0.0.0", 0) as sender:
            while not stop.is_set():
                with contextlib.suppress(OSError):
                    sender.sendto(b"!", (_VIP, _PORT))
                time.sleep(0.0005)

    threads = [threading.Thread(target=listen), threading.Thread(target=send)]
    for thread in threads:
        thread.start()
    time.sleep(0.3)
    ip(f"addr del {_VIP}/32 dev scbr-100\n", old.namespace)
    began = time.monotonic()
    ip(f"addr add {_VIP}/32 dev scbr-100\n", new.namespace)
    wire.send(frame)
    arrived.wait(10)
    stop.set()
    for thread in threads:
        thread.join()
    wire.close()
    if not first[0]:
        raise LabError("the VIP is not reached at its new place")
    return first[0] - began
