"""Hands the NICs over, and back. Each step is in the journal before it is done."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from overlay_runtime.errors import HostError
from overlay_runtime.host import ifupdown, networkd, networkmanager
from overlay_runtime.host.dhcp import clients_of
from overlay_runtime.host.nics import read_nics
from overlay_runtime.host.tools import attempt, run
from overlay_runtime.host.transaction import Transaction

log = logging.getLogger(__name__)

STEPS = {
    "managers": "the managers of before are stopped; the NICs keep what they have",
    "keep": "networkd is told to keep what the kernel has",
    "files": "files are moved and written",
    "reload": "systemd reads the units anew",
    "networkd": "systemd-networkd takes over",
    "resolved": "systemd-resolved takes over",
}
_IFSTATE = Path("/run/network/ifstate")
_RUN = Path("/run/systemd/network")
_DROP_IN = "90-edge-host-switch.conf"
_LEAVE_SECONDS = 10.0


def forward(tx: Transaction) -> None:
    """Do all steps. Raises HostError or OSError: then what was begun must be taken back."""
    for step in STEPS:
        tx.record("changing", step)
        log.info("%s", STEPS[step])
        _FORWARD[step](tx)


def backward(tx: Transaction) -> list[str]:
    """Take back whatever was begun; return what couldn't be. Can be repeated."""
    faults: list[str] = []
    if not tx.step:
        return faults  # nothing was done
    networkd_was = tx.about["was_active"][networkd.UNIT]
    if not networkd_was:
        _try(faults, lambda: run("systemctl", "stop", networkd.UNIT, "systemd-networkd*.socket"))
    for change in reversed(tx.changes):
        _try(faults, lambda change=change: tx.take_back(change))  # type: ignore[misc]
    _try(faults, tx.remove_directories)
    _forget_drop_ins(tx)
    # netplan's and systemd's generators write their files again.
    _try(faults, lambda: run("systemctl", "daemon-reload"))
    if tx.about["netplan"]:
        _try(faults, lambda: run("netplan", "generate"))
    if networkd_was:
        _try(faults, lambda: run("systemctl", "restart", networkd.UNIT))
    if "NetworkManager" in tx.about["stop"]:
        _try(faults, lambda: _networkmanager_again(tx))
    if "ifupdown" in tx.about["stop"]:
        _try(faults, lambda: _ifupdown_again(tx))
    verb = "restart" if tx.about["was_active"][networkd.RESOLVED] else "stop"
    _try(faults, lambda: run("systemctl", verb, networkd.RESOLVED))
    # The managers may have written resolv.conf meanwhile, in their own way: that is right.
    return faults


def settle(tx: Transaction) -> None:
    """Leave the settings of the switch behind: from here on networkd runs as after a reboot. It
    keeps the addresses over its restart. Raises HostError."""
    if tx.about["dhcp"]:
        _forget_drop_ins(tx)
        run("systemctl", "restart", networkd.UNIT)


def drop_old_routes(tx: Transaction) -> None:
    """Remove the default routes of the DHCP clients of before, where networkd has its own beside
    them: with the next lease they would lead astray."""
    nics = read_nics()
    for name in tx.about["dhcp"]:
        held = nics[name].routes if name in nics else ()
        routes = [r for r in held if r.version == 4 and r.destination == "default"]
        if any(route.protocol == "dhcp" for route in routes):
            for old in (route for route in routes if route.protocol == "boot"):
                words = ("via", old.gateway, "dev", name, "proto", "boot")
                attempt("ip", "route", "delete", "default", *words, "metric", str(old.metric))


def _try(faults: list[str], do: Callable[[], object]) -> None:
    try:
        do()
    except (HostError, OSError) as error:
        log.error("%s", error)
        faults.append(str(error))


def _stop_managers(tx: Transaction) -> None:
    if "NetworkManager" in tx.about["stop"]:
        # It leaves addresses and leases as they are (NetworkManager(8)).
        run("systemctl", "stop", networkmanager.UNIT)
    if "ifupdown" in tx.about["stop"]:
        _end_ifupdown(tx)


def _end_ifupdown(tx: Transaction) -> None:
    """End its DHCP clients without a release, and let it believe that nothing is up: so stopping
    its units takes nothing down."""
    for name in tx.about["interfaces"]:
        _end_clients(name)
    _nothing_is_up()
    run("systemctl", "stop", ifupdown.UNIT, *tx.about["ifup"])


def _end_clients(nic: str) -> None:
    end = time.monotonic() + _LEAVE_SECONDS
    while (found := clients_of(nic)) and time.monotonic() < end:
        for client in found:
            # SIGKILL: on SIGTERM dhcpcd takes the address down, and dhclient may release it.
            with contextlib.suppress(ProcessLookupError):
                os.kill(client.process, signal.SIGKILL)
        time.sleep(0.05)
    if found:
        raise HostError(f"the DHCP client of {nic} can't be ended", "see `ps` for it")


def _nothing_is_up() -> None:
    for path in _IFSTATE.parent.glob("ifstate*"):
        if path.name != "ifstate.lo":
            path.write_text("")


def _ifupdown_again(tx: Transaction) -> None:
    for name in tx.about["interfaces"]:
        _end_clients(name)
    _nothing_is_up()
    run("systemctl", "stop", ifupdown.UNIT, *tx.about["ifup"])
    for name in tx.about["interfaces"]:
        # `ip address add` of what is there already is an error to ifup.
        attempt("ip", "address", "flush", "dev", name, "scope", "global")
    run("systemctl", "start", ifupdown.UNIT, *tx.about["ifup"])


def _networkmanager_again(tx: Transaction) -> None:
    """NetworkManager takes a NIC that has addresses for somebody else's ("external"): it is told
    which profile it had."""
    run("systemctl", "start", networkmanager.UNIT)
    for name, uuid in tx.about["profiles"].items():
        if networkmanager.managed().get(name) != uuid:
            run("nmcli", "connection", "up", "uuid", uuid, "ifname", name)


def _keep(tx: Transaction) -> None:
    """While networkd starts it shall not drop the address that the DHCP client of before has set:
    its own lease takes that over a moment later."""
    for name in tx.about["dhcp"]:
        directory = _RUN / f"10-edge-host-{name}.network.d"
        directory.mkdir(mode=0o755, parents=True, exist_ok=True)
        (directory / _DROP_IN).write_text("[Network]\nKeepConfiguration=yes\n")


def _forget_drop_ins(tx: Transaction) -> None:
    for name in tx.about["dhcp"]:
        directory = _RUN / f"10-edge-host-{name}.network.d"
        with contextlib.suppress(OSError):
            (directory / _DROP_IN).unlink()
            directory.rmdir()


def _files(tx: Transaction) -> None:
    for change in tx.changes:
        tx.redo(change)


def _reload(tx: Transaction) -> None:
    for name in tx.about["generated"]:
        Path(name).unlink(missing_ok=True)
    run("systemctl", "daemon-reload")


def _networkd(tx: Transaction) -> None:
    if tx.about["was_active"][networkd.UNIT] and not tx.about["stop"]:
        run("networkctl", "reload")
        return
    run("systemctl", "restart", networkd.UNIT)


def _resolved(_tx: Transaction) -> None:
    run("systemctl", "restart", networkd.RESOLVED)


_FORWARD: dict[str, Callable[[Transaction], None]] = {
    "managers": _stop_managers,
    "keep": _keep,
    "files": _files,
    "reload": _reload,
    "networkd": _networkd,
    "resolved": _resolved,
}
