"""What `edge-build validate` finds: a table of files, each with the rule and the place."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from overlay_runtime.userdata.check import findings
from overlay_runtime.userdata.finding import Severity
from overlay_runtime.userdata.rules import ALL

HEAD = "#cloud-config\noverlay:\n  secret: sixteen characters\n"
NICS = HEAD + "stylus:\n  site:\n    network:\n      nameserver: 192.0.2.53\n      interfaces:\n"
STEPS = HEAD + "stages:\n  initramfs:\n"
LATE = HEAD + "stages:\n  network:\n"
QUIET = ("not-acted-on",)


def found(text: str) -> list[str]:
    """Every finding that is no remark about who acts on a key, as `line:column rule: words`."""
    return [
        f"{one.position.line}:{one.position.column} {one.rule.name}: {one.problem.render()}"
        for one in findings(text, "f")
        if one.rule.name not in QUIET
    ]


def test_a_good_file_has_no_findings() -> None:
    assert found(HEAD) == []


def _nic(*lines: str, name: str = "eth0") -> str:
    return f"        {name}:\n" + "".join(f"          {line}\n" for line in lines)


STATIC = ("type: static", "ipAddress: 192.0.2.10/24", "gateway: 192.0.2.1")

NETWORK = [
    (_nic("type: statc"), "10:17 value", "did you mean static?"),
    (_nic("typ: static"), "10:11 unknown-key", "did you mean `type`?"),
    (_nic("type: static"), "9:9 address", "no `ipAddress`"),
    (_nic("type: static", "ipAddress: 192.0.2.10"), "11:22 mask", "192.0.2.10/24"),
    (_nic("type: static", "ipAddress: 192.0.2.10/24", "mask: 255.255.255.128"), "12:17 mask",
     "/25, `ipAddress` says /24"),
    (_nic("type: static", "ipAddress: 192.0.2.10", "mask: 255.0.255.0"), "12:17 mask",
     "no IPv4 network mask"),
    (_nic("type: static", "ipAddress: 192.0.2.10", "mask: /33"), "12:17 mask", "no IPv4"),
    (_nic("type: static", "ipAddress: 192.0.2.256/24"), "11:22 address", "no IP address"),
    (_nic("type: static", "ipAddress: 192.0.2.0/24"), "11:22 address", "network 192.0.2.0/24"),
    (_nic("type: static", "ipAddress: 192.0.2.255/24"), "11:22 address", "broadcast address"),
    (_nic("type: static", "ipAddress: 127.0.0.2/8"), "11:22 address", "loopback"),
    (_nic("type: static", "ipAddress: 239.1.1.1/8"), "11:22 address", "multicast"),
    (_nic("type: static", "ipAddress: 192.0.2.10/24", "gateway: 192.0.3.1"), "12:20 gateway",
     "not in 192.0.2.0/24"),
    (_nic("type: static", "ipAddress: 192.0.2.10/24", "gateway: 192.0.2.10"), "12:20 gateway",
     "own address"),
    (_nic("type: static", "ipAddress: 192.0.2.10/24", "gateway: 192.0.2.255"), "12:20 gateway",
     "broadcast"),
    (_nic("type: static", "ipAddress: 192.0.2.10/25", "gateway: 192.0.2.129"), "12:20 gateway",
     "not in 192.0.2.0/25"),
    (_nic("ipAddress: 192.0.2.10/24"), "10:22 unused", "uses DHCP"),
    (_nic("type: dhcp", name="enp0s31f6np0.4000"), "9:9 nic-name", "17 characters"),
    (_nic("type: dhcp", name="'eth0:1'"), "9:9 nic-name", "15 characters"),
    (_nic("type: dhcp", name="'en*'"), "9:9 nic-name", "match"),
    (_nic("type: dhcp", name="scbr-100"), "9:9 nic-name", "overlay itself"),
    (_nic("mtu: 20"), "10:16 value", "from 576 to 65535"),
    (_nic("nameserver: 8.8.8.888"), "10:23 value", "'8.8.8.888' is no IP address"),
    (_nic("type: static", "ipAddress: 100.64.192.9/24"), "11:22 overlap", "overlay's range"),
    (_nic("type: static", "ipAddress: 10.42.3.9/24"), "11:22 physical-range", "pods"),
    (_nic("vlan: {id: 5000, link: eth1}", name="vlan5"), "10:22 value", "from 1 to 4094"),
    (_nic("vlan: {id: 5}", name="vlan5"), "10:17 nic-link", "without `link`"),
    (_nic("bond: {mode: active}", name="bond0"), "10:24 value", "active-backup"),
    (_nic("match: {macAddress: 52-54-0-12}", name="lan"), "10:31 nic-link", "no MAC address"),
    (_nic("addresses: [fd00::5]"), "10:23 address", "fd00::5/64"),
    (_nic(*STATIC) + _nic(*STATIC, name="eth1"), "15:22 address-twice", "`eth0` in line 11"),
    (_nic(*STATIC) + _nic("type: static", "ipAddress: 192.0.2.99/25", name="eth1"),
     "15:22 subnet-twice", "overlaps 192.0.2.0/24"),
    (_nic(*STATIC)
     + _nic("type: static", "ipAddress: 198.51.100.9/24", "gateway: 198.51.100.1", name="eth1"),
     "16:20 gateway-twice", "`eth0` has a default gateway"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "place", "words"), NETWORK)
def test_network(lines: str, place: str, words: str) -> None:
    assert [one for one in found(NICS + lines) if one.startswith(f"{place}:") and words in one], (
        found(NICS + lines)
    )


@pytest.mark.parametrize(
    "lines",
    [
        STATIC,
        ("type: static", "ipAddress: 192.0.2.10", "mask: 255.255.255.0", "gateway: 192.0.2.1"),
        ("type: static", "ipAddress: 192.0.2.10", "mask: /24"),
        ("type: static", "ipAddress: 192.0.2.10/24", "mask: 255.255.255.0"),
        ("type: static", "ipAddress: 192.0.2.10/31", "gateway: 192.0.2.11"),
        ("type: dhcp",),
        ("type: dhcp", "addresses: [fd00::5/64]", "gateway6: fe80::1", "acceptRA: false"),
        ("match: {macAddress: 52:54:00:12:34:56}", "mtu: 9000"),
        ("match: {driver: vmxnet3}",),
        ("vlan: {id: 17, link: eth1}", "type: dhcp"),
        ("bond: {interfaces: [eth1, eth2], mode: 802.3ad}",),
    ],
)
def test_good_nics(lines: tuple[str, ...]) -> None:
    assert found(NICS + _nic(*lines)) == []


STEP_CASES = [
    ("    - comands: [a]\n", "6:7 unknown-key", "did you mean `commands`?"),
    ("    - Commands: [a]\n", "6:7 unknown-key", "did you mean `commands`?"),
    ("    - commands: reboot\n", "6:17 stage-type", "Kairos would drop all stages"),
    ("    - commands: [{a: b}]\n", "6:18 stage-type", "expected text"),
    ("    - files: {path: /x}\n", "6:14 stage-type", "a list"),
    ("    - files: [{path: /x, content: a}]\n", "6:15 no-mode", "mode 0000"),
    ("    - directories: [{path: /x}]\n", "6:21 no-mode", "0755"),
    ("    - files: [{path: x, permissions: 0644}]\n", "6:22 value", "an absolute path"),
    ("    - files: [{path: /x, permissions: 644}]\n", "6:39 mode", "01204"),
    ("    - files: [{path: /x, permissions: 0888}]\n", "6:39 mode", "digit"),
    ("    - files: [{path: /x, permissions: 0o17777}]\n", "6:39 mode", "more than 07777"),
    ("    - files: [{path: /x, permissions: '0644'}]\n", "6:39 stage-type", "without quotes"),
    ("    - files: [{path: /x, permissions: rw}]\n", "6:39 stage-type", "octal"),
    ("    - files: [{path: /x, permissions: 0644, encoding: base46}]\n", "6:55 value", "base64"),
    ("    - systemctl: {enabled: [x]}\n", "6:19 unknown-key", "did you mean `enable`?"),
    ("    - users: {bob: {groups: sudo}}\n", "6:29 stage-type", "a list"),
    ("    - {name: x}\n", "6:7 nothing-to-do", "does nothing"),
    ("    - {commands: [a], node: '['}\n", "6:29 regex", "never run"),
    ("    - {commands: [a], only_os: '(?!x)'}\n", "6:32 regex", "never run"),  # Go has none
    ("    - {commands: [a], if_files: {some: [/x]}}\n", "6:34 unknown-key", "if_files"),
    ("    - {commands: [a], only_service_manager: sysv}\n", "6:45 value", "systemd"),
    ("    - commands: ['x {{ if }} y']\n", "6:18 template", "missing value"),
    ("    - commands: ['x {{ .Values.a | nofunction }}']\n", "6:18 template", "not defined"),
    ("    - commands: ['x {{ .Value.node }}']\n", "6:18 template-value", "<no value>"),
    ("    - commands: ['x {{ (genCA \"a\" 1).Cert }}']\n", "6:18 template-function", "`genCA`"),
    ("    - commands:\n      - |\n        a\n        {{ range list 1 }}{{ 1 | htpasswd \"a\" }}"
     "{{ end }}\n", "9:1 template-function", "`htpasswd`"),
    ("    - commands: ['x {{ .Values.nod.hostname }}']\n", "6:18 template-value", "node"),
    ("    - commands: ['docker ps --format {{.Names}}']\n", "6:18 template-value", "Names"),
    ("    - commands:\n      - |\n        a\n        b {{ end }}\n", "9:1 template", "{{end}}"),
    ("    - commands: [curl -s http://x]\n", "6:18 too-early", "before there is a network"),
    ("    - commands: [apt-get install x]\n", "6:18 too-early", "apt-get"),
    ("    - downloads: [{path: /x, url: http://x/y, permissions: 0644}]\n", "6:18 too-early",
     "downloads"),
    ("    - git: {url: http://x/y, path: /x}\n", "6:12 too-early", "git"),
    ("    - packages: {install: [x]}\n", "6:17 too-early", "packages"),
    ("    - authorized_keys: {bob: [github:bob]}\n", "6:31 too-early", "SSH key"),
    ("    - commands: [ethtool --offload <interface-name> tx-udp_tnl-segmentation off]\n",
     "6:18 placeholder", "every VMXNET3 NIC"),
    ("    - {commands: [a], after: [{name: b}]}\n", "6:38 after", "no step 'b'"),
    ("    - {name: a, commands: [a]}\n    - {commands: [b], after: [{name: a}]}\n", "7:38 after",
     "write /oem/95_userdata.yaml.a"),
    ("    - {layout: {device: {path: /dev/sda}}}\n", "6:8 kairos-step", "Kairos images alone"),
    ("    - {users: {bob: {lock_passwd: {a: b}}}}\n", "6:35 stage-type", "true or false"),
    ("    - {users: {bob: {lock_passwd: 'true'}}}\n", "6:35 stage-type", "without quotes"),
    ("    - {sysctl: [net.ipv4.ip_forward]}\n", "6:16 stage-type", "a mapping"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "place", "words"), STEP_CASES)
def test_steps(lines: str, place: str, words: str) -> None:
    got = found(STEPS + lines)
    assert [one for one in got if one.startswith(f"{place}:") and words in one], got


@pytest.mark.parametrize(
    "step",
    [
        "{commands: [curl http://x], name: late}",
        "{sysctl: {net.ipv4.ip_forward: 1}}",
        "{files: [{path: /x, permissions: 0o644, content: '{{ .Values.node.hostname | upper }}'}]}",
        "{files: [{path: /x, permissions: 420, owner: 0, ownerstring: 'a:b'}]}",
        "{hostname: 'node-{{ trunc 4 .MachineID }}'}",
        "{if: '[ -e /x ]', commands: ['{{ range $i, $v := .Values.network }}{{ $v }}{{ end }}']}",
        "{git: {url: 'http://x/y', path: /x, branch_only: 'yes'}}",
        "{downloads: [{path: /x, url: 'http://x/y', permissions: 0644, timeout: 5.0}]}",
        "{environment: {A: 1, B: true}, environment_file: /etc/x}",
        "{users: {bob: {passwd: x, groups: [admin], uid: 1000}}}",
        "{modules: [br_netfilter], systemctl: {enable: [x], overrides: [{service: a}]}}",
        "{if_files: {any: [/a], all: [], none: [/b]}, commands: [a]}",
    ],
)
def test_good_steps(step: str) -> None:
    assert found(f"{LATE}    - {step}\n") == []


def test_a_cycle_is_named() -> None:
    text = HEAD + (
        "name: site\nstages:\n  boot:\n"
        "    - {name: a, commands: [a], after: [{name: site.c}]}\n"
        "    - {name: b, commands: [b], after: [{name: site.a}]}\n"
        "    - {name: c, commands: [c], after: [{name: site.b}]}\n"
    )
    [cycle] = [one for one in found(text) if " after-name:" not in one]
    assert cycle.startswith("7:7 cycle:")
    assert all(f"`{name}`" in cycle for name in "abc")


def test_steps_wait_for_the_one_before_too() -> None:
    text = HEAD + (
        "name: site\nstages:\n  boot:\n    - {name: a, commands: [a], after: [{name: site.b}]}\n"
        "    - {name: b, commands: [b]}\n"
    )
    assert [one.split(":")[1].split()[1] for one in found(text)] == ["cycle", "after-name"]


def test_after_by_a_name_that_kairos_drops() -> None:
    text = HEAD + (
        "name: site\nstages:\n  boot:\n    - {name: a, commands: [a]}\n"
        "    - {name: b, commands: [b], after: [{name: site.a}]}\n"
    )
    [only] = found(text)
    assert only.startswith("8:47 after-name:") and "Kairos drops" in only


@pytest.mark.parametrize(
    ("stage", "rule", "words"),
    [
        ("initramf", "never-run", "did you mean `initramfs`?"),
        ("boot_after", "never-run", "did you mean `boot.after`?"),
        ("my-own", "custom-stage", "by hand"),
    ],
)
def test_stages_that_never_run(stage: str, rule: str, words: str) -> None:
    [only] = found(f"{HEAD}stages:\n  {stage}:\n    - commands: [a]\n")
    assert only.startswith(f"5:3 {rule}:")
    assert words in only


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "1:1 header", "the first line is empty"),
        ("# cloud-config\noverlay:\n  secret: sixteen characters\n", "1:1 header", "#cloud-config"),
        ("overlay:\n  secret: short\n", "2:11 overlay", "5 characters"),
        (HEAD + "a: [\n", "5:1 syntax", "not YAML"),
        (HEAD + "hostname: a\nhostname: b\n", "5:1 syntax", "stands twice"),
        (HEAD + "hostnam: a\n", "4:1 unknown-key", "did you mean `hostname`?"),
        (HEAD + "nonsense: a\n", "4:1 unknown-key", "x-"),
        (HEAD + "  prot: 1\n", "4:3 overlay", "did you mean `port`?"),
        (HEAD + "  port: 4789\n", "4:9 port-of-others", "Calico"),
        (HEAD + "  port: 4788\n", "4:9 port-of-others", "cni-values"),
        (HEAD + "  port: 8471\n", "4:9 port-of-others", "flannel"),
        (HEAD + "  metrics-listen: 127.0.0.1:9100\n", "4:19 port-of-others", "node_exporter"),
        (HEAD + "  metrics-listen: 127.0.0.1:5080\nstylus: {site: {}}\n", "4:19 port-twice",
         "local UI"),
        ("#cloud-config\nusers: []\n", "1:1 no-overlay", "cidata"),
        ("#cloud-config\noverlay: {insecure: true}\n", "2:21 insecure", "join"),
        (HEAD + "users: [{name: a, passwd: x, lock_passwd: true}]\n", "4:8 no-login", "log in"),
        (HEAD + "users: [{name: a, hashed_passwd: $6$x}]\n", "4:8 no-login", "log in"),
        (HEAD + "hostname: n-{{ trunc 4 .MachineID }}\n", "4:11 as-cloud-init", "initramfs"),
        (HEAD + "users: [{name: a, ssh_authorized_keys: ['github:b']}]\n", "4:41 as-cloud-init",
         "fetches none"),
        (HEAD + "runcmd: [[a, b]]\n", "4:10 runcmd-list", "Kairos"),
        (HEAD + "install: {devise: /dev/sda}\n", "4:11 unheard-of-key", "did you mean `device`?"),
        (HEAD + "install: {quite-else: 1}\n", "4:11 unheard-of-key", "quite-else"),
        (HEAD + "metallb: {version: 1}\n", "4:1 unheard-of-key", "metallb"),
        (HEAD + "stylus: {site: {autoRegistr: 1}}\n", "4:17 unheard-of-key", "autoRegister"),
        (HEAD + "write_files: [{path: /x, content: 5}]\n", "4:35 unquoted", "quotes"),
        (HEAD + "stylus: {site: {network: {httpProxy: 'proxy'}}}\n", "4:38 proxy", "no URL"),
        (HEAD + "stylus: {site: {network: {httpProxy: 'http://p:1', noProxy: 10.0.0.0/8}}}\n",
         "4:61 no-proxy", "100.64.192.0/23"),
        (HEAD + "stylus: {site: {network: {interfases: {}}}}\n", "4:27 unknown-key",
         "did you mean `interfaces`?"),
    ],
)  # fmt: skip
def test_the_whole(text: str, place: str, words: str) -> None:
    got = found(text)
    assert [one for one in got if one.startswith(f"{place}:") and words in one], got


@pytest.mark.parametrize(
    "lines",
    [
        "users: [{name: a, ssh_authorized_keys: [ssh-ed25519 AAAA]}]",
        "users: [default, {name: a}]",
        "users: [{name: a, groups: 'sudo, adm', sudo: false, plain_text_passwd: x, "
        "lock_passwd: false}]",
        "write_files: [{path: /x, permissions: '0644'}, {path: /y, permissions: 0644}]",
        "install: {partitions.oem.size: 60, extra-partitions: [{Name: a, size: 1}], auto: true}",
        "x-note: anything\nx-other: [1]",
        "ntp: {servers: [192.0.2.1]}\ngrowpart: {devices: ['/']}",
        "stylus: {site: {network: {httpProxy: 'http://p:1', noProxy: '100.64.0.0/10,.local'}}}",
        "k3s: {enabled: true, args: [--disable=traefik]}\nkubevip: {eip: 192.0.2.1, enable: true}",
        "stages:",
        "stages: {boot: [], network: }",
    ],
)
def test_what_works_today_is_taken(lines: str) -> None:
    assert found(f"{HEAD}{lines}\n") == []


def test_secrets_are_never_shown() -> None:
    secret = "tr0ub4dor-and-3"
    text = (
        f"#cloud-config\noverlay: {{secret: {secret}, previous-secret: [{secret}]}}\n"
        f"stylus: {{site: {{edgeHostToken: {{{secret}: {secret}}}}}}}\n"
        f"users: [{{name: a, passwd: [{secret}]}}, {{name: b, hashed_passwd: {{a: {secret}}}}}]\n"
        f"stages: {{boot: [{{users: {{bob: {{passwd: [{secret}]}}}}, git: {{auth: {{password: "
        f"[{secret}], private_key: {{x: {secret}}}}}}}}}]}}\n"
    )
    got = found(text)
    assert len(got) >= 5
    assert secret not in "\n".join(got)


def test_all_at_once_and_in_order() -> None:
    text = HEAD + "hostnam: a\nstages:\n  boot:\n    - comands: [a]\n  initramf: []\n"
    lines = [int(one.split(":")[0]) for one in found(text)]
    assert lines == [4, 7, 8]


def test_who_acts_is_said_once() -> None:
    text = HEAD + "install: {device: auto, partitions: {oem: {size: 1}}}\nstylus: {debug: true}\n"
    said = [one.found for one in findings(text, "f")]
    assert said == [
        "`install`: known, and of use to Kairos images alone",
        "`stylus.debug`: known, and of use to Palette's agent alone",
    ]


def test_names_of_rules_are_unique_and_spelt_alike() -> None:
    names = [rule.name for rule in ALL]
    assert len(set(names)) == len(names) > 40
    assert all(name == name.lower().replace("_", "-") for name in names)
    assert {rule.severity for rule in ALL} == set(Severity)


def test_five_thousand_lines_in_less_than_a_second() -> None:
    step = "    - name: step {n}\n      commands:\n        - echo {{{{ .Values.node.hostname }}}}\n"
    text = LATE + "".join(step.format(n=n) for n in range(1700))
    assert text.count("\n") > 5000
    began = time.process_time()
    assert found(text) == []
    # Libyaml and all: 0.3 s on the machine that this was written on.
    assert time.process_time() - began < 1.0


KEYS = st.sampled_from(
    "overlay stages stylus site network interfaces eth0 type ipAddress mask gateway boot initramfs "
    "commands files path permissions content if after name users hostname runcmd install vlan bond "
    "match cidr secret port addresses nameserver httpProxy noProxy write_files if_files".split()
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=12),
    st.sampled_from(["static", "192.0.2.1/24", "/25", "{{ .Values.a }}", "{{ if", "fe80::1", "0888",
                     "10.0.0.0/8", "{{ range }}{{ end }}", "fd00::/64"]),
)  # fmt: skip
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=5)),
    max_leaves=25,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(KEYS, TREES, max_size=5))
def test_nothing_raises(document: dict[str, object]) -> None:
    import yaml

    for one in findings("#cloud-config\n" + yaml.safe_dump(document, allow_unicode=True), "f"):
        assert one.position.line >= 1
