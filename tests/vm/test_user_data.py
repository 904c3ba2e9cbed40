"""User-data as sites write it: stages, the network block, a network-config, on a whole host.

`static` has a VMXNET3 NIC, the README's stage for it, and a static address by the network block,
which names no NIC but a driver. `bonded` has two NICs that a network-config (cloud-init's version
2) makes a bond, by DHCP. Both have a VLAN, which this machine's own kernel can't make.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

import pytest

from tests.site import REPOSITORY, Site
from tests.vm.conftest import Told
from tests.vm.harness.guest import Guest, guest
from tests.vm.harness.machine import Machine
from tests.vm.harness.segment import segment
from tests.vm.harness.volume import cidata
from tests.vm.harness.waiting import wait_until

pytestmark = [pytest.mark.vm, pytest.mark.timeout(900)]

NETWORK = IPv4Network("10.94.0.0/24")
STATIC = IPv4Address("10.94.0.20")
_OVERLAY_LIMIT_S = 90

_NETWORK_BLOCK = """\
stylus:
  site:
    network:
      httpProxy: http://proxy.example.org:3128
      noProxy: 10.0.0.0/8
      nameserver: 10.94.0.1
      searchDomains: [plant.example]
      interfaces:
        uplink:
          match: {driver: vmxnet3}
          type: static
          ipAddress: 10.94.0.20
          mask: 255.255.255.0
          gateway: 10.94.0.1
          mtu: 1450
          addresses: ["fd00:94::20/64"]
          routes:
            - {to: 10.200.0.0/16, via: 10.94.0.2}
        lan7:
          type: static
          vlan: {id: 7, link: uplink}
          ipAddress: 10.97.0.20/24
"""

_STAGES = """\
  rootfs:
    - commands: [echo rootfs >> /run/order]
  initramfs.after:
    - commands:
        - echo initramfs.after >> /run/order
        - test -e /run/systemd/netif/state && echo networkd was first >> /run/order
  fs:
    - commands: [echo fs >> /run/order]
  boot:
    - name: slow
      commands: [sleep 3]
    - name: boot
      files:
        - path: /etc/greeting
          permissions: 0640
          content: "hello from {{ .Values.node.hostname }}\\n"
      sysctl: {net.ipv4.conf.all.log_martians: 1}
      commands: [echo boot >> /run/order]
    - name: broken
      commands: [exit 7]
  network:
    - commands: [echo network >> /run/order, ip -4 route show default > /run/route]
"""

_NETWORK_CONFIG = """\
version: 2
ethernets:
  one: {match: {macaddress: "%s"}}
  two: {match: {macaddress: "%s"}}
bonds:
  bond0:
    interfaces: [one, two]
    parameters: {mode: active-backup, mii-monitor-interval: 100, primary: one}
    macaddress: "%s"
    dhcp4: true
    dhcp-identifier: mac
vlans:
  lan7: {id: 7, link: bond0, addresses: [10.97.0.30/24]}
"""


def readme_stage() -> str:
    """The stage that README.md shows for VMXNET3 NICs."""
    text = (REPOSITORY / "README.md").read_text()
    [found] = re.findall(r"^```yaml\n(stages:\n.*?udp_tnl.*?)```", text, re.DOTALL | re.MULTILINE)
    return str(found)


@dataclass
class Lab:
    """The two hosts."""

    static: Guest
    bonded: Guest

    @property
    def guests(self) -> tuple[Guest, Guest]:
        return self.static, self.bonded


@pytest.fixture(scope="module")
def lab(iso_image: Path, site: Site, evidence: Path, tell: Told) -> Iterator[Lab]:
    """Both hosts, booted at the same time, answering by SSH."""
    with ExitStack() as stack:
        switch = stack.enter_context(segment(evidence / "user-data", NETWORK))
        text = site.user_data() + readme_stage() + _STAGES + _NETWORK_BLOCK
        (switch.directory / "static").mkdir(exist_ok=True)
        (switch.directory / "bonded").mkdir(exist_ok=True)
        first = Machine("static", iso_image, "bios", "cd", "vmxnet3", address=STATIC)
        second = Machine("bonded", iso_image, further_nics=("virtio-net-pci",))
        config = _NETWORK_CONFIG % (*second.macs, second.mac)
        volumes = (
            cidata(switch.directory / "static", "iso9660", text),
            cidata(switch.directory / "bonded", "vfat", site.user_data(), network_config=config),
        )
        machines = (replace(first, volumes=volumes[:1]), replace(second, volumes=volumes[1:]))
        made = [stack.enter_context(guest(m, switch, site.account)) for m in machines]
        for each in made:
            each.wait_for_shell()
            tell(f"{each.machine.name}: SSH {each.seconds_since_power_on():.0f} s after power on")
        yield Lab(*made)


def test_the_boot_ends_whole(lab: Lab) -> None:
    for each in lab.guests:
        state = each.shell().try_run("systemctl is-system-running --wait", limit_s=180)
        failed = each.run("systemctl --failed --plain --no-legend")
        assert state.stdout.strip() == "running", f"{each.machine.name}: {state.stdout}{failed}"


def test_stages_ran_in_their_order(lab: Lab) -> None:
    order = lab.static.run("cat /run/order").split()
    assert order == ["rootfs", "initramfs.after", "fs", "boot", "network"]
    assert "default via 10.94.0.1" in lab.static.run("cat /run/route")


def test_a_step_does_what_it_says_and_a_broken_one_is_told(lab: Lab) -> None:
    host = lab.static
    assert host.run("sudo cat /etc/greeting") == f"hello from {host.run('hostname')}"
    assert host.run("stat -c %a /etc/greeting").strip() == "640"
    assert host.run("cat /proc/sys/net/ipv4/conf/all/log_martians").strip() == "1"
    problems = [text for text in host.overlay()["problems"] if "broken" in text]
    assert len(problems) == 1 and "boot" in problems[0] and "7" in problems[0], problems
    assert "broken" in host.run("sudo journalctl --no-pager --boot --priority=warning")
    assert "broken" in host.console.read_text(errors="replace")
    assert lab.bonded.overlay()["problems"] == []


def test_the_readmes_stage_finds_vmxnet3_without_a_name(lab: Lab) -> None:
    nic = lab.static.overlay()["underlay"][0]["name"]
    features = lab.static.run(f"sudo ethtool -k {nic}")
    for feature in ("tx-udp_tnl-segmentation", "tx-udp_tnl-csum-segmentation"):
        assert f"{feature}: off" in features


def test_static_addresses_by_driver(lab: Lab) -> None:
    host = lab.static
    nic = host.run("ls /sys/bus/pci/drivers/vmxnet3/*/net").strip()
    link = json.loads(host.run(f"ip -j address show {nic}"))[0]
    assert link["mtu"] == 1450
    found = {f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"]}
    assert {"10.94.0.20/24", "fd00:94::20/64"} <= found
    assert any(a["local"].startswith("fe80:") for a in link["addr_info"]), "the transport's own"
    assert not any(a.get("dynamic") for a in link["addr_info"] if a["family"] == "inet")
    routes = host.run("ip -4 route")
    assert f"default via 10.94.0.1 dev {nic} proto static" in routes
    assert f"10.200.0.0/16 via 10.94.0.2 dev {nic} proto static" in routes
    names = host.run("resolvectl dns; resolvectl domain")
    assert "10.94.0.1" in names and "plant.example" in names


def test_services_see_the_proxy(lab: Lab, site: Site) -> None:
    environment = lab.static.run("sudo systemd-run --quiet --pipe --wait env")
    assert "HTTP_PROXY=http://proxy.example.org:3128" in environment
    [without] = re.findall(r"^NO_PROXY=(.*)$", environment, re.MULTILINE)
    assert {"10.0.0.0/8", str(site.cidr)} <= set(without.split(","))


def test_a_bond_carries_on_by_its_other_nic(lab: Lab) -> None:
    host = lab.bonded
    state = host.run("cat /proc/net/bonding/bond0")
    assert "Bonding Mode: fault-tolerance (active-backup)" in state
    assert state.count("Slave Interface:") == 2
    assert f"inet {host.address()}/24" in host.run("ip -4 address show bond0")
    host.set_cable(plugged=False)
    host.wait_for_shell(60)
    host.set_cable(plugged=True)


def test_vlans_reach_each_other(lab: Lab) -> None:
    lab.static.run("ping -q -c 3 -i 0.2 -W 2 10.97.0.30")
    assert "vlan protocol 802.1Q id 7" in lab.static.run("ip -d link show lan7")


def test_the_overlay_is_up_over_both(lab: Lab, site: Site) -> None:
    def know_each_other() -> bool:
        seen = [each.overlay() for each in lab.guests]
        return all(
            one.get("state") == "up" and [p["state"] for p in one["peers"]] == ["up"]
            for one in seen
        )

    def evidence() -> str:
        return "\n".join(json.dumps(each.overlay(), indent=1) for each in lab.guests)

    wait_until("both in the overlay", know_each_other, _OVERLAY_LIMIT_S, evidence=evidence)
    address = lab.bonded.overlay()["overlay"]["address"]
    assert site.usable(address)
    lab.static.run(f"ping -q -c 3 -i 0.2 -W 2 -I scbr-100 {address}")


def test_the_good_configuration_is_remembered(lab: Lab) -> None:
    def proved() -> bool:
        return all("network" in each.overlay()["notices"] for each in lab.guests)

    wait_until("the network to be judged", proved, 120)
    for each in lab.guests:
        told = each.overlay()
        assert not [text for text in told["problems"] if "network" in text], told["problems"]
