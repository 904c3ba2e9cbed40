"""What follows from what was seen of the devices."""

from __future__ import annotations

import ipaddress

import pytest

from overlay_runtime.network.bundle import Device
from overlay_runtime.network.verify import Findings, Verdict

LAN = Device("lan", "f:1:1", gateways=(ipaddress.ip_address("10.0.0.1"),), static=True)
WAN = Device("wan", "f:2:1", dhcp=True)
TILL = Device("till", "f:3:1", static=True)


@pytest.mark.parametrize(("verdicts", "good", "works", "cut_off"), [
    ([], True, True, False),
    ([Verdict(LAN, proved=True)], True, True, False),
    ([Verdict(LAN, fault="silent")], False, False, True),
    ([Verdict(LAN, proved=True), Verdict(WAN)], True, True, False),
    ([Verdict(LAN, fault="silent"), Verdict(WAN, proved=True)], False, False, False),
    ([Verdict(WAN)], False, False, True),
    ([Verdict(WAN, proved=True), Verdict(TILL, fault="no link")], False, True, False),
    ([Verdict(TILL, proved=True)], True, True, False),
    ([Verdict(TILL)], False, True, False),
])  # fmt: skip
def test_what_follows(verdicts: list[Verdict], good: bool, works: bool, cut_off: bool) -> None:
    found = Findings(verdicts)
    assert (found.good, found.works, found.cut_off) == (good, works, cut_off)


def test_a_silent_dhcp_server_is_told_if_nothing_else_works() -> None:
    assert "no DHCP server answers `wan`" in Findings([Verdict(WAN)]).in_words[0]
    assert Findings([Verdict(LAN, proved=True), Verdict(WAN)]).in_words == []
