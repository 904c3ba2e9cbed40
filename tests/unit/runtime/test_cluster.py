"""The block `overlay.kubernetes`: what it says when it is right, and where it is wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay_runtime.config.cluster import Cluster, KubeVip
from overlay_runtime.config.schema import parse_user_data, problems, settings
from overlay_runtime.errors import ConfigError

START = "#cloud-config\noverlay:\n  secret: sixteen characters\n  kubernetes:\n"


def _read(lines: str) -> Cluster:
    config = parse_user_data(START + lines, "f").overlay
    assert config is not None
    return config.kubernetes


def test_without_the_block_all_is_detected() -> None:
    config = parse_user_data("#cloud-config\noverlay:\n  insecure: true\n", "f").overlay
    assert config is not None
    assert config.kubernetes == Cluster()
    assert (config.kubernetes.distribution, config.kubernetes.role) == ("auto", None)
    assert config.kubernetes.kube_vip == KubeVip(None, "static-pod", None, None, 3, 1)


def test_every_key() -> None:
    cluster = _read(
        "    distribution: rke2\n    role: server\n    cni: calico\n"
        "    external-names: [Edge.example.com, 203.0.113.7, '2001:DB8::1', edge.example.com]\n"
        "    kube-vip:\n      enabled: true\n      mode: daemonset\n"
        "      services-interface: eth0\n"
        "      lease-duration: 30\n      renew-deadline: 20\n      retry-period: 4\n"
        "      fast-failover: false\n"
        "      image: registry.local:5000/kube-vip/kube-vip:v0.9.2\n"
    )
    assert cluster == Cluster(
        "rke2",
        "server",
        ("edge.example.com", "203.0.113.7", "2001:db8::1"),
        "calico",
        KubeVip(True, "daemonset", "eth0", 30, 20, 4, False,
                "registry.local:5000/kube-vip/kube-vip:v0.9.2"),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lines", "place", "words"),
    [
        ("    distribution: minikube\n", "f:5:19", "one of auto, k3s, rke2, kubeadm, none"),
        ("    distribution: [k3s]\n", "f:5:19", "a list"),
        ("    role: master\n", "f:5:11", "one of init, server, agent"),
        ("    role: 1\n", "f:5:11", "the number 1"),
        ("    cni: weave\n", "f:5:10", "calico, flannel, cilium"),
        ("    distributon: k3s\n", "f:5:5", "did you mean `distribution`?"),
        ("    external-names: edge\n", "f:5:21", "write a list"),
        ("    external-names: ['https://edge:6443']\n", "f:5:22", "no scheme and no port"),
        ("    external-names: [300.0.0.1]\n", "f:5:22", "neither an IP address nor a host name"),
        ("    external-names: [0.0.0.0]\n", "f:5:22", "by which nothing is reached"),
        ("    external-names: [5]\n", "f:5:22", "put each name in quotes"),
        ("    kube-vip: yes\n", "f:5:15", "write keys below it"),
        ("    kube-vip:\n", "f:5:14", "it is empty"),
        ("    kube-vip: {interface: eth0}\n", "f:5:16", "did you mean `services-interface`?"),
        ("    kube-vip: {enabled: 'true'}\n", "f:5:25", "without quotes"),
        ("    kube-vip: {mode: pod}\n", "f:5:22", "static-pod or daemonset"),
        ("    kube-vip: {services-interface: scbr-100}\n", "f:5:36", "a link of the overlay"),
        ("    kube-vip: {services-interface: 'en*'}\n", "f:5:36", "name one NIC"),
        ('    kube-vip: {services-interface: "e\\x7f"}\n', "f:5:36", "can't be shown"),
        ("    kube-vip: {lease-duration: 1}\n", "f:5:32", "the number 1"),
        ("    kube-vip: {lease-duration: 3}\n", "f:5:32", "lease-duration > renew-deadline"),
        ("    kube-vip: {retry-period: 5, renew-deadline: 6, lease-duration: 9}\n", "f:5:68", "1."),
        ("    kube-vip: {image: kube-vip}\n", "f:5:23", "tag or digest"),
        ("    kube-vip: {image: 'a:b c'}\n", "f:5:23", "tag or digest"),
        ("    role: agent\n    kube-vip: {enabled: true}\n", "f:6:5", "`role: agent`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(lines: str, place: str, words: str) -> None:
    found = problems(START + lines, "f")
    assert len(found) == 1, [problem.render() for problem in found]
    assert found[0].render().startswith(place + ": "), found[0].render()
    assert words in found[0].render()


def test_an_empty_block_is_wrong_and_its_name_is_said() -> None:
    (found,) = problems(START, "f")
    assert found.render().startswith("f:4:14: `kubernetes`: it is empty")


def test_faults_inside_and_outside_are_all_told() -> None:
    found = problems(START + "    role: x\n    cni: y\n  vni: 0\n", "f")
    assert [str(problem.position) for problem in found] == ["f:5:11", "f:6:10", "f:7:8"]
    assert found[0].found.startswith("`kubernetes.role`: ")


def test_the_keys_are_in_the_documents_with_dots() -> None:
    names = [setting.name for setting in settings()]
    assert "kubernetes.distribution" in names
    assert "kubernetes.kube-vip.lease-duration" in names
    assert "kubernetes" not in names


@given(st.text(alphabet="abk:[]{}&*!'\" -\n01.#", max_size=40))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    for inside in ("    ", "    kube-vip: ", "    external-names: ", "    role: "):
        try:
            _read(inside + text)
        except ConfigError as error:
            assert error.problems


@given(st.tuples(*[st.integers(1, 40)] * 3))
def test_timings_that_are_accepted_are_those_that_client_go_takes(times: tuple[int, ...]) -> None:
    lease, renew, retry = times
    timings = f"lease-duration: {lease}, renew-deadline: {renew}, retry-period: {retry}"
    text = f"    kube-vip: {{{timings}}}\n"
    right = lease > renew > 1.2 * retry and renew >= 2
    assert (problems(START + text, "f") == []) is right
