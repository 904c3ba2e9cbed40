"""`examples/three-node-k3s` as its page says, with the stand-in for k3s of `test_kubernetes.py`."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest
import yaml
from docker.types import IPAMConfig, IPAMPool

from tests.oci.conftest import OciImage
from tests.oci.host import Host, host
from tests.oci.test_kubernetes import USER_DATA, heard, install, put, until
from tests.site import REPOSITORY

pytestmark = [pytest.mark.oci, pytest.mark.timeout(300, func_only=True)]

EXAMPLE = REPOSITORY / "examples" / "three-node-k3s"
VIP = "100.64.192.1"


def _user_data(name: str) -> str:
    """With secrets of its own, as the page's first step makes them."""
    text = Path(EXAMPLE / f"{name}.yaml").read_text()
    text = text.replace("change-me: openssl rand -hex 32", "a secret of this test, used nowhere")
    return text.replace("change-me-too: openssl rand -hex 32", "K10token")


@pytest.fixture(scope="module")
def hosts(daemon: docker.DockerClient, oci_image: OciImage) -> Iterator[dict[str, Host]]:
    name = f"edge-test-three-{os.getpid()}"
    pool = IPAMConfig(pool_configs=[IPAMPool(subnet="10.95.0.0/24")])
    network = daemon.networks.create(name, driver="bridge", ipam=pool)
    try:
        with ExitStack() as stack:
            made = {n: stack.enter_context(host(f"{name}-{n}", oci_image.tag, network))
                    for n in ("one", "two", "three")}  # fmt: skip
            for which, each in made.items():
                put(each, USER_DATA, _user_data(which), "600")
                # What cloud-init does of it at a first boot.
                [file] = yaml.safe_load(_user_data(which))["write_files"]
                put(each, file["path"], file["content"], file["permissions"])
                each.run("systemctl stop edge-overlay; rm -f /var/lib/edge-overlay/state*;"
                         "ip link delete scbr-100; systemctl restart edge-overlay-gather;"
                         "systemctl start edge-overlay")  # fmt: skip
            yield made
    finally:
        network.remove()


def test_it_goes_as_the_page_says(hosts: dict[str, Host]) -> None:
    for each in hosts.values():
        until(each, "the overlay with three hosts", lambda each=each: (
            each.overlay().get("state") == "up" and len(each.overlay()["peers"]) == 2
        ))  # fmt: skip
    own = {which: each.overlay()["overlay"]["address"] for which, each in hosts.items()}
    assert len(set(own.values())) == 3 and all(a.startswith("100.64.192.") for a in own.values())
    for which, each in hosts.items():
        install(each)
        said = each.run("edge-overlay kubernetes")
        assert said.startswith("Kubernetes: K3s, a control plane"), said
        assert "Nothing contradicts it." in said
        each.run("systemctl start k3s")
        expected: dict[str, object] = {
            "command": "server", "token": "K10token", "disable": ["servicelb"],
            "node-ip": own[which], "advertise-address": own[which], "flannel-iface": "scbr-100",
            "tls-san": [VIP, "edge.example.com"],
        }  # fmt: skip
        joins = {"server": f"https://{VIP}:6443"}
        assert heard(each) == expected | ({"cluster-init": True} if which == "one" else joins)
        assert each.run("edge-overlay doctor kubernetes").split(maxsplit=2)[2].startswith(
            "k3s is on the overlay"
        )  # fmt: skip
        pods = each.run("ls /var/lib/rancher/k3s/agent/pod-manifests").split()
        assert pods == ["edge-overlay-kube-vip.yaml"]
