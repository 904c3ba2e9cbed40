"""Brings the kernel to the desired state: links, address, forwarding, sysctls.

What is right already is left untouched: an agent that starts again costs no packet.
"""

from __future__ import annotations

import errno
import ipaddress
import logging
from collections.abc import Awaitable, Sequence
from pathlib import Path

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from overlay_runtime import BRIDGE
from overlay_runtime.errors import KernelError
from overlay_runtime.kernel import diff
from overlay_runtime.kernel.actual import read_forwarding, read_links
from overlay_runtime.kernel.desired import Desired, DesiredLink
from overlay_runtime.kernel.diff import ForwardingStep, Known
from overlay_runtime.kernel.model import (
    ADDRESS_PROTOCOL,
    ROUTE_METRIC,
    ROUTE_PROTOCOL,
    Forwarding,
    Link,
    LinkAddress,
)

log = logging.getLogger(__name__)

IPInterface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

_NTF_SELF, _NTF_MASTER = 0x02, 0x04
_NUD_NOARP, _NUD_PERMANENT = 0x40, 0x80
_IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = 0x02, 0x200
_RTPROT_KERNEL, _RT_SCOPE_LINK = 2, 253
_ADDR_GEN_NONE = {
    "attrs": [("AF_INET6", {"attrs": [("IFLA_INET6_ADDR_GEN_MODE", 1)]})],
}


class Applier:
    """Applies desired states to one network namespace."""

    def __init__(self, netlink: AsyncIPRoute, proc_sys: Path = Path("/proc/sys")) -> None:
        self._netlink = netlink
        self._proc_sys = proc_sys
        self.ipv6 = True
        """Whether the kernel makes VXLAN devices over IPv6; False once it refused."""
        self.problems: list[str] = []
        """What the last `apply` could not set, in words."""
        self.notes: list[str] = []
        """The same, where trying again soon would not help."""
        self._refused_sysctls: set[str] = set()

    async def apply(
        self,
        want: Desired,
        links: Sequence[Link],
        addresses: Sequence[LinkAddress],
        settling: Known | None,
    ) -> int:
        """Correct whatever differs; return the number of corrections.

        `links` and `addresses` are what the kernel holds now. Raises KernelError if the bridge
        itself can't be made; everything else that fails is kept in `problems` and tried again next
        time.
        """
        self.problems, self.notes = [], []
        count, present = await self._links(want, list(links))
        indexes = {link.name: link.index for link in present}
        if BRIDGE not in indexes:
            raise KernelError(f"the bridge {BRIDGE} can't be made: {'; '.join(self.problems)}",
                              "see that the kernel has the modules bridge and vxlan")  # fmt: skip
        self._sysctls(want.sysctls, set(indexes))
        bridge = indexes[BRIDGE]
        count += await self._address(want, bridge, [a for a in addresses if a.index == bridge])
        have = await read_forwarding(self._netlink, indexes)
        for step in diff.steps(_possible(want.forwarding, indexes), have, settling):
            count += await self._forwarding(step, indexes)
        return count

    async def _links(self, want: Desired, links: list[Link]) -> tuple[int, list[Link]]:
        count = 0
        for desired in want.links:
            have = next((link for link in links if link.name == desired.name), None)
            why = diff.must_recreate(desired, have) if have else None
            if have and why:
                log.warning("%s is made again: %s", desired.name, why)
                await self._try(f"remove {desired.name}",
                                self._netlink.link("del", index=have.index))  # fmt: skip
            if not have or why:
                await self._make(desired)
                count += 1
                links = await read_links(self._netlink)
                have = next((link for link in links if link.name == desired.name), None)
            bridge = next((link.index for link in links if link.name == BRIDGE), 0)
            if have is None or not bridge:
                continue
            for settings in diff.corrections(desired, have, bridge):
                what = ", ".join(f"{key}={value}" for key, value in settings.items())
                count += await self._try(f"set {desired.name} {what}",
                                         self._set_link(have.index, settings))  # fmt: skip
        return count, links

    async def _make(self, want: DesiredLink) -> None:
        common = {"ifname": want.name, "address": want.mac, "mtu": want.mtu}
        if want.vni is None:
            request = self._netlink.link(
                "add", kind="bridge", br_stp_state=0, br_mcast_snooping=0, **common
            )
            await self._try(f"make {want.name}", request)
            return
        # `local ::` makes it an IPv6 device without tying it to an address or a NIC.
        family = {"vxlan_local6": "::"} if want.over6 else {}
        request = self._netlink.link(
            "add", kind="vxlan", vxlan_id=want.vni, vxlan_port=want.port, vxlan_learning=0,
            **family, **common,
        )  # fmt: skip
        try:
            await request
        except NetlinkError as error:
            if want.over6 and error.code == errno.EAFNOSUPPORT:
                log.warning("this kernel has no IPv6: the overlay goes over IPv4 alone")
                self.ipv6 = False
                return
            hint = ""
            if error.code in (errno.EEXIST, errno.EADDRINUSE):
                hint = (
                    f" (another VXLAN device has VNI {want.vni} or UDP port {want.port}: set "
                    "another `vni` or `port` on every host, or remove that device)"
                )
            self._failed(f"make {want.name}{hint}", error)
            return
        log.info("%s made: vni=%d port=%d", want.name, want.vni, want.port)
        found = await self._netlink.link_lookup(ifname=want.name)
        if found:
            # Ports need no address of their own, and one would be a way around the bridge.
            await self._try(f"set {want.name} addrgenmode none",
                            self._netlink.link("set", index=found[0], IFLA_AF_SPEC=_ADDR_GEN_NONE)
                            )  # fmt: skip

    async def _set_link(self, index: int, settings: dict[str, object]) -> None:
        plain = dict(settings)
        if plain.get("kind") == "bridge_slave":
            del plain["kind"]
            port = {key.removeprefix("brport_"): value for key, value in plain.items()}
            await self._netlink.brport("set", index=index, **port)
            return
        await self._netlink.link("set", index=index, **plain)

    async def _address(self, want: Desired, bridge: int, have: list[LinkAddress]) -> int:
        count = 0
        wanted = want.address
        if wanted and all(a.interface != wanted for a in have):
            extra: dict[str, object] = {
                "IFA_PROTO": ADDRESS_PROTOCOL, "flags": _IFA_F_NOPREFIXROUTE
            }  # fmt: skip
            if wanted.version == 4:
                extra["broadcast"] = str(wanted.network.broadcast_address)
            else:
                # Claimed and checked already; tentative, it would be unusable for a second.
                extra["flags"] = _IFA_F_NOPREFIXROUTE | _IFA_F_NODAD
            count += await self._try(
                f"set {wanted} on {BRIDGE}",
                self._netlink.addr("add", index=bridge, address=str(wanted.ip),
                                   prefixlen=wanted.network.prefixlen, **extra),
            )  # fmt: skip
        for old in diff.stale_addresses(str(wanted) if wanted else None, have):
            count += await self._try(
                f"remove {old.interface} from {BRIDGE}",
                self._netlink.addr("del", index=bridge, address=str(old.interface.ip),
                                   prefixlen=old.interface.network.prefixlen),
            )  # fmt: skip
        return count + (await self._route(wanted, bridge) if wanted else 0)

    async def _route(self, own: IPInterface, bridge: int) -> int:
        """Set the route to the overlay. The kernel's own, of an address that was set otherwise, has
        metric 0 and would win over the physical network's.

        Asked for every time: that is cheaper than to look, as a router may have 100,000 routes.
        """
        route: dict[str, object] = {"dst": str(own.network), "oif": bridge}
        if own.version == 4:
            route["scope"] = _RT_SCOPE_LINK
        ours = route | {"priority": ROUTE_METRIC, "proto": ROUTE_PROTOCOL}
        if own.version == 4:
            # With its source it goes when the address goes, and comes back with the next one's.
            ours["prefsrc"] = str(own.ip)
        count = await self._try(f"set the route to {own.network}",
                                self._netlink.route("add", **ours))  # fmt: skip
        return count + await self._try(
            f"remove the kernel's route to {own.network}",
            self._netlink.route("del", **route, proto=_RTPROT_KERNEL),
        )

    async def _forwarding(self, step: ForwardingStep, indexes: dict[str, int]) -> int:
        index = indexes[step.device]
        # pyroute2 fills in flags and state for `add` and `del` only: with `replace` an entry
        # without them would land in the bridge instead of the VXLAN device.
        entry: dict[str, object] = {"ifindex": index, "lladdr": step.mac}
        if step.table == "neighbour":
            entry |= {"dst": step.address, "state": _NUD_PERMANENT}
            request = self._netlink.neigh("del" if step.remove else "replace", **entry)
        else:
            if step.table == "port":
                entry |= {"flags": _NTF_MASTER, "state": _NUD_NOARP}
            else:
                entry |= {"flags": _NTF_SELF, "state": _NUD_NOARP | _NUD_PERMANENT}
            if step.remote is not None:
                entry["dst"] = step.remote.address
                if step.remote.via is not None:
                    entry["NDA_IFINDEX"] = step.remote.via
            set_it = "append" if step.table == "flood" else "replace"
            request = self._netlink.fdb("del" if step.remove else set_it, **entry)
        verb = "remove" if step.remove else "set"
        where = step.remote.address if step.remote else step.address or ""
        return await self._try(f"{verb} {step.table} entry {step.mac} {where}", request)

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

    async def _try(self, what: str, request: Awaitable[object]) -> int:
        """Await a request; a failure is noted under `what`. Returns 1 if it was done."""
        try:
            await request
        except NetlinkError as error:
            if error.code in (errno.EEXIST, errno.ENOENT, errno.ESRCH, errno.ENODEV):
                return 0  # it is so already, or its link went away under our hands
            self._failed(what, error)
            return 0
        log.debug("kernel: %s", what)
        return 1

    def _failed(self, what: str, error: NetlinkError) -> None:
        text = f"the kernel refused to {what}: {error.args[1] if len(error.args) > 1 else error}"
        self.problems.append(text)


def _possible(want: Forwarding, indexes: dict[str, int]) -> Forwarding:
    """Leave out entries of a device that could not be made."""
    return Forwarding(
        {(device, remote) for device, remote in want.flood if device in indexes},
        {key: remote for key, remote in want.unicast.items() if key[0] in indexes},
        {mac: device for mac, device in want.ports.items() if device in indexes},
        want.neighbours,
    )
