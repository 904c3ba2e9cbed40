"""RKE2's CNI: its chart is told to use the overlay, unless the user tells it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.unit.cluster.host import CIDR, K3S, VIP, Host

SERVER, AGENT = "rke2-server.service", "rke2-agent.service"
CONFIG = "etc/rancher/rke2/config.yaml"
MANIFESTS = "var/lib/rancher/rke2/server/manifests"
OURS = f"{MANIFESTS}/edge-overlay-canal.yaml"


def written(host: Host, chart: str = "rke2-canal") -> dict[str, Any]:
    path = OURS.replace("canal", chart.removeprefix("rke2-"))
    found: dict[str, Any] = yaml.safe_load(host.read(path))
    return found


def helm_chart_config(chart: str, values: str) -> str:
    body = "".join(f"    {line}\n" for line in values.splitlines())
    return (f"apiVersion: helm.cattle.io/v1\nkind: HelmChartConfig\nmetadata:\n  name: {chart}\n"
            f"  namespace: kube-system\nspec:\n  valuesContent: |-\n{body}")  # fmt: skip


@pytest.mark.parametrize(
    ("config", "chart"),
    [("", "rke2-canal"), ("cni: calico\n", "rke2-calico"), ("cni: flannel\n", "rke2-flannel"),
     ("cni: [multus, cilium]\n", "rke2-cilium")],
)  # fmt: skip
def test_the_chart_that_rke2_will_use_is_told(tmp_path: Path, config: str, chart: str) -> None:
    host = Host(tmp_path)
    host.unit(SERVER)
    host.write(CONFIG, config)
    host.apply()
    assert written(host, chart)["metadata"]["name"] == chart
    assert host.problems() == []
    if not config:
        values = yaml.safe_load(written(host)["spec"]["valuesContent"])
        assert values["flannel"]["iface"] == "scbr-100"
        assert values["calico"]["vethuMTU"] == 1380


def test_all_servers_write_the_same(tmp_path: Path) -> None:
    """It is an object of the cluster: two that differ would overwrite each other for ever."""
    texts = set()
    for number, own in enumerate(("100.64.192.5", "100.64.192.6")):
        host = Host(tmp_path / str(number))
        host.up(own, overlay={"interface": "scbr-100", "cidr": CIDR, "address": own, "vip": VIP,
                              "mtu": 1430 - 80 * number, "vni": 100, "port": 4797})  # fmt: skip
        host.unit(SERVER)
        host.apply()
        texts.add(host.read(f"{MANIFESTS}/edge-overlay-canal.yaml"))
    assert len(texts) == 1


@pytest.mark.parametrize(("unit", "config"), [(AGENT, ""), (K3S, ""), (SERVER, "cni: none\n")])
def test_nothing_is_written_elsewhere(tmp_path: Path, unit: str, config: str) -> None:
    host = Host(tmp_path)
    host.unit(unit)
    host.write(CONFIG, config)
    host.apply()
    assert list((tmp_path / MANIFESTS).glob("edge-overlay-c[ai]*")) == []


def test_the_users_own_is_left_and_checked(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(SERVER)
    host.write(
        f"{MANIFESTS}/canal.yaml", helm_chart_config("rke2-canal", "flannel:\n  iface: scbr-100\n")
    )
    host.apply()
    assert not list((tmp_path / MANIFESTS).glob(OURS))
    assert host.problems() == []
    host.write(
        f"{MANIFESTS}/canal.yaml", helm_chart_config("rke2-canal", "flannel:\n  iface: eth0\n")
    )
    host.apply()
    (problem,) = host.problems()
    assert "/canal.yaml: rke2-canal is not told of scbr-100" in problem
    assert "cni-values canal --form rke2" in problem


def test_another_charts_and_odd_files_do_not_matter(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(SERVER)
    host.write(f"{MANIFESTS}/cilium.yaml", helm_chart_config("rke2-cilium", "devices: [a]\n"))
    host.write(f"{MANIFESTS}/a.yaml", "{{ not: yaml")
    host.write(f"{MANIFESTS}/b.yaml", "kind: HelmChartConfig\nmetadata: [1]\n")
    host.write(f"{MANIFESTS}/c.yaml", helm_chart_config("rke2-coredns", "]["))
    host.apply()
    assert written(host)["metadata"]["name"] == "rke2-canal"


def test_the_port_and_mtu_of_user_data_count(tmp_path: Path) -> None:
    host = Host(tmp_path)
    text = host.read("run/edge-overlay/user-data") + "  port: 8472\n  mtu: 1300\n"
    host.write("run/edge-overlay/user-data", text)
    host.unit(SERVER)
    host.apply()
    flannel = yaml.safe_load(written(host)["spec"]["valuesContent"])["flannel"]
    assert (flannel["backendPort"], flannel["mtu"]) == (4797, 1300)
