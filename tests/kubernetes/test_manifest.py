"""kube-vip's manifest as we write it, judged by kube-vip itself: its source, the manifests that it
makes, and the program that runs with ours."""

from __future__ import annotations

import ipaddress
import json
import os
import re
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from overlay_runtime.address import IPAddress
from overlay_runtime.config.cluster import KubeVip
from overlay_runtime.kubernetes import kubevip
from tests.kubernetes.programs import Programs
from tests.kubernetes.services import Service
from tests.netns.lab import REPOSITORY, Host, Lab, until
from tests.yip.toolchain import GO

MODULE = "github.com/kube-vip/kube-vip"
LIBRARY = REPOSITORY / "image-templates/edge/usr/lib/edge-overlay"
VIP, VIP6 = ipaddress.ip_address("100.64.192.1"), ipaddress.ip_address("fd64:0:0:1::1")
_FLAGS = ("--interface", "scbr-100", "--address", str(VIP), "--controlplane", "--services", "--arp",
          "--leaderElection", "--serviceInterface", "eth0", "--prometheusHTTPServer",
          "127.0.0.1:2112")  # fmt: skip


def pod(vip: IPAddress = VIP) -> dict[str, Any]:
    text = kubevip.static_pod(
        KubeVip(), vip, kubeconfig=Path("/etc/kubernetes/admin.conf"), services_interface="eth0",
        templates=LIBRARY,
    )  # fmt: skip
    made: dict[str, Any] = yaml.safe_load(text)
    return made


def daemonset() -> dict[str, dict[str, Any]]:
    text = kubevip.daemonset(KubeVip(), VIP, services_interface="eth0", templates=LIBRARY)
    return {document["kind"]: document for document in yaml.safe_load_all(text)}


def environment(spec: dict[str, Any]) -> dict[str, Any]:
    return {item["name"]: item.get("value", item.get("valueFrom"))
            for item in spec["containers"][0]["env"]}  # fmt: skip


@pytest.fixture(scope="module")
def source() -> Path:
    """kube-vip's source, as `go.sum` has it."""
    done = subprocess.run(
        [GO, "mod", "download", "-json", MODULE], cwd=Path(__file__).parent / "programs",
        capture_output=True, text=True, check=True, timeout=300,
        env={**os.environ, "GOFLAGS": "-mod=readonly", "GOSUMDB": "off", "GOTOOLCHAIN": "local"},
    )  # fmt: skip
    return Path(json.loads(done.stdout)["Dir"])


def test_every_name_that_we_set_is_read_by_kube_vip(source: Path) -> None:
    text = (source / "pkg/kubevip/config_envvar.go").read_text()
    named = dict(re.findall(r'^\s*(\w+)\s*=\s*"([a-zA-Z0-9_]+)"', text, re.MULTILINE))
    reads = (source / "pkg/kubevip/config_environment.go").read_text()
    read = {named[name] for name in re.findall(r"os\.(?:Getenv|LookupEnv)\((\w+)\)", reads)
            if name in named}  # fmt: skip
    assert len(read) > 50
    ours = set(environment(pod()["spec"]))
    assert ours <= read, ours - read
    # The image that is written by default is of this version.
    assert KubeVip().image.partition(":")[2] == source.name.partition("@")[2]


def own(programs: Programs, *words: str) -> list[dict[str, Any]]:
    """Manifests as kube-vip makes them."""
    done = subprocess.run([programs / "kube-vip", "manifest", *words, *_FLAGS],
                          capture_output=True, text=True, check=True, timeout=30)  # fmt: skip
    return [document for document in yaml.safe_load_all(done.stdout) if document]


def compare(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Two pod specs: all the same but for what is known to differ, and why."""
    mine, its = environment(ours), environment(theirs)
    assert its.pop("dns_mode") == "first"  # the default, and for names only
    assert its.pop("vip_subnet") == "32"
    assert mine.pop("vip_subnet") == "32,128"  # addresses of services may be of either family
    assert mine.pop("vip_arpRate") == "500"  # theirs: 3000, so late a new holder may be announced
    # Theirs leaves no time for a holder to give up before another one can have it (lease/settings).
    assert (mine.pop("vip_leaseduration"), its.pop("vip_leaseduration")) == ("6", "5")
    assert mine == its
    for spec in (ours, theirs):
        (container,) = spec["containers"]
        for name in ("env", "image", "resources"):
            container.pop(name, None)
        for mount in container.get("volumeMounts", ()):
            mount.pop("readOnly", None)  # ours: it never writes there
        for volume in spec.get("volumes", ()):
            volume["hostPath"].pop("type", None)  # ours: waited for
        container["securityContext"]["capabilities"]["add"].sort()
        spec.pop("priorityClassName", None)  # ours: not evicted
    for terms in (ours, theirs):
        node = terms.get("affinity", {}).get("nodeAffinity", {})
        for term in node.pop("requiredDuringSchedulingIgnoredDuringExecution", {}).get(
            "nodeSelectorTerms", []
        ):
            node.setdefault("roles", set()).add(term["matchExpressions"][0]["key"])
        # Theirs also has the label of before Kubernetes 1.24.
        node.get("roles", set()).discard("node-role.kubernetes.io/master")
    assert ours == theirs


def test_the_static_pod_is_as_kube_vip_makes_it(programs: Programs) -> None:
    (theirs,) = own(programs, "pod")
    compare(pod()["spec"], theirs["spec"])


def test_the_daemonset_and_its_rights_are_as_kube_vip_makes_them(programs: Programs) -> None:
    (theirs,) = own(programs, "daemonset", "--inCluster", "--taint")
    ours = daemonset()
    compare(ours["DaemonSet"]["spec"]["template"]["spec"], theirs["spec"]["template"]["spec"])
    for document in own(programs, "rbac"):
        mine = ours[document["kind"]]
        assert document.get("rules") == mine.get("rules")
        assert document["metadata"]["name"] == mine["metadata"]["name"]
        assert document.get("roleRef") == mine.get("roleRef")
        assert document.get("subjects") == mine.get("subjects")


@contextmanager
def running(host: Host, programs: Programs, vip: IPAddress) -> Iterator[Service]:
    """kube-vip with our manifest's environment. Its election is etcd's: there is no API server, so
    neither are there services to watch."""
    told = {name: value for name, value in environment(pod(vip)["spec"]).items()
            if isinstance(value, str)}  # fmt: skip
    told |= {"vip_nodename": host.name, "svc_enable": "false", "vip_servicesinterface": ""}
    etcd = Service(
        host, "etcd",
        ["etcd", "--data-dir", host.directory / "etcd", "--listen-client-urls",
         "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
         "--listen-peer-urls", "http://127.0.0.1:2380"],
    )  # fmt: skip
    command: list[str | Path] = [programs / "kube-vip", "manager", "--leaderElectionType", "etcd",
                                 "--etcdEndpoints", "http://127.0.0.1:2379"]  # fmt: skip
    found = Service(host, "kube-vip", command, told)
    etcd.start()
    found.start()
    try:
        yield found
    finally:
        found.stop()
        etcd.stop()
        print(f"--- kube-vip\n{found.log()[-4000:]}")


def held(host: Host, vip: IPAddress) -> bool:
    return f" {vip}/{vip.max_prefixlen} " in host.ip("-o", "address", "show", "dev", "scbr-100")


@pytest.mark.parametrize(
    ("cidr", "vip"), [("100.64.192.0/23", VIP), ("fd64:0:0:1::/64", VIP6)], ids=["IPv4", "IPv6"]
)
def test_it_holds_the_vip_and_the_agent_leaves_it_there(
    lab: Lab, programs: Programs, cidr: str, vip: IPAddress
) -> None:
    one = lab.host("one", "10.9.0.1/24").start(f"cidr: {cidr}")
    until(one.up, "up")
    with running(one, programs, vip):
        until(lambda: held(one, vip), "the VIP is on scbr-100, alone in its network", 30)
        assert one.address != str(vip)
        one.stop(signal.SIGKILL)
        one.restart()
        until(one.up, "up again")
        assert held(one, vip)
        assert one.status()["problems"] == []
        # Whoever takes it away (networkd without our file, kube-vip#173): it is put back.
        one.ip("address", "del", f"{vip}/{vip.max_prefixlen}", "dev", "scbr-100")
        until(lambda: held(one, vip), "put back", 2)
        # The bridge comes back with its index, which kube-vip looked up when it started.
        one.ip("link", "del", "scbr-100")
        until(lambda: held(one, vip), "back on the new bridge", 10)
