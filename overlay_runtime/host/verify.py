"""Whether the host is still what it was to others: its addresses, gateways, targets, DNS."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overlay_runtime.host import networkd
from overlay_runtime.host.nics import read_nics
from overlay_runtime.host.reach import answers


def lost(about: Mapping[str, Any]) -> list[str]:
    """Return which gateways and targets don't answer, in words."""
    silent = [f"the gateway {g} doesn't answer" for g in about["gateways"]
              if not answers(g, neighbour=True)]  # fmt: skip
    return silent + [f"the target {t} doesn't answer" for t in about["targets"] if not answers(t)]


def missing(about: Mapping[str, Any], resolv_conf: Path = Path("/etc/resolv.conf")) -> list[str]:
    """Return what a host that was switched lacks, in words. Raises HostError."""
    nics = read_nics()
    found = []
    for name, expected in about["addresses"].items():
        have = {str(a) for a in nics[name].addresses} if name in nics else set()
        found += [f"{name} lacks {address}" for address in expected if address not in have]
        if name in about["dhcp"]:  # the one of before, which the kernel still has, hides nothing
            new = [
                a for a in (nics[name].kept() if name in nics else ()) if a.interface.version == 4
            ]
            found += [f"{name} got {a} by DHCP, another address" for a in new
                      if str(a) not in expected]  # fmt: skip
    if about["dns"] and not networkd.name_servers(resolv_conf):
        found.append("there is no name server")
    return found
