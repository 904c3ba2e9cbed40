"""Values for CNIs: what the page and the projects' own charts call them, MTUs and ports."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.kubernetes import cni

LIBRARY = Path(__file__).parents[3] / "image-templates/edge/usr/lib/edge-overlay"
IPV6 = OverlayConfig(cidr=ipaddress.ip_network("fd64::/64"))
PODS = ipaddress.ip_network("10.244.0.0/16")
ALL = [(name, form) for name in cni.CNIS for form in cni.FORMS
       if name != "canal" or form == "rke2"]  # fmt: skip


def values(name: str, form: str, mtu: int | None = None, **more: Any) -> Any:
    text = cni.values(name, form, mtu, templates=LIBRARY, **more)
    made = yaml.safe_load(text)
    return yaml.safe_load(made["spec"]["valuesContent"]) if form == "rke2" else made


def paths(value: Any, before: str = "") -> Iterator[str]:
    """The names of all settings, with dots."""
    if isinstance(value, dict):
        for name, one in value.items():
            yield from paths(one, f"{before}.{name}" if before else name)
    elif isinstance(value, list) and value and isinstance(value[0], dict):
        for one in value:
            yield from paths(one, f"{before}[]")
    else:
        yield before


@dataclass(frozen=True)
class Published:
    """Names that a project publishes, and where they were read."""

    source: str
    names: frozenset[str]
    choices: dict[str, tuple[str, ...]]


def _published(source: str, names: str, **choices: tuple[str, ...]) -> Published:
    return Published(source, frozenset(names.split()), choices)


_INSTALLATION = """
    installation.calicoNetwork.bgp installation.calicoNetwork.mtu
    installation.calicoNetwork.ipPools[].cidr installation.calicoNetwork.ipPools[].encapsulation
    installation.calicoNetwork.ipPools[].natOutgoing
    installation.calicoNetwork.nodeAddressAutodetectionV4.kubernetes
    installation.calicoNetwork.nodeAddressAutodetectionV6.kubernetes"""
_CHOICES = {
    "kubernetes": ("NodeInternalIP",),
    "encapsulation": ("IPIPCrossSubnet", "IPIP", "VXLAN", "VXLANCrossSubnet", "None"),
    "bgp": ("Enabled", "Disabled"),
    "natOutgoing": ("Enabled", "Disabled"),
}
_CILIUM = "MTU devices forceDeviceDetection tunnelPort underlayProtocol"
PUBLISHED = {
    ("calico", "helm"): _published(
        "projectcalico/calico v3.32.1: charts/tigera-operator/values.yaml, templates/crs/, "
        "charts/crd.projectcalico.org.v1/templates/operator.tigera.io_installations.yaml, "
        "api/pkg/apis/projectcalico/v3/felixconfig.go",
        _INSTALLATION + " defaultFelixConfiguration.enabled "
        "defaultFelixConfiguration.mtuIfacePattern defaultFelixConfiguration.vxlanPort",
        **_CHOICES,
    ),
    ("calico", "rke2"): _published(
        "rancher/rke2-charts 0087a86 and 022d0ba: packages/rke2-calico/generated-changes (patch/"
        "values.yaml.patch, overlay/templates/felixconfig.yaml); Installation and "
        "FelixConfiguration as above",
        _INSTALLATION + " felixConfiguration.mtuIfacePattern felixConfiguration.vxlanPort",
        **_CHOICES,
    ),
    ("calico", "pack"): _published(
        "the page (manifests.calico.env.calicoNode: FELIX_MTUIFACEPATTERN and "
        "IP_AUTODETECTION_METHOD); the others: projectcalico/calico v3.32.1, "
        "felix/config/config_params.go (MTUIfacePattern, IpInIpMtu, VXLANMTU, VXLANMTUV6, "
        "WireguardMTU, WireguardMTUV6, VXLANPort: FELIX_ and the name in capitals), "
        "node/pkg/lifecycle/startup/startup.go",
        " ".join(f"manifests.calico.env.calicoNode.{name}" for name in (
            "FELIX_MTUIFACEPATTERN", "IP_AUTODETECTION_METHOD", "IP6_AUTODETECTION_METHOD",
            "FELIX_IPINIPMTU", "FELIX_VXLANMTU", "FELIX_VXLANMTUV6", "FELIX_WIREGUARDMTU",
            "FELIX_WIREGUARDMTUV6", "FELIX_VXLANPORT",
        )),
    ),
    ("flannel", "helm"): _published(
        "flannel-io/flannel v0.28.9: chart/kube-flannel/values.yaml, templates/config.yaml",
        "flannel.args flannel.mtu flannel.backendPort",
    ),
    ("flannel", "pack"): _published(
        "the page (charts.flannel.args), and the chart's values as above",
        "charts.flannel.args charts.flannel.mtu charts.flannel.backendPort",
    ),
    ("flannel", "rke2"): _published(
        "rancher/rke2-charts 0161342: packages/rke2-flannel/generated-changes/patch/"
        "values.yaml.patch",
        "flannel.args flannel.mtu flannel.backendPort",
    ),
    ("cilium", "helm"): _published(
        "cilium/cilium 0079af0: install/kubernetes/cilium/values.schema.json; `devices`, which has "
        "no default and so is not in it: Documentation/security/host-firewall.rst",
        _CILIUM,
    ),
    ("cilium", "pack"): _published(
        "the page (nothing is needed), and the chart's values as above",
        " ".join(f"charts.cilium.{name}" for name in _CILIUM.split()),
    ),
    ("cilium", "rke2"): _published("as helm: rke2-cilium patches Cilium's chart", _CILIUM),
    ("canal", "rke2"): _published(
        "rancher/rke2-charts 0087a86: packages/rke2-canal/charts/values.yaml",
        "flannel.iface flannel.mtu flannel.backendPort calico.vethuMTU "
        "calico.ipAutoDetectionMethod calico.ip6AutoDetectionMethod",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("name", "form"), ALL)
def test_every_name_is_published(name: str, form: str) -> None:
    known = PUBLISHED[(name, form)]
    variants: list[tuple[int | None, dict[str, Any]]] = [
        (None, {}), (1400, {"pods": PODS}), (1400, {"overlay": IPV6}),
        (1400, {"overlay": OverlayConfig(port=4788)}),
        (None, {"overlay": OverlayConfig(port=8472)}),
    ]  # fmt: skip
    used: set[str] = set()
    for mtu, more in variants:
        made = values(name, form, mtu, **more)
        used |= set(paths(made))
        for setting in _scalars(made):
            choices = known.choices.get(setting[0])
            assert choices is None or setting[1] in choices
    assert used <= known.names, known.source
    assert used == known.names  # the table has nothing that is not used


def _scalars(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, one in value.items():
            if isinstance(one, dict | list):
                yield from _scalars(one)
            else:
                yield name, one
    elif isinstance(value, list):
        for one in value:
            yield from _scalars(one)


def test_the_packs_are_as_the_page_has_them() -> None:
    node = values("calico", "pack")["manifests"]["calico"]["env"]["calicoNode"]
    assert node == {"FELIX_MTUIFACEPATTERN": "scbr-100",
                    "IP_AUTODETECTION_METHOD": "interface=scbr-100"}  # fmt: skip
    assert values("flannel", "pack") == {"charts": {"flannel": {"args": [
        "--ip-masq", "--kube-subnet-mgr", "--iface=scbr-100"]}}}  # fmt: skip


def test_mtus_are_the_overlays_less_what_is_added() -> None:
    node = values("calico", "pack", 1430)["manifests"]["calico"]["env"]["calicoNode"]
    assert node["FELIX_VXLANMTU"] == "1380"  # text: it is an environment
    assert (node["FELIX_IPINIPMTU"], node["FELIX_WIREGUARDMTU"]) == ("1410", "1370")
    assert values("calico", "helm", 1430)["installation"]["calicoNetwork"]["mtu"] == 1370
    assert values("flannel", "helm", 1430)["flannel"]["mtu"] == 1430  # takes 50 by itself
    assert values("cilium", "helm", 1430)["MTU"] == 1430  # takes by itself
    canal = values("canal", "rke2", 1430)
    assert (canal["flannel"]["mtu"], canal["calico"]["vethuMTU"]) == (1430, 1380)


def test_over_ipv6_vxlan_adds_20_bytes_more() -> None:
    node = values("calico", "pack", 1430, overlay=IPV6)["manifests"]["calico"]["env"]["calicoNode"]
    assert (node["FELIX_VXLANMTUV6"], node["FELIX_WIREGUARDMTUV6"]) == ("1360", "1350")
    assert (
        values("calico", "helm", 1430, overlay=IPV6)["installation"]["calicoNetwork"]["mtu"] == 1350
    )
    # flannel takes 50 off there too, and is told even if nobody said an MTU.
    assert values("flannel", "helm", overlay=IPV6)["flannel"]["mtu"] == cni.USUAL_MTU - 20


def test_mtu_of_user_data_counts_and_without_one_cnis_find_out() -> None:
    told = OverlayConfig(mtu=1300)
    assert values("cilium", "helm", overlay=told)["MTU"] == 1300
    assert values("cilium", "helm", 1290, overlay=told)["MTU"] == 1290
    assert "mtu" not in values("flannel", "helm")["flannel"]
    assert "MTU" not in values("cilium", "helm")
    # RKE2's canal has 1450 as its default, which fits nowhere.
    assert values("canal", "rke2")["calico"]["vethuMTU"] == cni.USUAL_MTU - 50


@pytest.mark.parametrize(
    ("name", "form", "port", "where"),
    [
        ("calico", "pack", 4789, "FELIX_VXLANPORT"), ("calico", "helm", 4788, "vxlanPort"),
        ("flannel", "pack", 8472, "backendPort"), ("flannel", "helm", 8471, "backendPort"),
        ("cilium", "helm", 8472, "tunnelPort"), ("canal", "rke2", 8472, "backendPort"),
        ("flannel", "rke2", 4789, "backendPort"),
    ],
)  # fmt: skip
def test_a_port_that_is_the_overlays_is_left(name: str, form: str, port: int, where: str) -> None:
    """Its packets', or its beacons', which is the next one."""
    taken = dict(_scalars(values(name, form, overlay=OverlayConfig(port=port))))
    assert int(taken[where]) not in (port, port + 1, 4789, 8472)
    assert where not in dict(_scalars(values(name, form)))


def test_the_overlays_default_port_is_no_cnis() -> None:
    for name, form in ALL:
        assert not cni.clash(name, OverlayConfig.port, form)


@pytest.mark.parametrize("form", ["pack", "helm", "k3s"])
def test_what_there_is_not_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="canal"):
        cni.values("canal", form, templates=LIBRARY)
