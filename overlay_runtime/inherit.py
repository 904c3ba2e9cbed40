"""What an earlier agent of this host left in the kernel."""

from __future__ import annotations

import ipaddress

from overlay_runtime import OUR_LINKS
from overlay_runtime.kernel.actual import read_forwarding
from overlay_runtime.kernel.netlink import Netlink
from overlay_runtime.peer import Transport
from overlay_runtime.peers import Inherited
from overlay_runtime.physical import Physical


def inherited(netlink: Netlink, physical: Physical) -> Inherited:
    """Read it, before anything is changed. Raises NetlinkError."""
    indexes = {link.name: link.index for link in physical.links if link.name in OUR_LINKS}
    have = read_forwarding(netlink, indexes)
    paths = {
        mac: Transport(ipaddress.ip_address(remote.address), remote.via)
        for (_, mac), remote in have.unicast.items()
        if remote.address
    }
    link_local = tuple(address for nic in physical.nics for address in nic.ll)
    return Inherited(have.neighbours, paths, link_local)
