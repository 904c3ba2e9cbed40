"""Brings the kernel to the desired state: links, address, forwarding, routes, sysctls.

What is right already is left untouched: an agent that starts again costs no packet.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
from collections.abc import Sequence
from pathlib import Path

from overlay_runtime import BRIDGE
from overlay_runtime.address import IPAddress
from overlay_runtime.counters import Counters
from overlay_runtime.errors import KernelError
from overlay_runtime.kernel import diff
from overlay_runtime.kernel import messages as rtnl
from overlay_runtime.kernel.actual import read_forwarding, read_links, read_neighbour
from overlay_runtime.kernel.desired import Desired, DesiredLink
from overlay_runtime.kernel.diff import Correction, ForwardingStep, Known
from overlay_runtime.kernel.messages import IPInterface
from overlay_runtime.kernel.model import (
    ROUTE_METRIC,
    ROUTE_PROTOCOL,
    Forwarding,
    Link,
    LinkAddress,
)
from overlay_runtime.kernel.netlink import Netlink, NetlinkError, Request, attribute, u32

log = logging.getLogger(__name__)

_SO_ALREADY = (errno.EEXIST, errno.ENOENT, errno.ESRCH, errno.ENODEV)
"""It is so already, or its link went away under our hands."""

_NUD_STATIC = rtnl.NUD_PERMANENT | rtnl.NUD_NOARP


class Applier:
    """Applies desired states to one network namespace."""

    def __init__(self, netlink: Netlink, proc_sys: Path = Path("/proc/sys")) -> None:
        self._netlink = netlink
        self._proc_sys = proc_sys
        self.ipv6 = True
        """Whether the kernel makes VXLAN devices over IPv6; False once it refused."""
        self.problems: list[str] = []
        """What the last `apply` could not set, in words."""
        self.notes: list[str] = []
        """The same, where trying again soon would not help."""
        self.counters = Counters()
        self._refused_sysctls: set[str] = set()
        self._indexes: dict[str, int] = {}
        self._have = Forwarding()
        self._routes: dict[str, int] = {}

    def apply(
        self,
        want: Desired,
        links: Sequence[Link],
        addresses: Sequence[LinkAddress],
        settling: Known | None,
    ) -> int:
        """Correct whatever differs; return the number of corrections.

        `links` and `addresses` are what the kernel holds now. Raises KernelError if the bridge
        itself can't be made, and NetlinkError if the kernel can't be read; everything else that
        fails is kept in `problems` and tried again next time.
        """
        self.problems, self.notes = [], []
        count, present = self._links(want, list(links))
        indexes = self._indexes = {link.name: link.index for link in present}
        if BRIDGE not in indexes:
            raise KernelError(f"the bridge {BRIDGE} can't be made: {'; '.join(self.problems)}",
                              "see that the kernel has the modules bridge and vxlan")  # fmt: skip
        self._sysctls(want.sysctls, set(indexes))
        bridge = indexes[BRIDGE]
        count += self._address(want, bridge, [a for a in addresses if a.index == bridge])
        self._have = read_forwarding(self._netlink, indexes)
        entries = _possible(want.forwarding, indexes)
        count += self._forward(diff.steps(entries, self._have, settling))
        count += self._peer_routes(want.routes, bridge)
        self.counters.kernel_corrections += count
        return count

    def remotes(self) -> set[str]:
        """Return the physical addresses that the kernel forwards to."""
        return {remote.address for _, remote in self._have.flood}

    def refresh(self, want: Forwarding) -> int:
        """Correct the entries of one peer at once, without looking at what the kernel holds: by
        what the last `apply` found there. Returns the number of corrections."""
        entries = _possible(want, self._indexes)
        count = self._forward(diff.steps(entries, diff.about(entries, self._have), None))
        self.counters.kernel_corrections += count
        return count

    def forget_neighbour(self, index: int, address: IPAddress) -> None:
        """Drop what a physical link has learned about an address: another host may have it now.

        What somebody set by hand stays. Never raises.
        """
        try:
            known = read_neighbour(self._netlink, index, address)
            if known and not known[0] & _NUD_STATIC:
                self._netlink.request(
                    rtnl.neighbour(index, str(address), "00:00:00:00:00:00", remove=True)
                )
        except NetlinkError as error:
            log.debug("neighbour %s: %s", address, error)

    def _links(self, want: Desired, links: list[Link]) -> tuple[int, list[Link]]:
        count = 0
        for desired in want.links:
            have = next((link for link in links if link.name == desired.name), None)
            why = diff.must_recreate(desired, have) if have else None
            if have and why:
                log.warning("%s is made again: %s", desired.name, why)
                self._try(f"remove {desired.name}", rtnl.delete_link(have.index))
            if not have or why:
                self._make(desired)
                count += 1
                links = read_links(self._netlink)
                have = next((link for link in links if link.name == desired.name), None)
            bridge = next((link.index for link in links if link.name == BRIDGE), 0)
            if have is None or not bridge:
                continue
            for what in diff.corrections(desired, have, bridge):
                request = _correction(what, desired, have.index, bridge)
                count += self._try(f"set {desired.name} {what}", request)
        return count, links

    def _make(self, want: DesiredLink) -> None:
        if want.vni is None:
            self._make_bridge(want)
            return
        request = rtnl.make_vxlan(
            want.name, want.mac, want.mtu, want.vni, want.port, over6=want.over6
        )
        try:
            self._netlink.request(request)
        except NetlinkError as error:
            if want.over6 and error.errno == errno.EAFNOSUPPORT:
                log.warning("this kernel has no IPv6: the overlay goes over IPv4 alone")
                self.ipv6 = False
                return
            hint = ""
            if error.errno in (errno.EEXIST, errno.EADDRINUSE):
                hint = (
                    f" (another VXLAN device has VNI {want.vni} or UDP port {want.port}: set "
                    "another `vni` or `port` on every host, or remove that device)"
                )
            self._failed(f"make {want.name}{hint}", error)
            return
        log.info("%s made: vni=%d port=%d", want.name, want.vni, want.port)
        self._try(f"set {want.name} addrgenmode none", rtnl.no_addresses(want.name))

    def _make_bridge(self, want: DesiredLink) -> None:
        """With the index that it had: kube-vip, flannel and others look it up once, when they
        start, and would go on with a link that is no more."""
        index = self._indexes.get(want.name, 0)
        if index:
            try:
                self._netlink.request(rtnl.make_bridge(want.name, want.mac, want.mtu, index))
                return
            except NetlinkError as error:
                log.warning("%s can't have its index %d again: %s", want.name, index, error)
        self._try(f"make {want.name}", rtnl.make_bridge(want.name, want.mac, want.mtu))

    def _address(self, want: Desired, bridge: int, have: list[LinkAddress]) -> int:
        count = 0
        wanted = want.address
        if wanted and all(a.interface != wanted for a in have):
            count += self._try(f"set {wanted} on {BRIDGE}", rtnl.add_address(bridge, wanted))
        for old in diff.stale_addresses(str(wanted) if wanted else None, have):
            count += self._try(
                f"remove {old.interface} from {BRIDGE}", rtnl.delete_address(bridge, old.interface)
            )
        return count + (self._route(wanted, bridge) if wanted else 0)

    def _route(self, own: IPInterface, bridge: int) -> int:
        """Set the route to the overlay. The kernel's own, of an address that was set otherwise, has
        metric 0 and would win over the physical network's.

        Asked for every time: that is cheaper than to look, as a router may have 100,000 routes.
        With its source an IPv4 route goes when the address goes, and comes with the next one's.
        """
        source = own.ip if own.version == 4 else None
        ours = rtnl.add_route(own.network, bridge, metric=ROUTE_METRIC, source=source)
        return self._try(f"set the route to {own.network}", ours) + self._try(
            f"remove the kernel's route to {own.network}",
            rtnl.delete_route(own.network, bridge, rtnl.RTPROT_KERNEL),
        )

    def _peer_routes(self, wanted: dict[str, int], bridge: int) -> int:
        count = 0
        for address, mtu in wanted.items():
            route = rtnl.add_route(
                ipaddress.ip_network(address), bridge, metric=ROUTE_METRIC, mtu=mtu, replace=True
            )
            done = self._try(f"set the MTU of the route to {address} to {mtu}", route)
            count += done and self._routes.get(address) != mtu
        for address in self._routes.keys() - wanted.keys():
            route = rtnl.delete_route(ipaddress.ip_network(address), bridge, ROUTE_PROTOCOL)
            count += self._try(f"remove the route to {address}", route)
        self._routes = dict(wanted)
        return count

    def _forward(self, steps: Sequence[ForwardingStep]) -> int:
        """Do all steps in one batch; return how many had an effect."""
        count = 0
        requests = [_entry(step, self._indexes) for step in steps]
        for step, error in zip(steps, self._netlink.batch(requests), strict=True):
            if error and error.errno not in _SO_ALREADY:
                verb = "remove" if step.remove else "set"
                where = step.remote.address if step.remote else step.address or ""
                self._failed(f"{verb} {step.table} entry {step.mac} {where}", error)
                continue
            diff.note(step, self._have)
            count += error is None
        return count

    def _sysctls(self, wanted: dict[str, str], present: set[str]) -> None:
        for name, value in wanted.items():
            path = self._proc_sys / name
            if path.parent.name not in present:
                continue
            try:
                if path.read_text().strip() == value:
                    continue
                path.write_text(value)
                log.info("sysctl %s=%s", name.replace("/", "."), value)
            except FileNotFoundError:
                continue  # no IPv6 in this kernel
            except OSError as error:
                self._sysctl_refused(name, value, error)

    def _sysctl_refused(self, name: str, value: str, error: OSError) -> None:
        """Containers have /proc/sys read-only; most of what we set there is a second safeguard."""
        if name not in self._refused_sysctls:
            self._refused_sysctls.add(name)
            log.info("sysctl %s can't be set to %s: %s", name, value, error.strerror)
        path = self._proc_sys / name
        if path.name == "rp_filter" and self._strict(path):
            self.notes.append(
                f"rp_filter of {path.parent.name} is strict and can't be changed: packets to the "
                "VIP or from a second NIC may be dropped; set net.ipv4.conf.all.rp_filter=2"
            )

    def _strict(self, path: Path) -> bool:
        try:
            both = (path, path.parent.parent / "all" / path.name)
            return max(int(each.read_text()) for each in both) == 1
        except (OSError, ValueError):
            return False

    def _try(self, what: str, request: Request) -> int:
        """Do a request; a failure is noted under `what`. Returns 1 if it was done."""
        try:
            self._netlink.request(request)
        except NetlinkError as error:
            if error.errno not in _SO_ALREADY:
                self._failed(what, error)
            return 0
        log.debug("kernel: %s", what)
        return 1

    def _failed(self, what: str, error: NetlinkError) -> None:
        self.counters.kernel_refusals += 1
        self.problems.append(f"the kernel refused to {what}: {error.strerror}")


def _correction(what: Correction, want: DesiredLink, index: int, bridge: int) -> Request:
    match what:
        case "mac":
            return rtnl.set_link(index, attribute(rtnl.IFLA_ADDRESS, rtnl.mac_bytes(want.mac)))
        case "mtu":
            return rtnl.set_link(index, u32(rtnl.IFLA_MTU, want.mtu))
        case "bridge":
            return rtnl.set_bridge(index)
        case "master":
            return rtnl.set_link(index, u32(rtnl.IFLA_MASTER, bridge))
        case "port":
            return rtnl.set_port(index)
        case "up":
            return rtnl.set_link(index, up=True)


def _entry(step: ForwardingStep, indexes: dict[str, int]) -> Request:
    index = indexes[step.device]
    if step.table == "neighbour":
        return rtnl.neighbour(index, step.address or "", step.mac, remove=step.remove)
    append = step.table == "flood"
    return rtnl.fdb_entry(index, step.mac, step.remote, remove=step.remove, append=append)


def _possible(want: Forwarding, indexes: dict[str, int]) -> Forwarding:
    """Leave out entries of a device that could not be made."""
    return Forwarding(
        {(device, remote) for device, remote in want.flood if device in indexes},
        {key: remote for key, remote in want.unicast.items() if key[0] in indexes},
        {mac: device for mac, device in want.ports.items() if device in indexes},
        want.neighbours,
    )
