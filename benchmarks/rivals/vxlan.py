"""The kernel's VXLAN without any daemon: ip-link(8)."""

from __future__ import annotations

from benchmarks.lab import Host
from benchmarks.rivals.base import Rival, bridge


class MulticastVxlan(Rival):
    """Floods to a multicast group, and learns from what comes."""

    def __init__(self, *, ipv6: bool) -> None:
        super().__init__()
        self.label = f"kernel VXLAN, IPv{6 if ipv6 else 4} multicast group"
        self._group = "ff02::77" if ipv6 else "239.77.77.77"

    def make(self, peer: Host, host: Host) -> None:
        """Set up both."""
        for number, one in enumerate((peer, host)):
            bridge(one, f"group {self._group}", number)


class StaticVxlan(Rival):
    """Each host's entry was written by hand; nobody changes it, and nothing is learned."""

    label = "kernel VXLAN, static entries"
    patience_s = 3.0  # what nobody tells it, it will never know

    def make(self, peer: Host, host: Host) -> None:
        """Set up both."""
        bridge(peer, f"remote {host.physical} nolearning", 0)
        bridge(host, f"remote {peer.physical} nolearning", 1)
