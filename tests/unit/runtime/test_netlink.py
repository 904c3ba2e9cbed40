"""The netlink codec, against pyroute2's decoder as second opinion, and against broken messages."""

from __future__ import annotations

import ipaddress
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from overlay_runtime.kernel import messages as rtnl
from overlay_runtime.kernel.model import Remote
from overlay_runtime.kernel.netlink import (
    HEADER,
    Netlink,
    NetlinkError,
    Request,
    attribute,
    attributes,
    nested,
    number,
    string,
    text,
    u32,
)

MAC = "02:00:00:00:00:07"


def _decoded(kind: type[Any], request: Request) -> Any:
    """Let pyroute2 read a request."""
    frame = HEADER.pack(HEADER.size + len(request.body), request.kind, request.flags, 1, 1)
    message = kind(frame + request.body)
    message.decode()
    return message


@pytest.mark.parametrize("over6", [True, False])
def test_a_vxlan_device_as_pyroute2_reads_it(over6: bool) -> None:
    read = _decoded(ifinfmsg, rtnl.make_vxlan("v", MAC, 1430, 100, 4797, over6=over6))
    assert (read.get("ifname"), read.get("address"), read.get("mtu")) == ("v", MAC, 1430)
    assert read.get(("linkinfo", "kind")) == "vxlan"
    told = read.get(("linkinfo", "data"))
    assert (told.get("vxlan_id"), told.get("vxlan_port"), told.get("vxlan_learning")) == (
        100, 4797, 0,
    )  # fmt: skip
    assert told.get("vxlan_local6") == ("::" if over6 else None)


def test_a_bridge_and_a_port_as_pyroute2_reads_them() -> None:
    read = _decoded(ifinfmsg, rtnl.make_bridge("b", MAC, 1500))
    told = read.get(("linkinfo", "data"))
    assert (told.get("br_stp_state"), told.get("br_mcast_snooping")) == (0, 0)
    port = _decoded(ifinfmsg, rtnl.set_port(9))
    assert (port["family"], port["index"]) == (7, 9)


@pytest.mark.parametrize("address", ["100.64.192.7/23", "fd00::7/64"])
def test_an_address_as_pyroute2_reads_it(address: str) -> None:
    interface = ipaddress.ip_interface(address)
    read = _decoded(ifaddrmsg, rtnl.add_address(5, interface))
    assert read.get("local") == str(interface.ip)
    assert (read["prefixlen"], read["index"]) == (interface.network.prefixlen, 5)
    assert read.get("flags") & 0x200  # without the kernel's own route
    if interface.version == 4:
        assert read.get("broadcast") == "100.64.193.255"


@pytest.mark.parametrize("network", ["100.64.192.0/23", "fd00::/64"])
def test_a_route_as_pyroute2_reads_it(network: str) -> None:
    route = rtnl.add_route(ipaddress.ip_network(network), 5, metric=77, mtu=1380)
    read = _decoded(rtmsg, route)
    assert f"{read.get('dst')}/{read['dst_len']}" == network
    assert (read.get("oif"), read.get("priority")) == (5, 77)
    assert read.get(("metrics", "mtu")) == 1380


@pytest.mark.parametrize(("remote", "via"), [("10.9.0.2", None), ("fe80::2", 3)])
def test_forwarding_entries_as_pyroute2_reads_them(remote: str, via: int | None) -> None:
    entry = rtnl.fdb_entry(5, MAC, Remote(remote, via), remove=False, append=True)
    read = _decoded(ndmsg, entry)
    assert (read["family"], read["ifindex"], read["flags"]) == (7, 5, rtnl.NTF_SELF)
    assert (read.get("lladdr"), read.get_attr("NDA_IFINDEX")) == (MAC, via)
    assert entry.flags == 0x400 | 0x800
    # pyroute2 reads NDA_DST by the family AF_BRIDGE as bytes or as text: compare what is in it.
    assert ipaddress.ip_address(remote).packed in entry.body
    known = _decoded(ndmsg, rtnl.neighbour(5, "100.64.192.9", MAC, remove=False))
    assert (known.get("dst"), known.get("lladdr"), known["state"]) == ("100.64.192.9", MAC, 0x80)


@given(st.lists(st.tuples(st.integers(0, 0x3FFF), st.binary(max_size=40)), max_size=9))
def test_attributes_are_read_as_written(items: list[tuple[int, bytes]]) -> None:
    assert attributes(b"".join(attribute(kind, data) for kind, data in items)) == dict(items)


@given(st.binary(max_size=200), st.integers(0, 8))
def test_any_bytes_are_read_without_an_error(data: bytes, offset: int) -> None:
    for value in attributes(data, offset).values():
        number(value)
        string(value)


def test_numbers_texts_and_nesting() -> None:
    inner = attributes(attributes(nested(3, u32(1, 70000), text(2, "scbr-100")))[3])
    assert number(inner[1]) == 70000
    assert string(inner[2]) == "scbr-100"
    assert number(None) == 0
    assert string(None) == ""


def test_the_kernel_says_what_it_refuses_and_goes_on_with_the_rest() -> None:
    with _Socket() as netlink:
        wrong = rtnl.delete_link(2**30)
        right = Request(rtnl.NEWLINK, 0, rtnl.IFINFO.pack(0, 0, 1, 0, 0))  # lo, as it is
        told = netlink.batch([right, wrong] * 200)
        assert [type(each) for each in told[:3]] == [type(None), NetlinkError, type(None)]
        assert len(told) == 400
        assert told[1] is not None
        assert told[1].errno == 19  # ENODEV
        with pytest.raises(NetlinkError, match="No such device"):
            netlink.request(wrong)
        links = netlink.dump(rtnl.GETLINK, rtnl.IFINFO.pack(0, 0, 0, 0, 0))
        assert any(string(attributes(m, rtnl.IFINFO.size)[rtnl.IFLA_IFNAME]) == "lo" for m in links)


def test_a_question_about_what_is_not_there_has_no_answer() -> None:
    with _Socket() as netlink:
        nobody = rtnl.ask_neighbour(1, ipaddress.ip_address("192.0.2.1"))
        assert netlink.get(rtnl.GETNEIGH, nobody) is None
        with pytest.raises(NetlinkError):
            netlink.get(rtnl.GETNEIGH, struct.pack("=B", 255))


class _Socket:
    def __enter__(self) -> Netlink:
        self._netlink = Netlink()
        return self._netlink

    def __exit__(self, *_: object) -> None:
        self._netlink.close()
