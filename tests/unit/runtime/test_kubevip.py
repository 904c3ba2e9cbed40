"""kube-vip's manifest, and what is wrong about a user's own."""

from __future__ import annotations

import dataclasses
import ipaddress
from pathlib import Path
from typing import Any

import pytest
import yaml

from overlay_runtime.config.cluster import (
    DAEMONSET,
    K3S,
    KUBEADM,
    RKE2,
    STATIC_POD,
    KubeVip,
)
from overlay_runtime.kubernetes import kubevip

LIBRARY = Path(__file__).parents[3] / "image-templates/edge/usr/lib/edge-overlay"
VIP, VIP6 = ipaddress.ip_address("100.64.192.1"), ipaddress.ip_address("fd64::1")
ADMIN = Path("/etc/kubernetes/admin.conf")


def pod(settings: KubeVip | None = None, vip: Any = VIP, **more: Any) -> str:
    options: dict[str, Any] = {"kubeconfig": ADMIN, "services_interface": "eth0"} | more
    return kubevip.static_pod(settings or KubeVip(), vip, templates=LIBRARY, **options)


def daemonset(vip: Any = VIP) -> str:
    return kubevip.daemonset(KubeVip(), vip, services_interface=None, templates=LIBRARY)


def environment(spec: dict[str, Any]) -> dict[str, str]:
    return {item["name"]: item.get("value") for item in spec["containers"][0]["env"]}


def test_the_static_pod_puts_the_vip_on_the_overlay_and_services_on_the_nic() -> None:
    settings = dataclasses.replace(
        KubeVip(), lease_duration=30, renew_deadline=20, retry_period=4, image="registry/kv:v9"
    )
    made = yaml.safe_load(pod(settings, kubeconfig=Path("/etc/rancher/k3s/k3s.yaml")))
    found = environment(made["spec"])
    assert found["vip_interface"] == "scbr-100"
    assert (found["address"], found["vip_subnet"]) == ("100.64.192.1", "32,128")
    assert found["vip_servicesinterface"] == "eth0"
    timings = [found[f"vip_{name}"] for name in ("leaseduration", "renewdeadline", "retryperiod")]
    assert timings == ["30", "20", "4"]
    assert made["spec"]["containers"][0]["image"] == "registry/kv:v9"
    # Without the type kubelet would make a directory where k3s wants to write this file.
    (volume,) = made["spec"]["volumes"]
    assert volume["hostPath"] == {"path": "/etc/rancher/k3s/k3s.yaml", "type": "File"}
    assert made["spec"]["hostNetwork"] is True


def test_every_value_of_an_environment_is_text() -> None:
    for document in (*yaml.safe_load_all(daemonset()), yaml.safe_load(pod())):
        spec = document.get("spec", {})
        spec = spec.get("template", {}).get("spec", spec)
        for container in spec.get("containers", ()):
            values = [item["value"] for item in container["env"] if "value" in item]
            assert values and all(isinstance(value, str) for value in values)


def test_without_a_nic_kube_vip_looks_for_the_one_that_fits() -> None:
    found = environment(yaml.safe_load(pod(services_interface=None))["spec"])
    assert found["vip_servicesinterface"] == "auto"


def test_an_ipv6_vip_stands_alone_too() -> None:
    found = environment(yaml.safe_load(pod(vip=VIP6))["spec"])
    assert (found["address"], found["vip_subnet"]) == ("fd64::1", "32,128")
    assert kubevip.problems(pod(vip=VIP6), VIP6) == []


@pytest.mark.parametrize("text", ["e\"th'0", "a #b", "{x}", "$vip", "yes", "0x1f"])
def test_odd_values_stay_values(text: str) -> None:
    found = environment(yaml.safe_load(pod(services_interface=text))["spec"])
    assert found["vip_servicesinterface"] == text


def test_the_daemonset_has_its_rights_and_runs_on_control_planes() -> None:
    kinds = {document["kind"]: document for document in yaml.safe_load_all(daemonset())}
    assert set(kinds) == {"ServiceAccount", "ClusterRole", "ClusterRoleBinding", "DaemonSet"}
    spec = kinds["DaemonSet"]["spec"]["template"]["spec"]
    assert spec["serviceAccountName"] == kinds["ServiceAccount"]["metadata"]["name"]
    assert (
        kinds["ClusterRoleBinding"]["roleRef"]["name"] == kinds["ClusterRole"]["metadata"]["name"]
    )
    assert "node-role.kubernetes.io/control-plane" in str(spec["affinity"])
    assert "volumes" not in spec


def test_where_manifests_lie() -> None:
    kubeadm = Path("/etc/kubernetes/manifests/kube-vip.yaml")
    assert kubevip.manifest_path(KUBEADM, STATIC_POD) == kubeadm
    assert kubevip.manifest_path(KUBEADM, DAEMONSET) is None
    for name in (K3S, RKE2):
        agent = f"/var/lib/rancher/{name}/agent/pod-manifests/kube-vip.yaml"
        assert kubevip.manifest_path(name, STATIC_POD) == Path(agent)
        server = f"/var/lib/rancher/{name}/server/manifests/kube-vip.yaml"
        assert kubevip.manifest_path(name, DAEMONSET) == Path(server)


def test_which_kubeconfig() -> None:
    assert kubevip.kubeconfig_of(K3S) == Path("/etc/rancher/k3s/k3s.yaml")
    assert kubevip.kubeconfig_of(RKE2) == Path("/etc/rancher/rke2/rke2.yaml")
    assert kubevip.kubeconfig_of(KUBEADM) == ADMIN


def test_nothing_is_wrong_about_our_own() -> None:
    assert kubevip.problems(pod(), VIP) == []
    assert kubevip.problems(daemonset(), VIP) == []


def own(*changes: tuple[str, str | None], kind: str = "Pod", image: str = "kube-vip:v1.0.0") -> str:
    """A user's manifest; (name, None) leaves a setting out."""
    settings: dict[str, str | None] = {
                "vip_arp": "true", "cp_enable": "true", "address": "100.64.192.1",
                "vip_interface": "scbr-100", "svc_enable": "true",
                "vip_servicesinterface": "eth0"}  # fmt: skip
    for name, value in changes:
        settings[name] = value
    lines = [f"    - name: {name}\n      value: {value if value.startswith('!') else repr(value)}"
             for name, value in settings.items() if value is not None]  # fmt: skip
    return "\n".join(
        [f"kind: {kind}", "spec:", "  containers:", "  - name: any", f"    image: ghcr.io/{image}",
         "    args: [manager]", "    env:", *lines]
    ).replace("!", "")  # fmt: skip


@pytest.mark.parametrize(
    ("change", "line", "words"),
    [
        (("vip_interface", "eth0"), 15, "`vip_interface` is 'eth0'"),
        (("vip_interface", None), 4, "`vip_interface` is missing"),
        (("address", "10.0.0.5"), 13, "the control plane's address is 10.0.0.5"),
        (("address", None), 4, "`address` is missing"),
        (("vip_servicesinterface", "scbr-100"), 19, "`vip_servicesinterface` is 'scbr-100'"),
        (("vip_servicesinterface", None), 15, "`vip_servicesinterface` is missing"),
        (("vip_subnet", "23"), 21, "prefix length is '23'"),
        (("vip_cidr", "/24"), 21, "prefix length is '24'"),
        (("vip_leaseduration", "3"), 21, "`vip_leaseduration` 3, `vip_renewdeadline` 3"),
        (("vip_renewdeadline", "1"), 21, "`vip_renewdeadline` 1"),
        (("vip_retryperiod", "5s"), 21, "`vip_retryperiod` is '5s'"),
        (("vip_leaseduration", "!5"), 21, "`vip_leaseduration` is no text"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(
    change: tuple[str, str | None], line: int, words: str
) -> None:
    (problem,) = kubevip.problems(own(change), VIP, "/etc/kubernetes/manifests/kube-vip.yaml")
    assert words in problem.found
    assert (problem.position.line, problem.remedy != "") == (line, True)
    assert problem.render().startswith("/etc/kubernetes/manifests/kube-vip.yaml:")


@pytest.mark.parametrize(
    "changes",
    [
        (),
        (("address", "api.shop.example"),),  # a name: nothing is known of it
        (("vip_subnet", "32"),),
        (("bgp_enable", "true"), ("vip_interface", "lo")),  # another mode, on purpose
        (("cp_enable", "false"), ("vip_interface", "eth0"), ("vip_servicesinterface", None)),
        (("svc_enable", None), ("vip_servicesinterface", None)),
        (("vip_servicesinterface", "auto"),),
        (("vip_leaseduration", "30"), ("vip_renewdeadline", "20"), ("vip_retryperiod", "4")),
    ],
)
def test_what_is_right_is_left_alone(changes: tuple[tuple[str, str | None], ...]) -> None:
    assert kubevip.problems(own(*changes), VIP) == []


def test_other_containers_are_none_of_our_business() -> None:
    for image in ("nginx:1", "kube-vip/kube-vip-cloud-provider:v0.0.12", "kube-vipper/x:1"):
        assert kubevip.problems(own(("vip_interface", "eth0"), image=image), VIP) == []


def test_what_comes_from_elsewhere_is_not_called_missing() -> None:
    text = own(("vip_interface", None), ("address", None), ("vip_servicesinterface", None))
    assert len(kubevip.problems(text, VIP)) == 2
    flags = text.replace("[manager]", "[manager, --interface, scbr-100]")
    assert kubevip.problems(flags, VIP) == []
    mapped = text.replace("    env:", "    envFrom: [{configMapRef: {name: kube-vip}}]\n    env:")
    assert kubevip.problems(mapped, VIP) == []


def test_a_password_is_never_shown() -> None:
    text = own(("bgp_peerpass", "!12345678"), ("bgp_enable", "true"))
    (problem,) = kubevip.problems(text, VIP)
    assert "bgp_peerpass" in problem.found and "1234" not in problem.render()


@pytest.mark.parametrize(
    "text", ["", "---\n", "a: [", "\x00", "kind: Pod\nspec: []\n", "kind: [1]\n", "[" * 5000,
             "kind: List\nitems: 5\n", "kind: Pod\nspec: &a\n  containers: [*a]\n"],
)  # fmt: skip
def test_whatever_lies_there_nothing_is_raised(text: str) -> None:
    kubevip.problems(text, VIP)


def test_aliases_in_a_circle_or_by_the_million_end_in_time() -> None:
    """YAML lets a list be its own item, and a short text be a very long one."""
    assert kubevip.problems("&a\nkind: List\nitems: [*a]\n", VIP) == []
    levels = ["- &x0 {kind: Pod, spec: {containers: [{image: kube-vip, args: [manager]}]}}"]
    levels += [f"- &x{n} {{kind: List, items: [{', '.join([f'*x{n - 1}'] * 20)}]}}"
               for n in range(1, 20)]  # fmt: skip
    assert kubevip.problems("kind: List\nitems:\n" + "\n".join(levels), VIP) == []
