"""Asks a gateway on the wire whether it is there: ARP, and Neighbor Discovery for IPv6.

Not through the kernel's neighbour table: it must also be seen while the NIC has other addresses, or
none in the gateway's network.
"""

from __future__ import annotations

import contextlib
import ipaddress
import select
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from overlay_runtime.address import IPAddress
from overlay_runtime.dad.frames import ETH_P_ARP, ETH_P_IPV6, probe, read, request

_PACKET_OUTGOING = 4
_LONGEST = 256


def answers(nic: str, gateway: IPAddress, senders: Sequence[IPAddress], wait_s: float) -> bool:
    """Return whether a gateway answers on a NIC within some seconds.

    Asked is as somebody without an address (RFC 5227, 1.1: every host must answer) and as each of
    `senders`, addresses of the NIC. False too if the NIC can't be asked.
    """
    mac = _mac(nic)
    if mac is None:
        return False
    frames = [probe(gateway, mac)]
    if isinstance(gateway, ipaddress.IPv4Address):
        frames += [request(gateway, one, mac) for one in senders
                   if isinstance(one, ipaddress.IPv4Address)]  # fmt: skip
    protocol = ETH_P_ARP if gateway.version == 4 else ETH_P_IPV6
    try:
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0) as sock:
            sock.bind((nic, protocol))
            for frame in frames:
                sock.send(frame)
            return _heard(sock, gateway, time.monotonic() + wait_s)
    except OSError:
        return False


def _heard(sock: socket.socket, gateway: IPAddress, deadline: float) -> bool:
    while (left := deadline - time.monotonic()) > 0:
        if not select.select([sock], [], [], left)[0]:
            return False
        with contextlib.suppress(BlockingIOError):
            frame, source = sock.recvfrom(_LONGEST)
            seen = read(frame)
            if seen and source[2] != _PACKET_OUTGOING and not seen.probe and (
                seen.address == gateway
            ):  # fmt: skip
                return True
    return False


def _mac(nic: str) -> str | None:
    try:
        text = Path("/sys/class/net", nic, "address").read_text().strip()
    except OSError:
        return None
    return text if len(text) == 17 else None
