"""A CNI's own tunnels across the overlay: real VXLAN devices on top of scbr-100, at full size."""

from __future__ import annotations

import json
import subprocess

import pytest

from overlay_runtime.kubernetes.cni import default_port
from tests.netns.lab import Host, Lab, until
from tests.netns.namespaces import run

CALICO, FLANNEL = default_port("calico"), default_port("flannel")
MTU = 1430
"""Of scbr-100 in the lab, whose NICs have 1500."""

PODS = ("10.244.0.1", "10.244.0.2")


def pair(lab: Lab, *lines: str) -> tuple[Host, Host]:
    """Two hosts, both with the firewall on."""
    one = lab.host("one", "10.9.0.1/24").start(*lines)
    two = lab.host("two", "10.9.0.2/24").start(*lines)
    lab.all_up()
    for host in (one, two):
        until(lambda host=host: host.status()["firewall"]["state"] == "on", "firewall on")  # type: ignore[misc]
        until(lambda host=host: host.status()["overlay"]["mtu"] == MTU, "MTU")  # type: ignore[misc]
    return one, two


def tunnel(one: Host, two: Host, port: int) -> None:
    """Give both a VXLAN as flannel makes it: on scbr-100, from overlay address to overlay address,
    learning nothing. Pods' addresses are on it."""
    for host, other, pod in ((one, two, PODS[0]), (two, one, PODS[1])):
        host.ip("link", "add", "flannel.1", "type", "vxlan", "id", "1", "dstport", str(port),
                "local", host.address, "dev", "scbr-100", "nolearning")  # fmt: skip
        host.ip("link", "set", "flannel.1", "mtu", str(MTU - 50), "up")
        host.bridge("fdb", "append", "00:00:00:00:00:00", "dev", "flannel.1", "dst", other.address)
        host.ip("address", "add", f"{pod}/24", "dev", "flannel.1")


def dropped(host: Host) -> int:
    """How many packets the firewall has dropped as yet, by the kernel's own counters."""
    said = json.loads(run("ip", "netns", "exec", host.namespace, "nft", "-j", "list", "counters"))
    return sum(one["counter"]["packets"] for one in said["nftables"] if "counter" in one)


def whole(host: Host, target: str, size: int) -> bool:
    """Whether a packet of `size` bytes gets there and back, with the don't-fragment bit."""
    return subprocess.run(
        ["ip", "netns", "exec", host.namespace, "ping", "-q", "-c", "3", "-i", "0.2", "-W", "2",
         "-M", "do", "-s", str(size - 28), target],
        capture_output=True, timeout=20,
    ).returncode == 0  # fmt: skip


@pytest.mark.parametrize("port", [CALICO, FLANNEL])
def test_a_cnis_vxlan_gets_through_the_firewall_at_full_size(lab: Lab, port: int) -> None:
    one, two = pair(lab)
    # A host that starts sends before the other one knows it as a peer.
    before = dropped(one), dropped(two)
    tunnel(one, two, port)
    assert whole(one, PODS[1], MTU - 50)
    assert whole(two, PODS[0], MTU - 50)
    assert not whole(one, PODS[1], MTU - 49)  # the probe can fail
    assert (dropped(one), dropped(two)) == before


def test_one_port_for_both_does_not_work_and_another_does(lab: Lab) -> None:
    """Why the overlay's port is neither's, and why `edge-build cni-values` gives CNIs another one
    where it was set so: what comes from an overlay address is from no peer's physical one."""
    one, two = pair(lab, f"port: {FLANNEL}")
    tunnel(one, two, FLANNEL)
    assert not whole(one, PODS[1], 100)
    for host in (one, two):
        host.ip("link", "del", "flannel.1")
    tunnel(one, two, 4797)
    assert whole(one, PODS[1], MTU - 50)
    assert whole(two, PODS[0], MTU - 50)


def test_pods_can_be_routed_without_another_tunnel(lab: Lab) -> None:
    """Calico's VXLANCrossSubnet: all hosts are neighbours on the overlay."""
    one, two = pair(lab)
    for host, other, number in ((one, two, 1), (two, one, 2)):
        pod = lab.namespace(f"pod{number}")
        host.sysctl("net/ipv4/ip_forward", "1")
        host.ip("link", "add", "cali0", "mtu", str(MTU), "type", "veth", "peer", "name", "eth0",
                "netns", pod)  # fmt: skip
        host.ip("address", "add", f"10.244.{number}.1/24", "dev", "cali0")
        host.ip("link", "set", "cali0", "up")
        host.ip("route", "add", f"10.244.{3 - number}.0/24", "via", other.address, "dev",
                "scbr-100")  # fmt: skip
        run("ip", "-n", pod, "link", "set", "eth0", "mtu", str(MTU), "up")
        run("ip", "-n", pod, "address", "add", f"10.244.{number}.9/24", "dev", "eth0")
        run("ip", "-n", pod, "route", "add", "default", "via", f"10.244.{number}.1")
    first = Host("pod1", one.namespace.replace("-one", "-pod1"), lab.directory / "pod1")
    assert whole(first, "10.244.2.9", MTU)


def test_which_address_of_the_bridge_a_cni_finds_first(lab: Lab) -> None:
    """The VIP's holder has two. Calico's `interface=` takes the first: with IPv4 that is the host's
    own. With IPv6 the kernel has the newest first, so Calico gets `kubernetes-internal-ip`."""
    one = lab.host("one", "10.9.0.1/24").start("cidr: 100.64.192.0/23")
    six = lab.host("six", "10.9.0.2/24").start("cidr: fd64:0:0:1::/64")
    for host, vip in ((one, "100.64.192.1/32"), (six, "fd64:0:0:1::1/128")):
        until(host.up, "up")
        host.ip("address", "add", vip, "dev", "scbr-100", "preferred_lft", "0")  # as kube-vip does
    assert addresses(one, "inet") == [one.address, "100.64.192.1"]
    assert addresses(six, "inet6") == ["fd64:0:0:1::1", six.address]


def addresses(host: Host, family: str) -> list[str]:
    """The addresses of scbr-100 but for link-local ones, in the kernel's order."""
    (link,) = json.loads(host.ip("-json", "address", "show", "dev", "scbr-100"))
    return [each["local"] for each in link["addr_info"]
            if each["family"] == family and each["scope"] == "global"]  # fmt: skip
