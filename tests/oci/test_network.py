"""The network block and network-config on whole hosts: real systemd, networkd, resolved, netplan.

The hosts are containers without a NIC of Docker's: what they have is a wire with a router. This
kernel has neither 8021q nor bonding, so VLANs and bonds are in the unit tier; a bridge is here.
"""

from __future__ import annotations

import ipaddress
import json
import os
import re
from collections.abc import Iterator
from typing import Any

import pytest

from tests.oci.conftest import OciImage
from tests.oci.host import Host, host
from tests.oci.site_network import GATEWAY, GATEWAY6, Router, router
from tests.site import Site
from tests.vm.harness.waiting import wait_until

pytestmark = [pytest.mark.oci, pytest.mark.timeout(420, func_only=True)]

MAC = "52:54:00:12:34:56"
USER_DATA = "/usr/lib/edge-overlay/user-data"
GOOD = "/var/lib/edge-overlay/network/last-good.json"
_POOL = ipaddress.ip_network("10.77.0.96/27"), ipaddress.ip_network("10.77.0.128/27")
_LIMIT_S = 60
"""Four tiers run side by side, on two processors: services take their time."""

STATIC = {
    "type": "static",
    "ipAddress": "10.77.0.25",
    "mask": "255.255.255.0",
    "gateway": GATEWAY,
    "nameserver": "10.77.0.53",
}


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    with router(tmp_path_factory.mktemp("site-network")) as made:
        made.serve_dhcp()
        yield made


@pytest.fixture(scope="module")
def hosts(oci_image: OciImage, wire: Router) -> Iterator[tuple[Host, Host]]:
    name = f"edge-test-net-{os.getpid()}"
    with (
        host(f"{name}-1", oci_image.tag, None) as one,
        host(f"{name}-2", oci_image.tag, None) as two,
    ):
        wire.plug(one, "lan0")
        wire.plug(one, "spare", MAC)
        wire.plug(two, "lan0")
        yield one, two


@pytest.fixture
def edge(hosts: tuple[Host, Host], wire: Router) -> Host:
    """The first host as after its installation, and the router as it should be."""
    wire.fall_silent()
    wire.answer(f"{GATEWAY}/24", f"{GATEWAY6}/64")
    one, _ = hosts
    one.run(
        "systemctl stop edge-overlay-network-watch.timer edge-overlay-network-watch.service;"
        "rm -rf /var/lib/edge-overlay/network /etc/systemd/network/* /etc/netplan/* "
        "/run/systemd/network/*; networkctl reload; "
        "for nic in lan0 spare; do ip address flush dev $nic scope global; done"
    )
    return one


def block(interfaces: dict[str, Any], **network: Any) -> dict[str, Any]:
    return {"site": {"network": {**network, "interfaces": interfaces}}}


def describe(
    edge: Host, site: Site, stylus: dict[str, Any] | str, network_config: str = ""
) -> None:
    """Give a host this description, as a boot would find it."""
    text = stylus if isinstance(stylus, str) else json.dumps(stylus)
    user_data = f"{site.user_data()}stylus: {text}\n"
    edge.run(f"rm -f {USER_DATA}; umask 077; cat > {USER_DATA} <<'EOF'\n{user_data}EOF")
    edge.run("systemctl reset-failed; systemctl restart edge-overlay-gather")
    if network_config:  # gather has no volume here: this is what it would have kept of one
        edge.run("mkdir -p /run/edge-overlay/volume; touch /run/edge-overlay/network-described")
        path = "/run/edge-overlay/volume/network-config"
        edge.run(f"cat > {path} <<'EOF'\n{network_config}EOF")
    edge.run("systemctl restart edge-overlay-network")


def addresses(edge: Host, nic: str) -> set[str]:
    said = json.loads(edge.run(f"ip -j address show dev {nic}"))
    return {
        f"{a['local']}/{a['prefixlen']}" for a in said[0]["addr_info"] if a["scope"] == "global"
    }


def leased(edge: Host, nic: str) -> bool:
    found = [ipaddress.ip_interface(a).ip for a in addresses(edge, nic)]
    return any(one in network for one in found for network in _POOL if one.version == 4)


def notice(edge: Host) -> dict[str, Any]:
    found = json.loads(edge.run("cat /run/edge-overlay/notices/network.json"))
    assert isinstance(found, dict)
    return found


def proved(edge: Host) -> None:
    wait_until("the configuration to be proved", lambda: notice(edge)["details"].get("proved"),
               _LIMIT_S, evidence=lambda: str(notice(edge)) + edge.evidence())  # fmt: skip


def gateways(edge: Host, nic: str) -> list[int]:
    """The metrics of a NIC's IPv4 default routes, the one in use first."""
    said = json.loads(edge.run("ip -j -4 route show default"))
    return sorted(int(route.get("metric", 0)) for route in said if route["dev"] == nic)


def test_without_a_description_nothing_starts(hosts: tuple[Host, Host]) -> None:
    _, two = hosts
    assert "condition" in two.try_run("systemctl status edge-overlay-network")[1]
    assert two.run("ls /run/systemd/network").split() == []


def test_a_static_nic_whole(edge: Host, site: Site) -> None:
    nic = STATIC | {
        "mtu": 1400, "addresses": ["fd77::25/64"], "gateway6": GATEWAY6,
        "routes": [{"to": "10.8.0.0/16", "via": "10.77.0.2", "metric": 5}],
        "searchDomains": ["nic.example"],
    }  # fmt: skip
    describe(edge, site, block({"lan0": nic}, nameserver="10.77.0.54, 10.77.0.55",
                               searchDomains=["site.example"]))  # fmt: skip
    proved(edge)
    # IPv4 proves it; the IPv6 address is tested for a second (RFC 4862), and its routes follow.
    wait_until("networkd's word", lambda: " configured" in edge.run("networkctl list lan0"),
               _LIMIT_S)  # fmt: skip
    assert addresses(edge, "lan0") == {"10.77.0.25/24", "fd77::25/64"}
    assert "inet6 fe80::" in edge.run("ip address show dev lan0")
    assert "mtu 1400" in edge.run("ip link show dev lan0")
    assert f"default via {GATEWAY} dev lan0" in edge.run("ip route")
    assert f"default via {GATEWAY6} dev lan0" in edge.run("ip -6 route")
    assert "10.8.0.0/16 via 10.77.0.2 dev lan0 proto static metric 5" in edge.run("ip route")
    said = edge.run("resolvectl dns; resolvectl domain")
    assert re.search(r"Global: 10\.77\.0\.54 10\.77\.0\.55", said), said
    assert re.search(r"\(lan0\): 10\.77\.0\.53\n", said), said
    assert "Global: site.example" in said and "(lan0): nic.example" in said
    edge.run(f"ping -q -c 1 -W 2 {GATEWAY}; ping -q -c 1 -W 2 {GATEWAY6}")
    assert notice(edge)["problems"] == []
    assert edge.run(f"stat -c %a {GOOD}").strip() == "600"
    modes = set(edge.run("stat -c %a:%G /run/systemd/network/*.network").split())
    assert modes == {"640:systemd-network"}
    timer = edge.try_run("systemctl is-active edge-overlay-network-watch.timer")[1].strip()
    assert timer == "inactive", "what is proved is not looked at again"


def test_dhcp_by_mac_and_others_keep_dhcp(edge: Host, site: Site) -> None:
    describe(edge, site, block({"office": {"match": {"macAddress": MAC}}}))
    wait_until("an address by DHCP", lambda: leased(edge, "spare"), _LIMIT_S)
    proved(edge)
    assert "zz-10-edge-office" in edge.run("networkctl status spare")
    assert "10.77.0.53" in edge.run("resolvectl dns spare")


def test_proxies_reach_services_started_later(edge: Host, site: Site) -> None:
    password = "do-not-show"
    url = f"http://u:{password}@proxy.example.org:3128"
    describe(edge, site, block({"lan0": STATIC}, noProxy=".example.org", httpProxy=url))
    said = edge.run("systemd-run --quiet --wait --pipe env")
    for name in ("HTTP_PROXY", "http_proxy"):
        assert f"\n{name}={url}\n" in f"\n{said}"
    for name in ("NO_PROXY", "no_proxy"):
        [line] = re.findall(rf"^{name}=(.*)$", said, re.MULTILINE)
        assert {".example.org", str(site.cidr), "localhost", "fe80::/10"} <= set(line.split(","))
    assert password in edge.run("bash -lc env"), "people who log in"
    assert edge.run("stat -c %a:%G /run/edge-overlay/proxy.sh").strip() == "640:sudo"
    proved(edge)
    assert password not in edge.run("edge-overlay status --json; cat /run/edge-overlay/notices/*")
    assert password not in edge.run("journalctl -b --no-pager -u 'edge-overlay*'")
    describe(edge, site, block({"lan0": STATIC}))
    assert "PROXY" not in edge.run("systemd-run --quiet --wait --pipe env; bash -lc env").upper()


def test_network_config_wins_and_makes_a_bridge(edge: Host, site: Site) -> None:
    config = f"""\
network:
  version: 2
  ethernets:
    port: {{match: {{macaddress: {MAC}}}}}
  bridges:
    br7: {{interfaces: [port], addresses: [10.77.0.31/24], parameters: {{stp: false}},
          routes: [{{to: default, via: {GATEWAY}}}]}}
"""
    describe(edge, site, block({"lan0": STATIC}), config)
    wait_until("the bridge", lambda: edge.try_run("ip link show dev br7")[0] == 0, _LIMIT_S)
    proved(edge)
    assert addresses(edge, "br7") == {"10.77.0.31/24"}
    assert "master br7" in edge.run("ip link show dev spare")
    assert "10.77.0.25/24" not in addresses(edge, "lan0")
    assert any("cidata:/network-config counts" in n for n in notice(edge)["details"]["notes"])
    edge.run("ip link delete br7; rm -rf /run/edge-overlay/volume")


def test_version_1_is_told(edge: Host, site: Site) -> None:
    describe(edge, site, block({}), "version: 1\nconfig: []\n")
    [first, *more] = notice(edge)["problems"]
    assert "DHCP" in first
    assert any("network-config:1:10" in one and "version 2" in one for one in more), more
    edge.run("rm -rf /run/edge-overlay/volume")


def test_a_bad_nic_gets_dhcp_and_takes_none_with_it(edge: Host, site: Site) -> None:
    bad = block({"lan0": STATIC | {"ipAddress": "10.77.0.300"},
                 "spare": STATIC | {"ipAddress": "10.77.0.26"}})  # fmt: skip
    describe(edge, site, bad)
    wait_until("an address by DHCP", lambda: leased(edge, "lan0"), _LIMIT_S)
    wait_until("the other NIC's", lambda: "10.77.0.26/24" in addresses(edge, "spare"), _LIMIT_S)
    shown = edge.try_run("edge-overlay status")[1]
    assert "DHCP instead on lan0" in shown and f"{USER_DATA}:" in shown, shown


def test_the_last_good_is_used_after_a_bad_one(edge: Host, site: Site) -> None:
    describe(edge, site, block({"lan0": STATIC}))
    proved(edge)
    describe(edge, site, block({"lan0": STATIC | {"mask": "255.0.255.0"}}))
    assert addresses(edge, "lan0") == {"10.77.0.25/24"}
    problems = notice(edge)["problems"]
    assert "last good" in problems[0] and "mask" in problems[1], problems
    assert notice(edge)["details"]["in_effect"] == "last good"
    good = edge.run(f"cat {GOOD}")
    describe(edge, site, "{site: {network: {interfaces: {lan0: [}}}}")
    assert addresses(edge, "lan0") == {"10.77.0.25/24"}
    assert edge.run(f"cat {GOOD}") == good


def test_a_silent_gateway_means_dhcp_besides_and_back(edge: Host, site: Site, wire: Router) -> None:
    describe(edge, site, block({"lan0": STATIC | {"gateway": "10.77.0.9"}}))
    wait_until("its address", lambda: addresses(edge, "lan0") == {"10.77.0.25/24"}, _LIMIT_S)
    edge.run("ip monitor address > /tmp/monitor & sleep 0.2")
    wait_until("DHCP besides", lambda: leased(edge, "lan0"), 120, evidence=edge.evidence)
    assert "10.77.0.25/24" in addresses(edge, "lan0"), "the static address stays"
    # A lease's address comes first, its route when the address is there.
    wait_until("both routes", lambda: len(gateways(edge, "lan0")) == 2, _LIMIT_S)
    dhcp, dead = gateways(edge, "lan0")
    assert dhcp < dead
    assert f"via {GATEWAY} " in edge.run("ip route get 192.0.2.1"), "DHCP's route is in use"
    wait_until("what is told of it", lambda: notice(edge)["problems"], _LIMIT_S)
    problems = notice(edge)["problems"]
    assert "DHCP is asked besides" in problems[0] and "10.77.0.9" in problems[1], problems
    edge.run("edge-overlay network watch")
    assert leased(edge, "lan0"), "it stays so while the gateway is silent"
    wire.answer("10.77.0.9/24")
    proved_by_timer = 100
    wait_until("what was asked for", lambda: not leased(edge, "lan0"), proved_by_timer,
               evidence=edge.evidence)  # fmt: skip
    proved(edge)
    assert gateways(edge, "lan0") == [0]
    assert notice(edge)["problems"] == []
    seen = edge.run("cat /tmp/monitor")
    assert re.search(r"^\d+: lan0 +inet 10\.77\.0\.1", seen, re.MULTILINE), "it watched"
    lost = re.findall(r"^Deleted.* inet6? (?:10\.77\.0\.25|fe80:)\S*", seen, re.MULTILINE)
    assert lost == [], "what is in use stays, there and back"


def test_the_last_good_is_used_while_no_dhcp_server_answers(
    edge: Host, site: Site, wire: Router
) -> None:
    describe(edge, site, block({"lan0": STATIC}))
    proved(edge)
    wire.stop_dhcp()
    edge.run("ip link set spare down")  # its lease would be a way out
    try:
        describe(edge, site, block({"lan0": {"type": "dhcp"}}))
        wait_until("the last good", lambda: notice(edge)["details"]["in_effect"] == "last good",
                   120)  # fmt: skip
        wait_until("its address", lambda: addresses(edge, "lan0") == {"10.77.0.25/24"}, _LIMIT_S)
        edge.run("edge-overlay network watch")
        assert notice(edge)["details"]["in_effect"] == "last good"
    finally:
        wire.serve_dhcp()
    wait_until("a lease besides", lambda: leased(edge, "lan0"), 120, evidence=edge.evidence)
    edge.run("edge-overlay network watch")
    wait_until("what was asked for", lambda: leased(edge, "lan0") and (
        "10.77.0.25/24" not in addresses(edge, "lan0")), _LIMIT_S)  # fmt: skip
    proved(edge)


def test_the_last_good_is_used_while_a_new_gateway_is_silent(
    edge: Host, site: Site, wire: Router
) -> None:
    describe(edge, site, block({"lan0": STATIC}))
    proved(edge)
    describe(edge, site, block({"lan0": STATIC | {"ipAddress": "10.77.9.25",
                                                  "gateway": "10.77.9.1"}}))  # fmt: skip
    wait_until("the last good", lambda: notice(edge)["details"]["in_effect"] == "last good", 120)
    wait_until("its address", lambda: addresses(edge, "lan0") == {"10.77.0.25/24"}, _LIMIT_S)
    edge.run(f"ping -q -c 1 -W 2 {GATEWAY}")
    wire.answer("10.77.9.1/24")
    edge.run("edge-overlay network watch")
    wait_until("what was asked for", lambda: "10.77.9.25/24" in addresses(edge, "lan0"), _LIMIT_S)
    proved(edge)


def test_an_operators_file_wins(edge: Host, site: Site) -> None:
    text = f"[Match]\nName=lan0\n[Network]\nAddress=10.77.0.41/24\nGateway={GATEWAY}\n"
    path = "/etc/systemd/network/my-lan.network"
    edge.run(f"mkdir -p /etc/systemd/network; cat > {path} <<'EOF'\n{text}EOF")
    describe(edge, site, block({"lan0": STATIC}))
    wait_until("its address", lambda: addresses(edge, "lan0") == {"10.77.0.41/24"}, _LIMIT_S)
    proved(edge)
    assert any("my-lan.network" in one for one in notice(edge)["details"]["notes"])
    assert edge.try_run(f"cat {GOOD}")[0] != 0, "nothing was proved about ours"


def test_the_overlays_links_are_left_alone_by_every_pattern(edge: Host, site: Site) -> None:
    describe(edge, site, block({"all": {"match": {"name": "*"}}}))
    proved(edge)
    listed = json.loads(edge.run("networkctl list --json=short"))["Interfaces"]
    states = {one["Name"]: one["AdministrativeState"] for one in listed}
    ours = {name for name in states if name.startswith(("scbr", "edge-vx"))} | {"lo"}
    assert "scbr-100" in ours
    assert {states[name] for name in ours} == {"unmanaged"}, states


WAYS = {
    "user-data": "",
    "a file": "printf '[Match]\\nName=lan0\\n[Network]\\nAddress=10.77.0.51/24\\n' "
              "> /etc/systemd/network/50-static.network; networkctl reload",
    "networkctl edit": "printf '[Network]\\nAddress=10.77.0.52/24\\n' "
                       "| networkctl edit --stdin --drop-in=own.conf @lan0",
    "netplan": "echo '{network: {version: 2, ethernets: {lan0: {addresses: [10.77.0.54/24]}}}}' "
               "> /etc/netplan/own.yaml; systemctl daemon-reload; networkctl reload",
    "a console": "ip address add 10.77.0.53/24 dev lan0",
}  # fmt: skip


def test_networkd_leaves_the_vip_where_it_is(edge: Host, site: Site) -> None:
    """kube-vip#173. On physical NICs a restart of networkd takes addresses of services away, and
    kube-vip puts them back (tests/kubernetes/test_manifest.py)."""
    describe(edge, site, block({"lan0": STATIC}))
    proved(edge)
    wait_until("the overlay", lambda: edge.overlay().get("state") == "up", _LIMIT_S)
    vip, service = f"{edge.overlay()['overlay']['vip']}/32", "10.77.0.200/32"
    for address, nic in ((vip, "scbr-100"), (service, "lan0")):
        edge.run(f"ip address add {address} dev {nic} preferred_lft 0")
    edge.run("networkctl reload; sleep 1")
    assert {vip, service} <= addresses(edge, "scbr-100") | addresses(edge, "lan0")
    for command in ("systemctl restart systemd-networkd", "networkctl reconfigure lan0",
                    "systemctl kill -s KILL edge-overlay"):  # fmt: skip
        edge.run(f"{command}; sleep 2")
        assert vip in addresses(edge, "scbr-100"), command


@pytest.mark.parametrize("way", WAYS)
def test_the_overlay_works_over_a_static_address_of_each_kind(
    edge: Host, hosts: tuple[Host, Host], site: Site, way: str
) -> None:
    _, two = hosts
    describe(two, site, block({"lan0": STATIC | {"ipAddress": "10.77.0.60"}}))
    describe(edge, site, block({"lan0": STATIC} if way == "user-data" else {"lan0": {}}))
    edge.run(f"mkdir -p /etc/systemd/network; {WAYS[way]}")
    number = dict(zip(WAYS, (25, 51, 52, 54, 53), strict=True))[way]
    wait_until("the address", lambda: f"10.77.0.{number}/24" in addresses(edge, "lan0"), _LIMIT_S,
               evidence=lambda: str(notice(edge)) + edge.evidence())  # fmt: skip

    def overlay_address() -> Any:
        return two.overlay().get("overlay", {}).get("address")

    peer = wait_until("the other host's overlay address", overlay_address, _LIMIT_S)

    def seen() -> bool:
        known = [p for p in two.overlay().get("peers", ()) if p["state"] == "up"]
        return any(f"10.77.0.{number}" in json.dumps(p["physical"]) for p in known)

    wait_until("the other host to know it", seen, _LIMIT_S, evidence=edge.evidence)
    edge.run(f"ping -q -c 3 -i 0.2 -W 2 -I scbr-100 {peer}")


def test_a_boot_with_a_description(edge: Host, site: Site, wire: Router) -> None:
    """The host starts over, and finds its NIC later: as with one that is plugged in."""
    describe(edge, site, block({"lan0": STATIC}, httpProxy="http://proxy.example.org:3128"))
    edge.container.restart(timeout=20)
    wait_until("the end of its boot", edge.booted, 120, evidence=edge.evidence)
    when = {
        unit: int(edge.run(f"systemctl show --value -p {which} {unit}"))
        for unit, which in (("edge-overlay-network", "ActiveEnterTimestampMonotonic"),
                            ("systemd-networkd", "InactiveExitTimestampMonotonic"))
    }  # fmt: skip
    assert 0 < when["edge-overlay-network"] <= when["systemd-networkd"], when
    pid = edge.run("systemctl show --value -p MainPID edge-overlay").strip()
    environment = edge.run(f"tr '\\0' '\\n' < /proc/{pid}/environ")
    assert "HTTPS_PROXY" not in environment
    assert "\nhttp_proxy=http://proxy.example.org:3128\n" in f"\n{environment}"
    wire.plug(edge, "lan0")
    proved(edge)
    assert addresses(edge, "lan0") == {"10.77.0.25/24"}
    assert edge.run("systemctl is-system-running").strip() == "running", edge.evidence()
