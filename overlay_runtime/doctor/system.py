"""Checks of what else runs here: networkd, resolved, the packet filter, storage, other networks."""

from __future__ import annotations

import ipaddress
import json
import os

from overlay_runtime import OUR_LINKS
from overlay_runtime.doctor.model import Host, Result, named, unknown_without_agent

_IN_CHARGE = ("configured", "configuring", "pending", "initialized")
_MEMORY = ("tmpfs", "ramfs")


def networkd(host: Host) -> Result:
    """Is systemd-networkd in charge of each NIC in use?"""
    if not (host.root / "run/systemd/system").is_dir():
        return Result("unknown", "systemd doesn't run here")
    remedy = (
        "systemctl enable --now systemd-networkd; stop NetworkManager or ifupdown, which would "
        "undo what networkd sets"
    )
    if not (host.root / "run/systemd/netif/links").is_dir():
        return Result("warning", "systemd-networkd doesn't run", remedy)
    others = []
    for nic in host.nics:
        index = host.read(f"sys/class/net/{nic}/ifindex")
        text = host.read(f"run/systemd/netif/links/{index}") or ""
        state = next((v for k, _, v in _pairs(text) if k == "ADMIN_STATE"), "unknown to it")
        if state not in _IN_CHARGE:
            others.append(f"{nic} is {state}")
    if others:
        return Result("warning", f"systemd-networkd is not in charge: {named(others)}", remedy)
    return Result("ok", f"in charge of {named(host.nics) or 'no NIC yet'}")


def _pairs(text: str) -> list[tuple[str, str, str]]:
    return [line.partition("=") for line in text.splitlines()]


def resolved(host: Host) -> Result:
    """Does systemd-resolved run, and do programs ask it?"""
    if not (host.root / "run/systemd/system").is_dir():
        return Result("unknown", "systemd doesn't run here")
    if not (host.root / "run/systemd/resolve").is_dir():
        return Result("warning", "systemd-resolved doesn't run",
                      "systemctl enable --now systemd-resolved")  # fmt: skip
    path = host.root / "etc/resolv.conf"
    target = str(path.readlink()) if path.is_symlink() else "a file of its own"
    if "systemd/resolve/" not in target:
        remedy = "ln -sf ../run/systemd/resolve/stub-resolv.conf /etc/resolv.conf"
        return Result("warning", f"programs don't ask it: /etc/resolv.conf is {target}", remedy)
    return Result("ok", "runs, and /etc/resolv.conf leads to it")


def firewall(host: Host) -> Result:
    """Is the overlay's own packet filter in place?"""
    if answer := unknown_without_agent(host):
        return answer
    found = host.status.get("firewall")
    if not isinstance(found, dict):
        return Result("unknown", "this agent tells nothing about a packet filter")
    dropped = sum((found.get("dropped") or {}).values())
    if found.get("state") == "on":
        return Result("ok", f"on; {dropped} packets dropped")
    return Result("warning", f"off: {found.get('reason') or 'no reason is known'}",
                  "packets that aren't from peers reach the overlay: see that the kernel has "
                  "nf_tables")  # fmt: skip


def cidr_overlap(host: Host) -> Result:
    """Does a network or route of this host share addresses with the overlay's range?"""
    text = host.overlay.get("cidr")
    if not text:
        return Result("unknown", "the overlay's range is not known")
    cidr = ipaddress.ip_network(text)
    found = [f"{what} on {link}" for what, link in _networks(host) if _meets(cidr, what)]
    if found:
        return Result("fault", f"{cidr} shares addresses with {named(found)}",
                      "change the physical network, or set another `cidr` on every host and run "
                      "`edge-overlay reset` there")  # fmt: skip
    return Result("ok", f"{cidr} is nobody else's")


def _networks(host: Host) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for family in ("-4", "-6"):
        try:
            links = json.loads(host.tool("ip", family, "-json", "address") or "[]")
            routes = json.loads(host.tool("ip", family, "-json", "route") or "[]")
        except ValueError:
            continue
        for link in links:
            for address in link.get("addr_info", ()):
                if "local" in address:
                    found.append((f"{address['local']}/{address['prefixlen']}", link["ifname"]))
        found += [(r["dst"], r["dev"]) for r in routes if "dev" in r and r.get("dst") != "default"]
    return [(what, link) for what, link in found if link not in OUR_LINKS]


def _meets(cidr: ipaddress.IPv4Network | ipaddress.IPv6Network, what: str) -> bool:
    try:
        network = ipaddress.ip_interface(what).network
    except ValueError:
        return False
    return network.version == cidr.version and network.prefixlen > 0 and network.overlaps(cidr)


def state_storage(host: Host) -> Result:
    """Can the address be stored, and does it outlive a boot?"""
    from overlay_runtime.errors import StateError
    from overlay_runtime.state import StateStore

    directory = host.state_dir
    if not os.access(directory, os.R_OK | os.X_OK):
        if not directory.exists():
            return Result("warning", f"{directory} doesn't exist: nothing is stored yet",
                          "start the service: it makes the directory")  # fmt: skip
        return Result("unknown", f"{directory} can be read by root only")
    try:
        store = StateStore(directory)
        stored = store.load()
    except StateError as error:
        return Result("fault", str(error), "see that the disk is whole and not full")
    if stored is None:
        return Result("warning", "no address is stored", "none has been claimed yet, or it could "
                      "not be written: edge-overlay status")  # fmt: skip
    if not os.access(directory, os.W_OK):
        return Result("fault", f"{directory} is read-only", "mount it writable")
    if store.recovered:
        return Result("warning", store.recovered, "see that the disk is whole")
    if _kind_of_storage(host) in _MEMORY:
        return Result("ok", f"{stored.address} is kept in memory: claimed from the hardware's "
                      "identity at each boot, so the same again")  # fmt: skip
    return Result("ok", f"{stored.address} is stored")


def _kind_of_storage(host: Host) -> str:
    best, kind = "", ""
    for line in (host.read("proc/mounts") or "").splitlines():
        _, place, fstype, *_ = line.split()
        inside = f"{host.state_dir.resolve()}/".startswith(place.rstrip("/") + "/")
        if inside and len(place) >= len(best):
            best, kind = place, fstype
    return kind
