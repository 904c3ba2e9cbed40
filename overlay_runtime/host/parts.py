"""Ports of bridges and bonds, and what VLANs lie on, as the kernel has them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from overlay_runtime import OUR_LINKS
from overlay_runtime.errors import HostError
from overlay_runtime.host import virtual
from overlay_runtime.host.nics import LiveNic
from overlay_runtime.host.settings import Settings

_USUAL_MTU = 1500


def add_parts(
    nics: Mapping[str, LiveNic], managers: dict[str, str], settings: dict[str, Settings]
) -> None:
    """Add the parts of all links that `settings` has, to it and to `managers`.

    Raises HostError for parts that can't be told to networkd.
    """
    for name, nic in nics.items():
        _add_port(nics, managers, settings, name, nic)
    for name in [name for name in settings if nics[name].kind == "vlan"]:
        _add_lower(nics[name], managers, settings)


def _add_port(
    nics: Mapping[str, LiveNic], managers: dict[str, str], settings: dict[str, Settings],
    name: str, nic: LiveNic,
) -> None:  # fmt: skip
    master = nics.get(nic.master)
    if master is None or master.kind not in ("bridge", "bond") or master.name in OUR_LINKS:
        return
    if master.name not in managers:
        if nic.kind in ("", *virtual.KINDS) or name.startswith(("en", "eth")):
            raise HostError(
                f"{name} is a port of {master.name}, which nothing here manages",
                f"give {master.name} to ifupdown, netplan or NetworkManager, or make it with "
                "systemd-networkd by hand (systemd.netdev(5))",
            )
        return  # the links of containers and VMs
    if master.name not in settings:
        return  # networkd's own, or netplan's: taken over as it is
    if nic.wireless:
        raise HostError(f"{name}, a port of {master.name}, is Wi-Fi: its keys stay behind",
                        f"take it out of {master.name}")  # fmt: skip
    who = managers.setdefault(name, managers[master.name])
    settings[name] = Settings(
        name, accept_ra=False, link_local6=False, mtu=nic.mtu if nic.mtu != _USUAL_MTU else None,
        master=(master.kind.capitalize(), master.name), came_from=f"{who} and the kernel: a port",
    )  # fmt: skip


def _add_lower(nic: LiveNic, managers: dict[str, str], settings: dict[str, Settings]) -> None:
    if not nic.lower:
        raise HostError(f"the VLAN {nic.name} lies on a link that isn't seen here",
                        "take it out of its manager first")  # fmt: skip
    one = settings.get(nic.lower)
    if one is None and nic.lower in managers:
        raise HostError(f"the VLAN {nic.name} lies on {nic.lower}, which {managers[nic.lower]} has",
                        f"name it in the file of {nic.lower} (`VLAN=`, systemd.network(5))"
                        )  # fmt: skip
    managers.setdefault(nic.lower, managers[nic.name])
    one = one or Settings(nic.lower, accept_ra=False, came_from="the kernel: below a VLAN")
    settings[nic.lower] = replace(one, vlans=(*one.vlans, nic.name))
