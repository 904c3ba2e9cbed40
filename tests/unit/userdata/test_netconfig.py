"""network-config in the validator: every rule, and the files that are right."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml

from builder.validate.jsonschema import network_config_schema
from builder.validate.reference import network_config_reference
from overlay_runtime.userdata.netconfig import findings, is_network_config

ROOT = Path(__file__).parents[3]
GOOD = """\
network:
  version: 2
  renderer: networkd
  ethernets:
    lan:
      match: {macaddress: "52:54:00:12:34:56", name: "en*"}
      set-name: lan0
      wakeonlan: true
      addresses: [10.0.10.25/24, "fd00::5/64", {10.0.10.26/24: {lifetime: 0, label: "lan0:1"}}]
      nameservers: {addresses: [10.0.10.1, "fd00::1"], search: [a.example]}
      routes: [{to: default, via: 10.0.10.1}, {to: 10.8.0.0/16, via: 10.0.10.2, metric: 5}]
      mtu: 1400
    eth1: {dhcp4: true, dhcp6: false, dhcp4-overrides: {use-dns: false}, optional: true}
    eth2: {}
    eth3: {}
  bonds:
    bond0: {interfaces: [eth2, eth3], parameters: {mode: 802.3ad, lacp-rate: fast}}
  bridges:
    br0: {interfaces: [bond0], parameters: {stp: false},
          routes: [{to: default, via: 10.1.0.1, metric: 200}], addresses: [10.1.0.2/24]}
  vlans:
    till: {id: 17, link: br0, addresses: [10.17.0.2/24]}
"""
E = "version: 2\nethernets:\n  eth0: {%s}\n"


def test_what_is_right() -> None:
    found = findings(GOOD, "n")
    assert [one.rule.name for one in found] == []
    jsonschema.validate(yaml.safe_load(GOOD), network_config_schema())
    jsonschema.validate(yaml.safe_load(GOOD)["network"], network_config_schema())
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"version": 2, "ethernet": {}}, network_config_schema())


_TWO = "version: 2\nethernets:\n  a: {match: {macaddress: '52:54:00:12:34:56'}, set-name: x}\n"

WRONG = [
    (_TWO + "  b: {match: {driver: y}, set-name: x}\n", "4:37 nic-name", "`a` has this name"),
    (_TWO + "  b: {match: {macaddress: '52:54:00:12:34:56'}}\n", "4:27 nic-name", "MAC address"),
    ("version: 1\nconfig: []\n", "1:10 value", "version 2"),
    ("ethernets: {}\n", "1:1 value", "no `version`"),
    ("version: 2\nethernet: {}\n", "2:1 unknown-key", "did you mean `ethernets`"),
    (E % "dhcp: true", "3:10 unknown-key", "dhcp"),
    (E % "adresses: []", "3:10 unknown-key", "did you mean `addresses`"),
    (E % "dhcp4: maybe", "3:17 type", "true or false"),
    (E % "addresses: [10.0.0.5]", "3:22 address", "prefix length"),
    (E % "addresses: [10.0.0.0/24]", "3:22 address", "network"),
    (E % "addresses: [10.0.0.5/24], gateway4: 10.0.1.1", "3:46 gateway", "can't be reached"),
    (E % "addresses: [10.0.0.5/24], gateway4: 10.0.0.5", "3:46 gateway", "own address"),
    (E % "routes: [{to: default, via: x}]", "3:38 gateway", "no IP address"),
    (E % "routes: [{to: 10.0.0/8, via: 10.0.0.1}]", "3:24 value", "no network"),
    (E % "nameservers: {addresses: [dns]}", "3:36 value", "no IP address"),
    (E % "macaddress: 52-54", "3:22 nic-link", "no MAC"),
    (E % "match: {macaddress: 52:54}, set-name: lan0", "3:30 nic-link", "no MAC"),
    (E % "match: {}", "3:17 nic-link", "says nothing"),
    (E % "set-name: lan0", "3:20 nic-link", "without `match`"),
    (E % "match: {name: e*}, set-name: a-name-of-16char", "3:39 nic-name", "16 characters"),
    ("version: 2\nethernets:\n  scbr-100: {}\n", "3:3 nic-name", "overlay"),
    ("version: 2\nethernets:\n  a-name-of-16char: {}\n", "3:3 nic-name", "characters"),
    ("version: 2\nvlans:\n  v: {id: 5}\n", "3:3 nic-link", "without `link`"),
    ("version: 2\nvlans:\n  v: {id: 5, link: eth9}\n", "3:20 nic-link", "not described"),
    ("version: 2\nvlans:\n  v: {id: 5000, link: v}\n", "3:11 value", "4094"),
    ("version: 2\nbonds:\n  b: {interfaces: [b]}\n", "3:20 nic-link", "itself"),
    ("version: 2\nbonds:\n  b: {}\n", "3:3 nic-link", "without `interfaces`"),
    ("version: 2\nethernets: {a: {}}\nbridges: {a: {}}\n", "3:11 nic-name", "`ethernets`"),
    ("version: 2\nethernets: {a: {addresses: [10.0.0.5/24]},\n  b: {addresses: [10.0.0.5/24]}}\n",
     "3:19 address-twice", "`a`"),
    ("version: 2\nethernets: {a: {gateway4: 10.0.0.1},\n  b: {gateway4: 10.0.0.1}}\n",
     "3:17 gateway-twice", "`a`"),
    ("version: 2\nrenderer: NetworkManager\n", "2:11 value", "networkd"),
    ("version: 2\nethernets: [\n", "3:1 syntax", "not YAML"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "place", "words"), WRONG)
def test_what_is_wrong(text: str, place: str, words: str) -> None:
    told = [
        (
            f"{one.position.line}:{one.position.column} {one.rule.name}",
            f"{one.found} {one.expected} {one.remedy}",
        )
        for one in findings(text, "n")
    ]
    assert any(at == place and words in said for at, said in told), told


@pytest.mark.parametrize(("text", "file", "it"), [
    (GOOD, "<stdin>", True),
    ("version: 2\nethernets: {}\n", "a.yaml", True),
    ("", "sites/network-config", True),
    ("#cloud-config\nnetwork: {}\n", "a.yaml", False),
    ("overlay: {}\nnetwork: {version: 2}\n", "a.yaml", False),
    ("version: 2\n", "a.yaml", False),
])  # fmt: skip
def test_what_is_a_network_config(text: str, file: str, it: bool) -> None:
    assert is_network_config(text, file) == it


def test_the_command(tmp_path: Path) -> None:
    path = tmp_path / "network-config"
    path.write_text("version: 2\nethernets: {eth0: {adresses: []}}\n")
    command = [sys.executable, "-m", "builder.cli"]
    done = subprocess.run([*command, "validate", str(path)], capture_output=True, text=True,
                          check=False, cwd=ROOT)  # fmt: skip
    assert done.returncode == 65
    assert f"{path}:2:20: error: unknown key `adresses`" in done.stdout
    done = subprocess.run([*command, "schema", "--network-config"], capture_output=True, text=True,
                          check=True, cwd=ROOT)  # fmt: skip
    assert json.loads(done.stdout) == network_config_schema()


def test_the_reference_is_up_to_date() -> None:
    assert (ROOT / "docs/network-config.md").read_text() == network_config_reference()


def test_a_misspelt_key_with_its_digit_is_shown() -> None:
    text = "version: 2\nethernets: {eth0: {gatway4: 10.0.0.1}}\n"
    [only] = findings(text, "f")
    assert "`gatway4`" in only.found and "`gateway4`" in only.remedy
