"""Whether a configuration holds on site: are its NICs there, and do its gateways answer."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from overlay_runtime.address import IPAddress
from overlay_runtime.network.ask import answers
from overlay_runtime.network.bundle import NETWORK_DIR, PREFIX, Bundle, Device
from overlay_runtime.network.nics import Nic, matching, read_nics

_ASK_S = 1.0


@dataclass(frozen=True)
class Verdict:
    """What was found about a device. `fault` is what is wrong, in words; `note` is worth knowing.

    `proved`: it was seen to work. Neither proved nor a fault: a NIC that may be without a cable.
    """

    device: Device
    proved: bool = False
    fault: str = ""
    note: str = ""
    warning: str = ""
    """What is to be told, and no reason to fall back."""
    theirs: bool = False
    """Whether a file of the operator's own configures it, and so nothing is known about ours."""


@dataclass(frozen=True)
class Findings:
    """What was found about all devices of a configuration."""

    verdicts: Sequence[Verdict]

    @property
    def good(self) -> bool:
        """Whether it was proved as far as it can be: one works, and nothing is against another."""
        return not self.faulty and (not self.verdicts or any(v.proved for v in self.verdicts))

    @property
    def works(self) -> bool:
        """Whether the ways out of the host work, whatever is wrong about other devices."""
        return not self.cut_off and not any(one.device.gateways for one in self.faulty)

    @property
    def faulty(self) -> list[Verdict]:
        """The devices that something is wrong about."""
        return [one for one in self.verdicts if one.fault]

    @property
    def cut_off(self) -> bool:
        """Whether no way out of the host was seen to work."""
        ways = [v for v in self.verdicts if v.device.gateways or v.device.dhcp]
        return bool(ways) and not any(one.proved for one in ways)

    @property
    def in_words(self) -> list[str]:
        """What is wrong, for status."""
        told = [one.fault for one in self.faulty]
        if self.cut_off and not told:
            told = [f"{one.device.where}: no DHCP server answers `{one.device.name}`"
                    for one in self.verdicts if one.device.dhcp]  # fmt: skip
        return told + self.warnings

    @property
    def warnings(self) -> list[str]:
        """What is to be told though it works."""
        return [one.warning for one in self.verdicts if one.warning]


def look(bundle: Bundle, *, in_effect: bool) -> Findings:
    """Look at each device once; takes a second for each gateway that does not answer.

    `in_effect`: whether networkd was given this configuration, so that its state counts.
    """
    nics = read_nics()
    return Findings(
        [_judge(one, bundle, nics, in_effect) for one in bundle.devices if not one.member]
    )


def _judge(device: Device, bundle: Bundle, nics: Mapping[str, Nic], in_effect: bool) -> Verdict:
    text = bundle.files.get(f"{NETWORK_DIR}/{device.files[0]}", "")
    found = matching(text, nics)
    if not found and device.optional:
        return Verdict(device, note=f"`{device.name}` is not there")
    if not found:
        return Verdict(device, fault=f"{device.where}: no NIC of this host is `{device.name}`; it "
                       f"has {', '.join(sorted(nics)) or 'none'}")  # fmt: skip
    others = [nic for nic in found if nic.network_file and PREFIX not in nic.network_file]
    if in_effect and len(others) == len(found):
        return Verdict(device, proved=True, theirs=True, note=f"`{device.name}` is configured by "
                       f"{others[0].network_file}")  # fmt: skip
    wired = [nic for nic in found if nic.carrier]
    if not wired:
        fault = f"{device.where}: `{device.name}` has no link: is the cable plugged in?"
        return Verdict(device, fault=fault if device.static and not device.optional else "")
    for gateway in device.gateways:
        if not any(answers(nic.name, gateway, _own(text), _ASK_S) for nic in wired):
            return Verdict(device, fault=f"{device.where}: the gateway {gateway} does not answer "
                           f"on `{device.name}`")  # fmt: skip
    if device.gateways or device.static:
        return Verdict(device, proved=True, warning=_several(device, text, found))
    # Routers give addresses too. With another configuration in effect a lease alone tells.
    reached = any(nic.leased or (in_effect and nic.routable) for nic in wired)
    return Verdict(device, proved=reached or not device.dhcp)


def _several(device: Device, text: str, found: Sequence[Nic]) -> str:
    """Say so if several NICs have the same static address. Not by MAC address: VLANs and bridges
    have that of their NIC."""
    if not device.static or len(found) < 2 or "MACAddress=" in text:
        return ""
    names = ", ".join(sorted(nic.name for nic in found))
    return (f"{device.where}: `{device.name}` means {len(found)} NICs, and all have its static "
            f"address: {names}; expected one; match it by `macAddress`")  # fmt: skip


def _own(text: str) -> list[IPAddress]:
    """Return the static addresses of a .network file."""
    return [ipaddress.ip_interface(one).ip for one in re.findall(r"^Address=(\S+)", text, re.M)]
