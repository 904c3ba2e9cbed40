"""Reads who manages which NIC and with what, and decides what is to be done. Changes nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from overlay_runtime.errors import HostError
from overlay_runtime.host import ifupdown, netplan, networkd, networkmanager, virtual
from overlay_runtime.host.dhcp import leased_servers
from overlay_runtime.host.nics import LiveNic, read_nics
from overlay_runtime.host.parts import add_parts
from overlay_runtime.host.reach import all_answering
from overlay_runtime.host.settings import Settings, StaticRoute, render
from overlay_runtime.host.tools import attempt, is_active, unit_state
from overlay_runtime.host.transaction import Wanted

NETWORK_FILES = "etc/systemd/network"
_CLOUD = "etc/cloud/cloud.cfg.d"
_DHCP_FILES = {"20-dhcp.network": "en*", "20-dhcp-legacy.network": "eth*"}
_FOREIGN = ("dhcpcd.service", "connman.service", "wicked.service")


@dataclass(frozen=True)
class Options:
    """What the operator asked for. Times in seconds."""

    targets: tuple[str, ...] = ()
    confirm_within: float = 180.0
    lost_after: float = 60.0
    confirm: bool = True
    ignore_commands: bool = False


@dataclass
class Plan:
    """What is found and what will be done. `managers`: NIC → who is in charge now; `wanted`: the
    changed paths in their order; `about`: for the switch and the verification."""

    nics: dict[str, LiveNic]
    managers: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Settings] = field(default_factory=dict)
    wanted: list[Wanted] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    about: dict[str, Any] = field(default_factory=dict)
    profiles: dict[str, str] = field(default_factory=dict)
    """NetworkManager's, by NIC: their UUIDs."""

    @property
    def empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.wanted and not self.about["stop"]


def make_plan(root: Path, options: Options) -> Plan:
    """Look at the host and decide. Raises HostError for all that can't be carried over."""
    _require(root)
    plan = Plan(read_nics())
    from_netplan = netplan.yaml_files(root)
    if from_netplan:
        netplan.refuse_strange(root)
    _by_networkd(root, plan)
    _by_networkmanager(plan)
    _by_ifupdown(root, plan, options)
    _by_nobody(plan)
    add_parts(plan.nics, plan.managers, plan.settings)
    _name_servers(root, plan)
    stop = [name for name, unit in (("NetworkManager", networkmanager.UNIT),
                                    ("ifupdown", ifupdown.UNIT)) if is_active(unit)]  # fmt: skip
    plan.wanted = _without_the_same(_wanted(root, plan, bool(from_netplan)))
    plan.about = {
        **_verification(plan, options),
        "stop": stop,
        "netplan": bool(from_netplan),
        "generated": [str(path) for path in netplan.generated(root)],
        "was_active": {unit: is_active(unit) for unit in (networkd.UNIT, networkd.RESOLVED)},
        "profiles": plan.profiles,
        "ifup": _ifup_instances(),
        "interfaces": [n for n, who in plan.managers.items() if who == "ifupdown"],
        "dhcp": [name for name, one in plan.settings.items() if one.dhcp4],
        "confirm": options.confirm,
        "confirm_within": options.confirm_within,
        "lost_after": options.lost_after,
    }
    return plan


def _require(root: Path) -> None:
    if not (root / "run/systemd/system").is_dir():
        raise HostError(
            "systemd doesn't run here", "this needs Debian 12 or Ubuntu 22.04, or later"
        )
    if networkd.unit_file(root, networkd.UNIT) is None and not _masked(root, networkd.UNIT):
        raise HostError("systemd-networkd isn't installed", "apt install systemd")
    if networkd.unit_file(root, networkd.RESOLVED) is None and not _masked(root, networkd.RESOLVED):
        raise HostError("systemd-resolved isn't installed, and the overlay's host needs it",
                        "apt install systemd-resolved")  # fmt: skip
    if unit_state("edge-overlay-host.service")[0] != "loaded":
        raise HostError("edge-overlay-host.service, which watches over the switch, isn't installed",
                        "install the package or tarball of `edge-build agent`")  # fmt: skip
    for unit in _FOREIGN:
        if is_active(unit):
            raise HostError(f"{unit} manages NICs here, and can't be taken over from",
                            "give the NICs to ifupdown or netplan first")  # fmt: skip
    if _is_mount(root / "etc/resolv.conf"):
        raise HostError("/etc/resolv.conf is a mount: it can't be replaced",
                        "it is a container's: let its engine alone, or unmount it")  # fmt: skip
    for name in ("chattr",):
        out = attempt("lsattr", "-d", str(root / "etc/resolv.conf"))[1]
        if out and "i" in out.split()[0]:
            raise HostError("/etc/resolv.conf is immutable", f"{name} -i /etc/resolv.conf")


def _is_mount(path: Path) -> bool:
    """Also a file's own bind mount, which Path.is_mount doesn't see (proc_pid_mountinfo(5))."""
    lines = Path("/proc/self/mountinfo").read_text(errors="replace").splitlines()
    return str(path) in {line.split()[4] for line in lines}


def _masked(root: Path, unit: str) -> bool:
    path = root / "etc/systemd/system" / unit
    return path.is_symlink() and str(path.readlink()) == "/dev/null"


def _by_networkd(root: Path, plan: Plan) -> None:
    if not is_active(networkd.UNIT):
        return
    for name, nic in plan.nics.items():
        state = networkd.link_state(root, nic.index)
        if state.in_charge and (nic.physical or "netplan" in state.file):
            plan.managers[name] = "netplan (networkd)" if "netplan" in state.file else "networkd"


def _by_networkmanager(plan: Plan) -> None:
    for name, uuid in networkmanager.managed().items():
        nic = plan.nics.get(name)
        if nic is None or name in plan.managers:
            continue
        _refuse_wireless(nic)
        plan.managers[name], plan.profiles[name] = "NetworkManager", uuid
        if nic.master:
            continue  # its profile says no more than that: add_parts
        plan.settings[name] = networkmanager.settings(nic, uuid)


def _by_ifupdown(root: Path, plan: Plan, options: Options) -> None:
    for name, stanzas in ifupdown.managed(root, plan.nics).items():
        if name in plan.managers:
            raise HostError(f"both ifupdown and {plan.managers[name]} manage {name}",
                            "take it out of one of them first")  # fmt: skip
        commands = ifupdown.hooks(stanzas)
        if commands and not options.ignore_commands:
            listed = "; ".join(f"{where}: {command}" for where, command in commands)
            raise HostError(
                f"ifupdown runs commands for {name}, which networkd can't: {listed}",
                "make a unit of your own for what they do and take them out, or prepare with "
                "--ignore-commands if routes and addresses are all that they set: these are kept",
            )
        plan.managers[name] = "ifupdown"
        plan.settings[name] = ifupdown.settings(root, plan.nics[name], stanzas)


def _by_nobody(plan: Plan) -> None:
    """NICs that somebody set by hand: what they have is kept."""
    for name, nic in plan.nics.items():
        if name in plan.managers or not nic.physical:
            continue
        static = tuple(str(a) for a in nic.kept() if not a.dynamic)
        if not static:
            if nic.kept():
                raise HostError(
                    f"{name} has {nic.kept()[0]} from a DHCP client that nothing manages",
                    "give the NIC to ifupdown, netplan or NetworkManager, or end the client, then "
                    "repeat",
                )
            plan.notes.append(f"{name} has no manager and no address: it gets DHCP if its name "
                              "begins with en or eth")  # fmt: skip
            continue
        _refuse_wireless(nic)
        routes = tuple(
            StaticRoute(r.destination, r.gateway, r.metric, r.source, r.onlink)
            for r in nic.routes if r.protocol in ("boot", "static")
        )  # fmt: skip
        plan.managers[name] = "nobody (set by hand)"
        plan.settings[name] = Settings(name, addresses=static, routes=routes,
                                       came_from="the kernel: set by hand")  # fmt: skip


def _refuse_wireless(nic: LiveNic) -> None:
    if nic.wireless:
        raise HostError(f"{nic.name} is Wi-Fi: its keys can't be carried over",
                        "set it up by hand (wpa_supplicant(8), systemd.network(5)), or disconnect "
                        "it and use a cable")  # fmt: skip


def _name_servers(root: Path, plan: Plan) -> None:
    """Keep the DHCP address that each NIC has, and name servers that stand in resolv.conf alone."""
    for name, one in plan.settings.items():
        if one.dhcp4:
            mine = [a.interface.ip for a in plan.nics[name].kept() if a.interface.version == 4]
            asked = next((str(ip) for ip in mine if not any(
                address.startswith(f"{ip}/") for address in one.addresses)), "")  # fmt: skip
            plan.settings[name] = replace(one, request=asked)
    path = root / "etc/resolv.conf"
    if not plan.settings or "systemd/resolve" in str(path.resolve()) or _made_by_a_manager(path):
        return
    known = {server for one in plan.settings.values() for server in one.dns}
    known |= leased_servers(root, plan.settings)
    extra = tuple(s for s in networkd.name_servers(path)
                  if s not in known and not s.startswith("127.") and s != "::1")  # fmt: skip
    name = next((n for n in plan.settings if plan.nics[n].gateways()), next(iter(plan.settings)))
    one = plan.settings[name]
    domains = one.domains or (() if one.dhcp4 else networkd.search_domains(path))
    plan.settings[name] = replace(one, dns=(*one.dns, *extra), domains=domains)


def _made_by_a_manager(path: Path) -> bool:
    try:
        return bool(re.match(r"# Generated by (NetworkManager|dhcpcd)", path.read_text()))
    except OSError:
        return False


def _wanted(root: Path, plan: Plan, from_netplan: bool) -> list[Wanted]:
    etc = root / "etc/systemd/system"
    wanted = netplan.taken_over(root) if from_netplan else []
    for name, one in plan.settings.items():
        path = root / NETWORK_FILES / f"10-edge-host-{name}.network"
        wanted.append(Wanted(path, render(one).encode()))
        if plan.nics[name].kind in virtual.KINDS:
            text = virtual.netdev(plan.nics[name])
            wanted.append(Wanted(path.with_suffix(".netdev"), text.encode()))
    for file, pattern in _DHCP_FILES.items():
        path = root / NETWORK_FILES / file
        if not path.exists():
            text = (
                f"[Match]\nName={pattern}\n\n[Network]\nDHCP=yes\n\n[DHCP]\nClientIdentifier=mac\n"
            )
            wanted.append(Wanted(path, text.encode()))
    wanted += netplan.moved(root)
    if (root / _CLOUD).is_dir():
        text = "# Written by `edge-overlay host prepare`.\nnetwork:\n  config: disabled\n"
        wanted.append(Wanted(root / _CLOUD / "99-edge-overlay-host.cfg", text.encode()))
    for unit in (networkd.UNIT, networkd.RESOLVED):
        if _masked(root, unit):
            wanted.append(Wanted(etc / unit))
        wanted += [Wanted(link, target=target)
                   for link, target in networkd.enabling_links(root, unit).items()]  # fmt: skip
    masked = [networkd.WAIT_ONLINE]
    if networkd.unit_file(root, networkmanager.UNIT):
        masked += [networkmanager.UNIT, "NetworkManager-wait-online.service"]
    if networkd.unit_file(root, ifupdown.UNIT):
        masked += [ifupdown.UNIT, "ifup@.service"]
    wanted += [Wanted(etc / unit, target="/dev/null") for unit in masked]
    wanted.append(Wanted(root / "etc/resolv.conf", target=networkd.RESOLV_CONF))
    return wanted


def _without_the_same(wanted: list[Wanted]) -> list[Wanted]:
    """Leave out what is so already."""
    left = []
    for one in wanted:
        if one.target is not None:
            there = one.path.is_symlink()
            if there and (str(one.path.readlink()) == one.target or (
                one.target != "/dev/null" and one.path.name != "resolv.conf")):  # fmt: skip
                continue
        elif one.data is None:
            if not one.path.is_symlink() and not one.path.exists():
                continue
        elif one.path.is_file() and one.path.read_bytes() == one.data:
            continue
        left.append(one)
    return left


def _verification(plan: Plan, options: Options) -> dict[str, Any]:
    gateways = list(dict.fromkeys(g for n in plan.managers for g in plan.nics[n].gateways()))
    # A link-local gateway (IPv6) needs the link's name to be reached; the address proves as much.
    plain = [gateway for gateway in gateways if not gateway.startswith("fe80:")]
    answering = all_answering(plain, neighbours=True)
    for target in options.targets:
        if not all_answering([target], neighbours=False):
            raise HostError(f"the target {target} doesn't answer now, before anything is changed",
                            "name an address that answers to ping")  # fmt: skip
    if len(answering) < len(plain) or not plain:
        silent = ", ".join(g for g in plain if g not in answering) or "there is none"
        plan.notes.append(f"gateway: {silent} that answers: it can't tell whether the host is "
                          "reachable; name another with --target")  # fmt: skip
    return {
        "addresses": {n: [str(a) for a in plan.nics[n].kept()] for n in plan.managers},
        "gateways": answering,
        "targets": options.targets,
        "dns": bool(networkd.name_servers(Path("/etc/resolv.conf"))),
    }


def _ifup_instances() -> list[str]:
    out = attempt("systemctl", "list-units", "--no-legend", "--plain", "ifup@*.service")[1]
    return [line.split()[0] for line in out.splitlines() if line.split()]
