"""Three Edge hosts as containers on one Docker network.

Docker disables IPv6 on the NICs of its networks, link-local addresses too: this is where the
fallback to IPv4 runs on a whole host.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import permutations
from typing import Any

import docker
import pytest
from docker.models.networks import Network
from docker.types import IPAMConfig, IPAMPool

from tests.oci.conftest import OciImage
from tests.oci.host import Host, host
from tests.site import Site
from tests.vm.harness.waiting import wait_until

pytestmark = [pytest.mark.oci, pytest.mark.timeout(300, func_only=True)]

SUBNET = "10.93.0.0/24"
MOVED_TO = "10.93.0.177"
_LIMIT_S = 60


@dataclass(frozen=True)
class Cluster:
    """The hosts and the network that they are on."""

    hosts: tuple[Host, ...]
    network: Network

    def wait(self, what: str, probe: Callable[[], Any]) -> Any:
        """Wait for a condition of the cluster; a failure shows what each host says."""

        def evidence() -> str:
            return "\n".join(each.evidence() for each in self.hosts)

        return wait_until(what, probe, _LIMIT_S, evidence=evidence)

    def all_know_all(self) -> bool:
        """Whether each host is up and shows every other at its present physical address."""
        seen = {each.name: each.overlay() for each in self.hosts}
        if any(status.get("state") != "up" for status in seen.values()):
            return False
        return all(
            _shows(seen[me.name], seen[other.name], str(other.physical()))
            for me, other in permutations(self.hosts, 2)
        )


def _shows(mine: dict[str, Any], its: dict[str, Any], physical: str) -> bool:
    peers = [p for p in mine["peers"] if p["id"] == its["host"]["id"] and p["state"] == "up"]
    return any(
        p["address"] == its["overlay"]["address"] and physical in p["physical"] for p in peers
    )


@pytest.fixture(scope="module")
def cluster(daemon: docker.DockerClient, oci_image: OciImage) -> Iterator[Cluster]:
    """Three containers of the image just built."""
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet=SUBNET)])
    name = f"edge-test-{os.getpid()}"
    network = daemon.networks.create(name, driver="bridge", ipam=pool)
    try:
        with ExitStack() as stack:
            hosts = [
                stack.enter_context(host(f"{name}-{n}", oci_image.tag, network)) for n in (1, 2, 3)
            ]
            yield Cluster(tuple(hosts), network)
    finally:
        network.remove()


def test_systemd_comes_up_whole(cluster: Cluster) -> None:
    for each in cluster.hosts:
        state = each.try_run("systemctl is-system-running")[1].strip()
        failed = each.try_run("systemctl --failed --no-legend --plain")[1]
        assert state == "running", f"{each.name}: {state}\n{failed}{each.evidence()}"
        assert each.run("cat /proc/1/comm").strip() == "systemd"


def test_each_has_an_address_of_its_own(cluster: Cluster, site: Site) -> None:
    cluster.wait("all three to show each other", cluster.all_know_all)
    addresses = [each.overlay()["overlay"]["address"] for each in cluster.hosts]
    assert len(set(addresses)) == 3, addresses
    for each, address in zip(cluster.hosts, addresses, strict=True):
        assert site.usable(address), address
        assert f" {address}/24 " in each.run("ip -o -4 address show dev scbr-100")
        assert address in json.dumps(json.loads(each.run("cat /var/lib/edge-overlay/state.json")))


def test_all_reach_all_over_ipv4(cluster: Cluster) -> None:
    for me, other in permutations(cluster.hosts, 2):
        address = other.overlay()["overlay"]["address"]
        me.run(f"ping -q -c 3 -i 0.2 -W 2 -I scbr-100 {address}")
    for each in cluster.hosts:
        transports = {peer["transport"] for peer in each.overlay()["peers"]}
        assert transports == {"ipv4"}, "Docker gives no IPv6: where does it come from?"


def test_a_host_that_moves_keeps_its_address(cluster: Cluster) -> None:
    """Its NIC goes and comes back as another one with another address."""
    moving, *others = cluster.hosts
    before = moving.overlay()["overlay"]["address"]
    assert str(moving.physical()) != MOVED_TO
    cluster.network.disconnect(moving.container)
    cluster.network.connect(moving.container, ipv4_address=MOVED_TO)
    cluster.wait("all three to show each other again", cluster.all_know_all)
    assert moving.overlay()["overlay"]["address"] == before
    for other in others:
        other.run(f"ping -q -c 3 -i 0.2 -W 2 -I scbr-100 {before}")


def test_a_killed_host_comes_back_with_its_address(cluster: Cluster) -> None:
    killed = cluster.hosts[-1]
    before = killed.overlay()["overlay"]["address"]
    killed.container.kill()
    killed.container.start()
    cluster.wait("all three to show each other after the kill", cluster.all_know_all)
    assert killed.overlay()["overlay"]["address"] == before
    cluster.hosts[0].run(f"ping -q -c 3 -i 0.2 -W 2 -I scbr-100 {before}")


def test_networkd_and_a_killed_agent_cost_no_packet(cluster: Cluster) -> None:
    """Restarted, stopped, reloaded: networkd leaves the overlay's links alone."""
    me, other, _ = cluster.hosts
    address = other.overlay()["overlay"]["address"]
    before = me.run("systemctl show -p MainPID --value edge-overlay").strip()
    said = me.run(
        f"ping -q -i 0.01 -c 600 -W 2 -I scbr-100 {address} > /tmp/ping & "
        "sleep 0.5; systemctl restart systemd-networkd; sleep 0.7; networkctl reload; "
        "sleep 0.7; systemctl stop systemd-networkd.socket systemd-networkd; sleep 0.7; "
        "systemctl kill -s KILL edge-overlay; sleep 1.5; systemctl start systemd-networkd; "
        "wait; cat /tmp/ping"
    )
    assert "600 packets transmitted, 600 received" in said, said
    # By its process: until the new agent writes its status, that of the killed one is there.
    cluster.wait("another agent", lambda: str(me.overlay()["pid"]) != before)
    cluster.wait("the agent to be back", cluster.all_know_all)
    assert me.run("systemctl show -p MainPID --value edge-overlay").strip() != before
    assert me.try_run("systemctl is-system-running")[1].strip() == "running"


def test_the_firewall_is_on(cluster: Cluster) -> None:
    cluster.wait("the firewalls", lambda: all(
        each.overlay()["firewall"]["state"] == "on" for each in cluster.hosts))  # fmt: skip
    for each in cluster.hosts:
        assert each.overlay()["problems"] == []
        rules = each.run("nft list set inet edge_overlay peers4")
        for other in cluster.hosts:
            assert (str(other.physical()) in rules) == (other is not each)


def test_the_table_shows_everybody(cluster: Cluster) -> None:
    for each in cluster.hosts:
        table = each.run("edge-overlay status")
        assert len(each.overlay()["peers"]) == 2, f"somebody is there twice:\n{table}"
        lines = [set(line.split()) for line in table.splitlines()]
        for one in cluster.hosts:
            seen = one.overlay()
            shown = {seen["host"]["name"], seen["overlay"]["address"], str(one.physical())}
            assert sum(shown <= line for line in lines) == 1, f"{shown} is not in\n{table}"


def test_the_secret_is_for_root_only(cluster: Cluster) -> None:
    mode = cluster.hosts[0].run("stat -c %a:%U /usr/lib/edge-overlay/user-data").strip()
    assert mode == "600:root"
