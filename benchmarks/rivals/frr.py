"""FRR's BGP EVPN: the first host is the route reflector, the other one connects to it."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks.lab import Host, ip
from benchmarks.rivals.base import Rival, bridge, render

_FRR = Path("/usr/lib/frr")


class Evpn(Rival):
    """With the default timers (keepalive 60 s, hold 180 s, connect 120 s), or all of 1 s (hold 3 s:
    the least there is)."""

    def __init__(self, *, fast: bool) -> None:
        super().__init__()
        self._fast = fast
        self._directories: list[Path] = []
        self.patience_s = 30.0 if fast else 240.0
        self.label = f"FRR EVPN, {'timers of 1 s' if fast else 'default timers'}"

    def make(self, peer: Host, host: Host) -> None:
        """Set up both. The daemons drop root for `frr`, which must reach their files."""
        for number, one in enumerate((peer, host)):
            bridge(one, f"local {one.physical} nolearning", number)
            ip("link set vx77 type bridge_slave neigh_suppress off learning off\n", one.namespace)
            directory = Path(f"/run/{one.namespace}-frr")
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            shutil.chown(directory, "frr", "frr")
            render("frr.conf", directory / "frr.conf", number=number + 1, fast=self._fast,
                   reflector=peer.physical, segment="10.0.0.0/8")  # fmt: skip
            for daemon in ("zebra", "bgpd"):
                self.start(
                    one, _FRR / daemon, "-f", directory / "frr.conf", "-i",
                    directory / f"{daemon}.pid", "-z", directory / "zserv.api", "--vty_socket",
                    directory, *(("-n",) if daemon == "bgpd" else ()),
                )  # fmt: skip
        self._directories = [Path(f"/run/{one.namespace}-frr") for one in (peer, host)]

    def renumbered(self, host: Host) -> None:
        """Tell the VXLAN device its new source, from which zebra has it."""
        ip(f"link set vx77 type vxlan id 77 dev eth0 local {host.physical}\n", host.namespace)

    def disconnect(self) -> None:
        """End the daemons, and remove what they left."""
        super().disconnect()
        for directory in self._directories:
            shutil.rmtree(directory, ignore_errors=True)
