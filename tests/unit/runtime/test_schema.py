"""The overlay block: every error names its place, what was found and how to mend it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from overlay_runtime.config.schema import parse_user_data, problems, settings
from overlay_runtime.errors import ConfigError

GOOD = "#cloud-config\noverlay:\n  secret: sixteen characters\n"


def _only(text: str) -> str:
    found = problems(text, "f")
    assert len(found) == 1, [problem.render() for problem in found]
    return found[0].render()


def test_the_defaults() -> None:
    config = parse_user_data(GOOD, "f").overlay
    assert config is not None
    assert str(config.cidr) == "100.64.192.0/23"
    assert (config.vni, config.port, config.mtu, config.peers) == (100, 4797, None, ())
    assert "sixteen" not in repr(config) + repr(parse_user_data(GOOD, "f"))


def test_every_key() -> None:
    text = GOOD + (
        "  cidr: fd00:1234::/64\n  address: fd00:1234::77\n  vni: 7\n  port: 4790\n  mtu: 1400\n"
        "  peers: [192.0.2.9, gate.example.org, 192.0.2.9]\n  interface: [eth0, 'en*']\n"
    )
    config = parse_user_data(text, "f").overlay
    assert config is not None
    assert str(config.address) == "fd00:1234::77"
    assert config.peers == ("192.0.2.9", "gate.example.org")
    assert config.interface == ("eth0", "en*")


def test_no_block_is_no_error() -> None:
    data = parse_user_data("#cloud-config\nhostname: x\n", "f")
    assert data.overlay is None
    assert data.top["hostname"].key.line == 2
    assert parse_user_data("#cloud-config\n", "f").top == {}


@pytest.mark.parametrize(
    ("line", "place", "words"),
    [
        ("cidr: 100.64.192.7/23", "f:4:9", "probably 100.64.192.0/23 was meant"),
        ("cidr: 8.8.8.0/24", "f:4:9", "neither private nor shared"),
        ("cidr: 2001:db8::/64", "f:4:9", "neither private nor shared"),
        ("cidr: 10.0.0.0/30", "f:4:9", "use /29 or shorter"),
        ("cidr: fd00::/126", "f:4:9", "use /125 or shorter"),
        ("cidr: 10.0.0.0", "f:4:9", "no prefix length"),
        ("cidr: ten", "f:4:9", "no prefix length"),
        ("cidr: 10.0.0.0/99", "f:4:9", "no network"),
        ("cidr: 5", "f:4:9", "the number 5"),
        ("cidr:", "f:4:8", "nothing"),
        ("address: 100.64.192.1", "f:4:12", "reserved"),
        ("address: 100.64.193.255", "f:4:12", "reserved"),
        ("address: 10.0.0.1", "f:4:12", "outside 100.64.192.0/23"),
        ("address: fd00::1", "f:4:12", "outside 100.64.192.0/23"),
        ("address: 100.64.192.5/23", "f:4:12", "leave the prefix length out"),
        ("vni: 0", "f:4:8", "the number 0"),
        ("vni: 16777216", "f:4:8", "16777216"),
        ("vni: true", "f:4:8", "true"),
        ("vni: '100'", "f:4:8", "without quotes"),
        ("port: 65535", "f:4:9", "1 to 65534"),
        ("mtu: 1279", "f:4:8", "1280 to 9000"),
        ("peers: 10.0.0.1", "f:4:10", "write a list"),
        ("peers: [10.0.0.1, 300.0.0.1]", "f:4:21", "neither an IP address nor a host name"),
        ("peers: [100.64.192.9]", "f:4:11", "inside the overlay's own range"),
        ("peers: ['fe80::1']", "f:4:11", "hosts on the same segment find each other"),
        ("peers: ['fe80::1%eth1']", "f:4:11", "hosts on the same segment find each other"),
        ("peers: ['::ffff:10.0.0.1']", "f:4:11", "no host's address"),
        ("previous-secret: sixteen characters", "f:4:20", "the same as `secret`"),
        ("previous-secret: short", "f:4:20", "16 characters"),
        ("peers: [224.0.0.1]", "f:4:11", "no host's address"),
        ("peers: [7]", "f:4:11", "quotes"),
        ("interface: []", "f:4:14", "empty list"),
        ("interface: a-name-that-is-too-long", "f:4:14", "at most 15 characters"),
        ("interface: [eth0, scbr-100]", "f:4:21", "a link of the overlay itself"),
        ("insecure: 'yes'", "f:4:13", "true or false"),
        ("insecure: true", "f:4:3", "together with `secret`"),
        ("cdir: 10.0.0.0/24", "f:4:3", "did you mean `cidr`?"),
        ("quux: 1", "f:4:3", "unknown key `quux`; expected one of cidr, secret"),
        ("vni: 0x" + "f" * 5000, "f:4:8", "a huge number"),
        ("vni: !!int ''", "f:4:8", "nothing"),
        ("vni: !!bool foo", "f:4:8", "'foo'"),
        ("cidr: !!timestamp z", "f:4:9", "no prefix length"),
        ('vni: "\\uD800"', "f:4:8", "a surrogate"),
        ('vni: "\\UFFFFFFFF"', "f:1:1", "not YAML"),
        ("secret: again and again", "f:4:3", "stands twice, first in line 3"),
        ("vni: [1", "f:5:1", "not YAML"),
        ("\tvni: 1", "f:4:3", "tabs"),
    ],
)
def test_one_wrong_line(line: str, place: str, words: str) -> None:
    message = _only(f"{GOOD}  {line}\n")
    assert message.startswith(place + ": "), message
    assert words in message


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("", "f:1:1", "the first line is empty"),
        ("overlay: {}\n", "f:1:1", "cloud-init ignores the file"),
        ("%YAML 1.1\n", "f:1:1", "something else"),
        ("#cloud-config-archive\n", "f:1:1", "#cloud-config-archive"),
        ("\ufeff#cloud-config\n", "f:1:1", "byte-order mark"),
        ("#cloud-config\n- a\n", "f:2:1", "a list"),
        ("#cloud-config\noverlay:\n", "f:2:1", "empty"),
        ("#cloud-config\noverlay: yes\n", "f:2:1", "true/false"),
        ("#cloud-config\noverlay: {vni: 1}\n", "f:2:1", "`secret` is missing"),
        ("#cloud-config\noverlay: {secret: short}\n", "f:2:19", "only 5 characters"),
        ("#cloud-config\noverlay: {secret: 1234567890123456789}\n", "f:2:19", "quotes"),
        ("#cloud-config\noverlays: {}\n", "f:2:1", "rename it to overlay"),
        ("#cloud-config\nOverlay: {}\n", "f:2:1", "rename it to overlay"),
        ("#cloud-config\noverlay_network: {}\n", "f:2:1", "rename it to overlay"),
        ("#cloud-config\na: &a [*a]\n", "f:2:4", "contains itself"),
        ("#cloud-config\na: \x07\n", "f:2:4", "a character that YAML forbids"),
        ("#cloud-config\na: 1\n---\nb: 2\n", "f:3:1", "not YAML"),
        ("#cloud-config\n? [a]\n: 1\n", "f:2:3", "not plain text"),
        ("#cloud-config\na: " + "[" * 5000, "f:1:1", "nested too deeply"),
    ],
)
def test_one_wrong_file(text: str, place: str, words: str) -> None:
    message = _only(text)
    assert message.startswith(place + ": "), message
    assert words in message


def test_all_problems_at_once_and_never_the_secret() -> None:
    text = "#cloud-config\noverlay:\n  secret: [tell, noone]\n  vni: x\n  mtu: 1\n  secrt: noone\n"
    found = problems(text, "f")
    assert [problem.position.line for problem in found] == [3, 4, 5, 6]
    assert "noone" not in " ".join(problem.render() for problem in found)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("secret: *tHisIsMySecret12345", "in quotes"),
        ("secret: &tHisIsMySecret12345 &tHisIsMySecret12345", ""),
        ("secret: !tHisIsMySecret12345!bar", "in quotes"),
        ('secret: "\\x1tHisIsMySecret12345"', ""),
        ("secret: tHisIsMySecret12345: x", ""),
        ("tHisIsMySecret12345: secret", "one of cidr, secret"),
        ("tHisIsMySecret12345:", "not shown"),
        ("vni: 1\n    tHisIsMySecret12345", "found '1 ...'"),
        ("tHisIsMySecret12345: 1\n  tHisIsMySecret12345: 2", "stands twice"),
    ],
)
def test_a_secret_that_upsets_yaml_is_not_shown(line: str, words: str) -> None:
    message = _only(f"#cloud-config\noverlay:\n  insecure: true\n  {line}\n")
    assert "tHis" not in message
    assert "'t'" not in message
    assert words in message


def test_a_secret_in_the_place_of_the_header_is_not_shown() -> None:
    assert "tHis" not in _only("overlay: {secret: tHisIsMySecret12345}\n")
    assert "tHis" not in _only("# secret: tHisIsMySecret12345\n")
    assert "'#!/bin/sh'" in _only("#!/bin/sh\n")


def test_what_yaml_itself_says_is_shown() -> None:
    assert "expected ',' or ']', but got '<stream end>'" in _only(f"{GOOD}  vni: [1\n")


def test_aliases_and_merges_cost_nothing() -> None:
    lines = ["a0: &a0 [x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    lines += ["base: &base {vni: 5, mtu: 1400}", "overlay:", "  <<: *base", "  mtu: 1500"]
    text = "#cloud-config\n" + "\n".join(lines) + "\n  insecure: true\n"
    config = parse_user_data(text, "f").overlay
    assert config is not None
    assert (config.vni, config.mtu) == (5, 1500)


@given(st.text(max_size=300))
def test_no_text_makes_it_fail_otherwise(text: str) -> None:
    for candidate in (text, "#cloud-config\n" + text, GOOD + "  cidr: " + text):
        try:
            parse_user_data(candidate, "f")
        except ConfigError as error:
            assert error.problems
            assert all(problem.position.line >= 1 for problem in error.problems)


def test_every_setting_has_help() -> None:
    assert {setting.name for setting in settings()} >= {"cidr", "secret", "port", "insecure"}
    assert all(setting.help and setting.expected for setting in settings())
    port = next(setting for setting in settings() if setting.name == "port")
    assert "Calico" in port.help
