"""Beacons, NICs and peers for tests."""

from __future__ import annotations

import ipaddress
from typing import Any

from overlay_runtime.beacon.wire import HELD, Beacon, BeaconNic
from overlay_runtime.underlay import Nic

CIDR = ipaddress.ip_network("100.64.192.0/23")
V4 = ipaddress.IPv4Address
V6 = ipaddress.IPv6Address


def beacon(number: int = 1, **changes: Any) -> Beacon:
    """Return the beacon of host `number`, with changes."""
    fields: dict[str, Any] = {
        "host": f"{number:016x}",
        "name": f"host{number}",
        "boot": f"b{number:015x}",
        "seq": 1,
        "cidr": CIDR,
        "vni": 100,
        "port": 4797,
        "state": HELD,
        "address": CIDR.network_address + 10 + number,
        "mac": f"02:00:00:00:00:{number:02x}",
        "nics": (BeaconNic("eth0", 1500, (V4("10.9.0.0") + number,), (V6(f"fe80::{number:x}"),)),),
    }
    return Beacon(**{**fields, **changes})


def nic(**changes: Any) -> Nic:
    """Return this host's own NIC."""
    fields: dict[str, Any] = {
        "name": "eth0",
        "index": 2,
        "mtu": 1500,
        "v4": (ipaddress.IPv4Interface("10.9.0.99/24"),),
        "ll": (V6("fe80::99"),),
    }
    return Nic(**{**fields, **changes})
