"""What stands in the way of a first claim. Pure, but for a look at Kubernetes' configuration."""

from __future__ import annotations

from overlay_runtime.address import IPNetwork
from overlay_runtime.config import kubernetes
from overlay_runtime.peers import PeerTable
from overlay_runtime.physical import Physical

_DHCP_SECONDS, _FORWARDING_SECONDS = 15.0, 25.0
"""A first claim waits so long for DHCP where there is only a link-local address: whether the
overlay's range overlaps the physical network is known only then. It can't be changed later. While
no peer is heard, the switch's port may not forward yet: spanning tree takes 30 s."""


def obstacle(
    physical: Physical,
    table: PeerTable,
    ranges: kubernetes.Kubernetes,
    cidr: IPNetwork,
    now: float,
) -> str | None:
    """Return why no address of `cidr` can be claimed at the moment, or None."""
    nics = physical.nics
    if not any(nic.usable for nic in nics):
        return "no physical NIC has an address yet"
    # A router that gave an IPv6 address proves that the switch forwards.
    heard = table.peers or any(nic.v6 for nic in nics)
    patience = _DHCP_SECONDS + (0 if heard else _FORWARDING_SECONDS)
    if not any(nic.v4 for nic in nics) and now - physical.reachable < patience:
        return "no physical NIC has an IPv4 address yet"
    if physical.overlap:
        return (
            f"the overlay's range {cidr} overlaps {physical.overlap}; set another `cidr`, or "
            "change the physical network"
        )
    met = ranges.overlap(cidr)
    return f"the overlay's range {cidr} overlaps {met}; {kubernetes.REMEDY}" if met else None
