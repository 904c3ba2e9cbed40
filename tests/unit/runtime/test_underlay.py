"""What counts as physical, and what overlaps."""

from __future__ import annotations

import ipaddress

import pytest

from overlay_runtime.kernel.model import Link, LinkAddress
from overlay_runtime.underlay import Route, find_nics, overlap
from tests.unit.runtime.samples import CIDR


def _link(name: str, kind: str = "", index: int = 2, **changes: object) -> Link:
    fields: dict[str, object] = {"mac": "", "mtu": 1500, "up": True, "carrier": True}
    return Link(index, name, kind, **{**fields, **changes})  # type: ignore[arg-type]


def _address(text: str, index: int = 2, *, usable: bool = True) -> LinkAddress:
    return LinkAddress(index, ipaddress.ip_interface(text), usable)


@pytest.mark.parametrize(
    ("link", "counts"),
    [
        (_link("ens192"), True), (_link("eth0", "veth"), True), (_link("bond0", "bond"), True),
        (_link("eth0.7", "vlan"), True), (_link("lan", "bridge"), True), (_link("wlp3s0"), True),
        (_link("lo", loopback=True), False), (_link("eth0", up=False), False),
        (_link("eth0", carrier=False), False), (_link("scbr-100", "bridge"), False),
        (_link("edge-vx4", "vxlan"), False), (_link("flannel.1", "vxlan"), False),
        (_link("docker0", "bridge"), False), (_link("br-0123456789ab", "bridge"), False),
        (_link("veth1a2b", "veth"), False), (_link("cali12", "veth"), False),
        (_link("cni0", "bridge"), False), (_link("wg0", "wireguard"), False),
        (_link("tun0", "tun"), False), (_link("edgevpn0", "tun"), False),
        (_link("incusbr0", "bridge"), False), (_link("vboxnet0"), False),
        (_link("mpqemubr0", "bridge"), False),
        (_link("nodelocaldns", "dummy"), False), (_link("ppp0", ethernet=False), False),
    ],
)  # fmt: skip
def test_what_is_physical(link: Link, counts: bool) -> None:
    assert bool(find_nics([link], [_address("10.0.0.1/24")], (), CIDR)) is counts


def test_members_of_a_bridge_are_used_through_it() -> None:
    bridge, member = _link("lan", "bridge", 3), _link("eth0", master=3)
    found = find_nics([bridge, member], [_address("10.0.0.1/24", 3)], (), CIDR)
    assert [nic.name for nic in found] == ["lan"]
    assert find_nics([bridge, member], [_address("10.0.0.1/24")], (), CIDR) == ()
    vrf = _link("red", "vrf", 3)
    assert [nic.name for nic in find_nics([vrf, member], [], (), CIDR)] == ["eth0"]


def test_chosen_names() -> None:
    links = [_link("eth0"), _link("veth9", "veth", 3), _link("scbr-100", "bridge", 4)]
    assert [nic.name for nic in find_nics(links, [], ("veth*",), CIDR)] == ["veth9"]
    assert [nic.name for nic in find_nics(links, [], ("*",), CIDR)] == ["eth0", "veth9"]


def test_addresses_that_can_be_used() -> None:
    addresses = [
        _address("10.0.0.1/24"), _address("100.64.192.9/32"), _address("fe80::1/64"),
        _address("240.0.0.9/24"), _address("127.0.0.5/8"), _address("224.0.0.9/24"),
        _address("fe80::2/64", usable=False), _address("fd00::1/64"),
    ]  # fmt: skip
    [nic] = find_nics([_link("eth0")], addresses, (), CIDR)
    assert [str(a) for a in (*nic.v4, *nic.ll)] == ["10.0.0.1/24", "fe80::1"]
    assert nic.usable


def test_overlap_names_the_range() -> None:
    links = [_link("eth0"), _link("scbr-100", "bridge", 3)]
    ours = [_address("100.64.192.9/23", 3)]
    route = [Route(CIDR, "scbr-100"), Route(ipaddress.ip_network("fd00::/8"), "eth0")]
    assert overlap(CIDR, links, ours, route) is None
    assert overlap(CIDR, links, [_address("100.64.193.1/30")], []) == "100.64.193.1/30 on eth0"
    wide = Route(ipaddress.ip_network("100.64.0.0/10"), "eth0")
    assert overlap(CIDR, links, ours, [wide]) == "the route to 100.64.0.0/10 through eth0"
    default = Route(ipaddress.ip_network("0.0.0.0/0"), "eth0")
    assert overlap(CIDR, links, ours, [default]) is None
