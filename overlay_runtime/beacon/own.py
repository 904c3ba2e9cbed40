"""This host's own beacon: what it says of itself at the moment."""

from __future__ import annotations

import socket

from overlay_runtime import BRIDGE
from overlay_runtime.acquire import Acquisition
from overlay_runtime.beacon.model import BeaconNic
from overlay_runtime.beacon.rounds import interval
from overlay_runtime.beacon.wire import CLAIMING, HELD, Beacon
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.peers import PeerTable


def own_beacon(
    config: OverlayConfig,
    own: Acquisition,
    table: PeerTable,
    nics: tuple[BeaconNic, ...],
    boot: str,
) -> Beacon:
    """Return it, without seq. `boot` is the boot nonce."""
    return Beacon(
        host=table.own_id,
        name=socket.gethostname(),  # DHCP or an administrator may change it
        boot=boot,
        seq=0,
        cidr=own.cidr,
        vni=config.vni,
        port=config.port,
        state=HELD if own.address else CLAIMING,
        address=own.address or own.claiming,
        claims=own.claiming if own.address else None,
        mac=own.identity.mac(BRIDGE),
        nics=nics,
        interval=interval(len(table.peers)),
    )
