"""What follows from what was seen of the devices."""

from __future__ import annotations

import ipaddress

import pytest

from overlay_runtime.network.bundle import Bundle, Device
from overlay_runtime.network.nics import Nic
from overlay_runtime.network.verify import Findings, Verdict, look

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


@pytest.mark.parametrize(("match", "words"), [
    ("Driver=vmxnet3", "means 2 NICs, and all have its static address: ens192, ens224"),
    ("Name=ens*", "means 2 NICs"),
    ("Name=ens192", ""),
    ("PermanentMACAddress=52:54:00:12:34:56", ""),
])  # fmt: skip
def test_several_nics_with_one_static_address(
    match: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fault: it works by chance, and falling back would not make it better."""
    nics = {name: Nic(name, "52:54:00:12:34:56", "vmxnet3", True, "", False, True)
            for name in ("ens192", "ens224")}  # fmt: skip
    monkeypatch.setattr("overlay_runtime.network.verify.read_nics", lambda: nics)
    text = f"[Match]\n{match}\n\n[Network]\nAddress=10.0.0.5/24\n"
    bundle = Bundle("f", (TILL,), {"systemd/network/zz-10-edge-till.network": text})
    found = look(bundle, in_effect=True)
    assert found.good
    assert words in " ".join(found.warnings) and bool(words) == bool(found.warnings)
