"""Is this host ready for the overlay: systemd-networkd and -resolved in charge, and alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from overlay_runtime.doctor.model import Result
from overlay_runtime.host import ifupdown, netplan, networkd, networkmanager
from overlay_runtime.host.dhcp import clients_of
from overlay_runtime.host.nics import LiveNic, read_nics
from overlay_runtime.host.tools import attempt, is_active, unit_state

_PREPARE = "edge-overlay host prepare"
_OURS = ("etc", "run", "usr/local/lib", "usr/lib")


def check(root: Path) -> dict[str, Result]:
    """Return what each check found, by its name. Raises HostError, NetlinkError."""
    nics = read_nics()
    return {name: look(root, nics) for name, look in _CHECKS.items()}


def _networkd(_root: Path, _nics: dict[str, LiveNic]) -> Result:
    return _runs(networkd.UNIT)


def _resolved(_root: Path, _nics: dict[str, LiveNic]) -> Result:
    return _runs(networkd.RESOLVED)


def _runs(unit: str) -> Result:
    load, active = unit_state(unit)
    if load != "loaded":
        return Result("fault", f"{unit} is {load}", _PREPARE)
    if active != "active":
        return Result("fault", f"{unit} is {active}", _PREPARE)
    enabled = attempt("systemctl", "is-enabled", unit)[1].strip()
    if not enabled.startswith("enabled"):
        return Result("fault", f"{unit} runs, but is {enabled}: not after a reboot", _PREPARE)
    return Result("ok", "runs, and does so after a reboot")


def _nics(root: Path, nics: dict[str, LiveNic]) -> Result:
    states = {name: networkd.link_state(root, nic.index)
              for name, nic in nics.items() if nic.physical}  # fmt: skip
    others = [f"{name} is {state.state}" for name, state in states.items() if not state.in_charge]
    if others:
        return Result("fault", f"systemd-networkd is not in charge: {', '.join(others)}", _PREPARE)
    return Result("ok", f"systemd-networkd manages {', '.join(states) or 'no NIC yet'}")


def _resolv_conf(root: Path, _nics: dict[str, LiveNic]) -> Result:
    path = root / "etc/resolv.conf"
    if str(path.resolve()) != networkd.RESOLV_CONF:
        return Result("fault", f"/etc/resolv.conf is not {networkd.RESOLV_CONF}: what kubelet "
                      "hands to pods must work there", _PREPARE)  # fmt: skip
    servers = networkd.name_servers(path)
    if not servers:
        return Result("fault", "there is no name server",
                      "set DNS= in /etc/systemd/network, or have DHCP give one")  # fmt: skip
    return Result("ok", f"resolved's own, name servers {' '.join(servers)}")


def _wait_online(root: Path, _nics: dict[str, LiveNic]) -> Result:
    if unit_state(networkd.WAIT_ONLINE)[0] in ("masked", "not-found"):
        return Result("ok", "masked")
    if (root / f"usr/lib/systemd/system/{networkd.WAIT_ONLINE}.d/10-edge.conf").exists():
        return Result("ok", "waits for any NIC, and 20 s at most")
    return Result("fault", "systemd-networkd-wait-online can hold up the boot for two minutes",
                  _PREPARE)  # fmt: skip


def _netplan(root: Path, _nics: dict[str, LiveNic]) -> Result:
    files = netplan.yaml_files(root)
    if files:
        return Result("fault", f"netplan still has {', '.join(map(str, files))}", _PREPARE)
    return Result("ok", "has no files")


def _networkmanager(_root: Path, _nics: dict[str, LiveNic]) -> Result:
    load, active = unit_state(networkmanager.UNIT)
    if active == "active" or load == "loaded":
        return Result("fault", f"NetworkManager is {active}: it would take NICs over", _PREPARE)
    return Result("ok", load)


def _ifupdown(root: Path, nics: dict[str, LiveNic]) -> Result:
    clients = [f"{client.name} for {name}" for name in nics for client in clients_of(name)]
    if clients:
        return Result("fault", f"there still runs {', '.join(clients)}", _PREPARE)
    load, _ = unit_state(ifupdown.UNIT)
    if load == "loaded" and (is_active(ifupdown.UNIT) or ifupdown.managed(root, nics)):
        return Result("fault", "ifupdown would set NICs up", _PREPARE)
    return Result("ok", load)


def _our_links(root: Path, _nics: dict[str, LiveNic]) -> Result:
    name = "systemd/network/05-edge-overlay.network"
    if any((root / place / name).exists() for place in _OURS):
        return Result("ok", "networkd leaves the overlay's links alone")
    return Result("fault", f"{name} isn't there: networkd would take the overlay's links over",
                  "install the package again")  # fmt: skip


_CHECKS: dict[str, Callable[[Path, dict[str, LiveNic]], Result]] = {
    "networkd": _networkd,
    "nics": _nics,
    "resolved": _resolved,
    "resolv.conf": _resolv_conf,
    "wait-online": _wait_online,
    "netplan": _netplan,
    "networkmanager": _networkmanager,
    "ifupdown": _ifupdown,
    "our-links": _our_links,
}
