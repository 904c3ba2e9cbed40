"""k3s and RKE2: what is written, on whom, and what the user's own words do to it."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from overlay_runtime.config.cluster import Cluster
from overlay_runtime.kubernetes.rancher_config import said_by_user
from tests.unit.cluster.host import AGENT, DROP_IN, K3S, OWN, VIP, Host

RKE2_DROP_IN = DROP_IN.replace("k3s", "rke2")


def written(host: Host, path: str = DROP_IN) -> dict[str, object]:
    assert host.apply().failed == []
    found = yaml.safe_load(host.read(path))
    assert isinstance(found, dict)
    return found


def wrong(host: Host) -> list[str]:
    return [str(one) for one in host.plan().contradictions]


def test_a_k3s_server(tmp_path: Path) -> None:
    host = Host(tmp_path, "external-names: [edge.example.com]")
    host.unit(K3S)
    assert written(host) == {
        "node-ip": OWN, "flannel-iface": "scbr-100", "advertise-address": OWN,
        "tls-san+": [VIP, "edge.example.com"],
    }  # fmt: skip
    assert wrong(host) == []


def test_a_k3s_agent_gets_no_key_of_servers(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(AGENT)
    assert written(host) == {"node-ip": OWN, "flannel-iface": "scbr-100"}


@pytest.mark.parametrize(
    ("unit", "role", "more"),
    [
        (K3S, "init", {"cluster-init": True}),
        (K3S, "server", {"server": f"https://{VIP}:6443"}),
        (AGENT, "agent", {"server": f"https://{VIP}:6443"}),
        ("rke2-server.service", "init", {}),
        ("rke2-server.service", "server", {"server": f"https://{VIP}:9345"}),
        ("rke2-agent.service", "agent", {"server": f"https://{VIP}:9345"}),
    ],
)
def test_the_role_says_whom_to_join(
    tmp_path: Path, unit: str, role: str, more: dict[str, object]
) -> None:
    host = Host(tmp_path, f"role: {role}")
    host.unit(unit)
    found = written(host, RKE2_DROP_IN if "rke2" in unit else DROP_IN)
    common: dict[str, object] = {"node-ip": OWN}
    common |= {} if "rke2" in unit else {"flannel-iface": "scbr-100"}
    if role != "agent":
        common |= {"advertise-address": OWN, "tls-san+": [VIP]}
    assert found == common | more


@pytest.mark.parametrize("cni", ["calico", "cilium"])
def test_another_cni_than_flannel(tmp_path: Path, cni: str) -> None:
    host = Host(tmp_path, f"cni: {cni}")
    host.unit(K3S)
    assert written(host) == {
        "node-ip": OWN, "advertise-address": OWN, "tls-san+": [VIP], "flannel-backend": "none",
        "disable-network-policy": True,
    }  # fmt: skip


CHARTS = "var/lib/rancher/rke2/server/manifests"


@pytest.mark.parametrize(
    ("block", "config", "chart"),
    [
        ("", "", "canal"),
        ("cni: calico", "", "calico"),
        ("", "cni: cilium\n", "cilium"),
        ("cni: calico", "cni: [multus, canal]\n", "canal"),
        ("", "cni: none\n", ""),
    ],
)
def test_rke2_has_its_cni_on_the_overlay(
    tmp_path: Path, block: str, config: str, chart: str
) -> None:
    host = Host(tmp_path, block)
    host.unit("rke2-server.service")
    host.write("etc/rancher/rke2/config.yaml", config)
    found = written(host, RKE2_DROP_IN)
    assert found.get("cni") == ("calico" if block and not config else None)
    names = {path.name for path in (tmp_path / CHARTS).glob("*")}
    assert names == ({f"edge-overlay-{chart}.yaml"} if chart else set())
    if chart:
        document = yaml.safe_load(host.read(f"{CHARTS}/edge-overlay-{chart}.yaml"))
        assert document["metadata"]["name"] == f"rke2-{chart}"
    if chart == "canal":
        values = yaml.safe_load(document["spec"]["valuesContent"])
        assert values["flannel"]["iface"] == "scbr-100"


def test_a_chart_of_the_users_own(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit("rke2-server.service")
    text = "kind: HelmChartConfig\nmetadata:\n  name: rke2-canal\nspec: {valuesContent: 'x: 1'}\n"
    host.write(f"{CHARTS}/rke2-canal-config.yaml", text)
    host.apply()
    assert {path.name for path in (tmp_path / CHARTS).glob("*")} == {"rke2-canal-config.yaml"}
    [found] = wrong(host)
    assert "rke2-canal is not told of scbr-100" in found
    host.write(
        f"{CHARTS}/rke2-canal-config.yaml", text.replace("x: 1", "flannel: {iface: scbr-100}")
    )
    assert wrong(host) == []


def test_a_host_that_was_given_another_address(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.up("100.64.192.8")
    host.apply()  # before it is set up any address will do
    host.up(OWN)
    host.apply()
    host.write("var/lib/rancher/k3s/server/db/state.db", "")
    assert wrong(host) == []
    host.up("100.64.192.9")
    host.apply()
    [found] = wrong(host)
    assert f"k3s was set up as {OWN}, and this host is 100.64.192.9" in found


def test_ipv6(tmp_path: Path) -> None:
    host = Host(tmp_path, "role: server")
    host.up("fd00:1::5", "fd00:1::1")
    host.unit(K3S)
    assert written(host)["server"] == "https://[fd00:1::1]:6443"


def test_both_units_and_none_enabled_only_what_both_take(tmp_path: Path) -> None:
    """As on Kairos's images; the unit that starts then tells."""
    host = Host(tmp_path)
    host.unit(K3S, enabled=False)
    host.unit(AGENT, enabled=False)
    assert written(host) == {"node-ip": OWN, "flannel-iface": "scbr-100"}
    host.apply(K3S)
    assert "advertise-address" in host.read(DROP_IN)
    host.apply()
    assert "advertise-address" in host.read(DROP_IN), "it is remembered who was started"


@pytest.mark.parametrize(
    ("key", "enabled", "server"),
    [("k3s", "true", True), ("k3s-agent", "true", False), ("k3s", "false", None)],
)
def test_kairos_keys_tell(tmp_path: Path, key: str, enabled: str, server: bool | None) -> None:
    host = Host(tmp_path, more=f"{key}: {{enabled: {enabled}}}\n")
    host.unit(K3S, enabled=False)
    host.unit(AGENT, enabled=False)
    assert host.plan().detected.server is server


@pytest.mark.parametrize("role", ["init", "controlplane", "worker"])
def test_the_providers_role_tells(tmp_path: Path, role: str) -> None:
    host = Host(tmp_path, more=f"cluster: {{role: {role}}}\n")
    host.unit("rke2-server.service", enabled=False)
    host.unit("rke2-agent.service", enabled=False)
    assert host.plan().detected.server is (role != "worker")


def test_what_the_user_wrote_is_theirs(tmp_path: Path) -> None:
    host = Host(tmp_path, "external-names: [b.example]")
    host.unit(K3S)
    host.write("etc/rancher/k3s/config.yaml",
               "node-ip: 192.0.2.7\nadvertise-address: 192.0.2.7\ntls-san: [a.example, b.example]\n"
               "flannel-iface: eth0\n")  # fmt: skip
    assert written(host) == {"tls-san+": [VIP]}, "the list goes on, and nothing is said twice"
    found = wrong(host)
    assert [text.split(";")[0] for text in found] == [
        "/etc/rancher/k3s/config.yaml: node-ip: 192.0.2.7",
        "/etc/rancher/k3s/config.yaml: advertise-address: 192.0.2.7",
        "/etc/rancher/k3s/config.yaml: flannel-iface: eth0",
    ]
    assert any("node-ip: 192.0.2.7" in text for text in host.problems())


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("bind-address: 192.0.2.7", "would not answer at the VIP"),
        ("server: https://192.0.2.9:6443", "the VIP, 100.64.192.1"),
        ("kubelet-arg: [node-ip=192.0.2.7]", "kubelet-arg: node-ip=192.0.2.7"),
        ("kube-apiserver-arg: advertise-address=192.0.2.7", "kube-apiserver-arg"),
        ("etcd-arg: listen-peer-urls=https://192.0.2.7:2380", "node-ip decides"),
        ("flannel-external-ip: true", "node-external-ip"),
        ("node-ip: [fd00::7, 100.64.192.5]", "node-ip: fd00::7"),
    ],
)
def test_contradictions(tmp_path: Path, text: str, words: str) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.write("etc/rancher/k3s/config.yaml.d/10-mine.yaml", text + "\n")
    host.apply()
    [found] = wrong(host)
    assert found.startswith("/etc/rancher/k3s/config.yaml.d/10-mine.yaml: ")
    assert words in found


@pytest.mark.parametrize(
    "text",
    [
        "bind-address: 0.0.0.0",
        "server: https://100.64.192.1:6443",
        "server: https://edge.example.com:6443",
        f"node-ip: {OWN},fd00::5",
        f"kubelet-arg: ['node-ip={OWN}', 'max-pods=200']",
        "node-external-ip: 192.0.2.7",
        "flannel-backend: none\nflannel-iface: eth7",
        "etcd-arg: [quota-backend-bytes=8589934592]",
        "tls-san+: [x.example]",
        "token: never shown",
    ],
)
def test_what_does_not_contradict(tmp_path: Path, text: str) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.write("etc/rancher/k3s/config.yaml", text + "\n")
    host.apply()
    assert wrong(host) == []


def test_a_later_file_that_takes_the_list_away(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.write("etc/rancher/k3s/config.yaml.d/99-mine.yaml", "tls-san: [x.example]\n")
    host.apply()
    [found] = wrong(host)
    assert "99-mine.yaml: tls-san takes the place" in found and "`tls-san+`" in found


def test_the_command_line_counts(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S, "/usr/local/bin/k3s \\\n    server \\\n\t'--node-ip' \\\n\t'192.0.2.7' \\\n"
              "\t'--tls-san=a.example' \\\n")  # fmt: skip
    assert "node-ip" not in written(host)
    assert any("the command line of k3s.service: node-ip: 192.0.2.7" in one for one in wrong(host))


def test_kairos_arguments_and_environment_count(tmp_path: Path) -> None:
    host = Host(
        tmp_path, "role: agent", "k3s-agent: {enabled: true, args: ['--node-ip 192.0.2.7']}\n"
    )
    host.unit(AGENT, enabled=False)
    host.write("etc/systemd/system/k3s-agent.service.env", "K3S_URL='https://192.0.2.9:6443'\n")
    assert written(host) == {"flannel-iface": "scbr-100"}
    first, second = sorted(wrong(host))
    assert first.startswith("Kairos's key `k3s-agent.args`: node-ip: 192.0.2.7")
    assert second.startswith("the environment of k3s-agent.service: server: https://192.0.2.9")


def test_the_order_of_files_is_k3s_own(tmp_path: Path) -> None:
    """k3s, pkg/configfilearg/parser.go: config.yaml, then the drop-ins by name; `+` appends."""
    host = Host(tmp_path)
    host.unit(K3S)
    folder = "etc/rancher/k3s"
    host.write(f"{folder}/config.yaml", "token: a\ntls-san: [one]\nnode-label: [x=1]\n")
    host.write(f"{folder}/config.yaml.d/20-b.yml", "tls-san+: two\ntoken: c\nnode-label: [y=1]\n")
    host.write(f"{folder}/config.yaml.d/10-a.YAML", "token: b\ntls-san+: [three, four]\n")
    host.write(f"{folder}/config.yaml.d/30-c.conf", "token: d\n")
    said = said_by_user(tmp_path, host.plan().detected)
    assert said.one("token") == "c"
    assert said.values["tls-san"] == ["one", "three", "four", "two"]
    assert said.values["node-label"] == ["y=1"]


@pytest.mark.parametrize(
    "text",
    ["[", "just text", "- a\n- b\n", "node-ip: {a: b}\n", "? [a]\n: b\n", "\x00", "a: &a [*a]\n"],
)
def test_what_is_no_configuration_breaks_nothing(tmp_path: Path, text: str) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.write("etc/rancher/k3s/config.yaml", text)
    assert host.apply().failed == []
    assert f'node-ip: "{OWN}"' in host.read(DROP_IN) or "node-ip" in text


@pytest.mark.parametrize("text", ["[", "\x00", "token: a\n---\ntoken: b\n"])
def test_what_is_not_one_yaml_document_is_told(tmp_path: Path, text: str) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.write("etc/rancher/k3s/config.yaml", text)
    assert any("/etc/rancher/k3s/config.yaml is not YAML" in note for note in host.plan().notes)


def test_no_token_is_ever_shown(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S, "/usr/local/bin/k3s server --token K10secret")
    host.write("etc/rancher/k3s/config.yaml", "token: K10secret\nagent-token: K10secret\n")
    host.apply()
    told = host.read("run/edge-overlay/notices/kubernetes.json") + host.read(DROP_IN)
    assert "K10secret" not in told


# Names alone, of the options that a command takes: RKE2's table of what it takes over from k3s, and
# with it the list of k3s's own (rancher/rke2, pkg/cli/cmds/server.go and agent.go, commit
# 6ce1a8019e9d0b81eb7a715edbc2b8ac12d26da0 of 2026-08-21, which has k3s
# v1.35.1-0.20260817230842-2a1e2e8cf41b). `copyFlag`: RKE2 takes it; `dropFlag`: it does not.
COMMON = {"node-ip", "server", "token", "node-external-ip", "kubelet-arg", "bind-address"}
OPTIONS = {
    "rke2-server.service": COMMON | {"advertise-address", "tls-san", "etcd-arg", "node-name",
                                     "kube-apiserver-arg", "cni"},
    "rke2-agent.service": COMMON | {"node-name"},
    K3S: COMMON | {"advertise-address", "tls-san", "etcd-arg", "kube-apiserver-arg",
                   "flannel-iface", "flannel-backend", "flannel-external-ip", "cluster-init",
                   "disable-network-policy", "https-listen-port", "datastore-endpoint"},
    AGENT: COMMON | {"flannel-iface", "flannel-conf", "flannel-cni-conf"},
}  # fmt: skip


@pytest.mark.parametrize("unit", OPTIONS)
@pytest.mark.parametrize("role", [None, "init", "server", "agent"])
def test_only_options_that_the_command_takes(tmp_path: Path, unit: str, role: str | None) -> None:
    host = Host(tmp_path, f"role: {role}" if role else "")
    host.unit(unit)
    path = RKE2_DROP_IN if "rke2" in unit else DROP_IN
    keys = {key.removesuffix("+") for key in written(host, path)}
    assert keys <= OPTIONS[unit], keys - OPTIONS[unit]
    assert "node-ip" in keys


def test_a_role_that_the_host_has_not(tmp_path: Path) -> None:
    host = Host(tmp_path, "role: agent")
    host.unit(K3S)
    [found] = wrong(host)
    assert "`role: agent`, but this host is a control plane" in found
    assert Cluster().role is None


def test_an_address_is_the_same_in_another_spelling(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.unit(K3S)
    host.up("fd12:3456::5", "fd12:3456::1")
    host.write("etc/rancher/k3s/config.yaml", "node-ip: FD12:3456:0::5\n")
    assert host.plan().contradictions == []
    host.write("etc/rancher/k3s/config.yaml", "node-ip: FD12:3456:0::6\n")
    assert len(host.plan().contradictions) == 1
