"""What an earlier agent of this host left in the kernel, and what of it contradicts a peer."""

from __future__ import annotations

import ipaddress

from overlay_runtime import OUR_LINKS
from overlay_runtime.kernel.actual import read_forwarding
from overlay_runtime.kernel.diff import Known
from overlay_runtime.kernel.netlink import Netlink
from overlay_runtime.peer import Transport, physical_addresses
from overlay_runtime.peers import Inherited, PeerTable
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


def known(table: PeerTable) -> Known:
    """Return what identifies entries as stale while not all peers have been heard yet."""
    peers = table.peers.values()
    return Known(
        frozenset(peer.beacon.mac for peer in peers),
        frozenset(str(a) for peer in peers for a in physical_addresses(peer)),
        frozenset(str(peer.address) for peer in peers if peer.address),
    )
