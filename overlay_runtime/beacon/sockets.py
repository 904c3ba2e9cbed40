"""The UDP sockets that beacons travel through: IPv4 broadcast and unicast, IPv6 link-local.

Ancillary data (ip(7), ipv6(7): IP_PKTINFO, IPV6_PKTINFO) tells on which NIC a packet came in and
makes one leave through a given NIC.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ipaddress
import logging
import socket
import struct
import time
from collections.abc import Callable

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.freshness import RateLimit
from overlay_runtime.beacon.pathmtu import LARGEST

log = logging.getLogger(__name__)

BROADCAST = ipaddress.IPv4Address("255.255.255.255")
ALL_NODES = ipaddress.IPv6Address("ff02::1")
"""All hosts of a segment; switches with MLD snooping never filter it (RFC 4541, 3)."""

_IP_PKTINFO = 8  # linux/in.h; Python's socket module has no name for it before 3.14
_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE = 10, 23, 3
_IPV6_DONTFRAG = 62
_IN_PKTINFO = struct.Struct("=i4s4s")
_IN6_PKTINFO = struct.Struct("=16si")
_BATCH = 64

_READS = (3000.0, 8000.0)
"""Datagrams a second, and at once: 1000 hosts that all tell a change three times over two families
of addresses, and a tenth of a core at 35 µs each. A flood beyond it waits in the sockets' buffers,
and is dropped there by the kernel."""

_REST = 0.02
_SO_RCVBUFFORCE = 33
_BUFFER = 1 << 20

Received = Callable[[bytes, IPAddress, int], None]
"""Called with a datagram, its source address, and the ifindex of the NIC where it came in."""


class BeaconSockets:
    """Both sockets on one UDP port. Sending never blocks and never raises."""

    def __init__(self, port: int, received: Received) -> None:
        """Open the sockets. Raises OSError if the IPv4 port is taken.

        Without IPv6 in the kernel there is only the IPv4 socket.
        """
        self._port = port
        self._received = received
        self._v4 = _open_v4(port)
        self._v6: socket.socket | None = None
        try:
            self._v6 = _open_v6(port)
        except OSError as error:
            log.info("no IPv6 beacons: %s", error.strerror)
        self._reads = RateLimit(*_READS)
        self._resting: asyncio.TimerHandle | None = None
        self._listen()

    def close(self) -> None:
        """Close both sockets."""
        if self._resting:
            self._resting.cancel()
        loop = asyncio.get_running_loop()
        for sock in self._sockets():
            loop.remove_reader(sock)
            sock.close()

    def broadcast4(self, data: bytes, nic: int, source: ipaddress.IPv4Address) -> None:
        """Broadcast through a NIC. `source` is given because the kernel's own choice might be the
        overlay's address."""
        info = _IN_PKTINFO.pack(nic, source.packed, b"\0\0\0\0")
        self._send(self._v4, data, [(socket.IPPROTO_IP, _IP_PKTINFO, info)], (str(BROADCAST),))

    def multicast6(self, data: bytes, nic: int) -> None:
        """Send to all nodes of a NIC's segment."""
        self._send6(data, ALL_NODES, nic)

    def unicast(self, data: bytes, remote: IPAddress, nic: int | None) -> bool:
        """Send to one host; `nic` (an ifindex) is needed for a link-local address.

        Returns whether it left: without a route it can't.
        """
        if isinstance(remote, ipaddress.IPv6Address):
            return self._send6(data, remote, nic or 0)
        return self._send(self._v4, data, [], (str(remote),))

    def _send6(self, data: bytes, remote: ipaddress.IPv6Address, nic: int) -> bool:
        if self._v6 is None:
            return False
        return self._send(self._v6, data, [], (str(ipaddress.IPv6Address(int(remote))), nic))

    def _send(
        self,
        sock: socket.socket,
        data: bytes,
        ancillary: list[tuple[int, int, bytes]],
        target: tuple[str] | tuple[str, int],
    ) -> bool:
        host, *nic = target
        full = (host, self._port, 0, nic[0]) if nic else (host, self._port)
        try:
            sock.sendmsg([data], ancillary, 0, full)
        except OSError as error:
            # A NIC that just went away, no route yet, a full queue: the next round repairs it.
            log.debug("beacon to %s not sent: %s", host, error.strerror)
            return False
        return True

    def _sockets(self) -> list[socket.socket]:
        return [self._v4] + ([self._v6] if self._v6 else [])

    def _listen(self) -> None:
        self._resting = None
        loop = asyncio.get_running_loop()
        for sock in self._sockets():
            loop.add_reader(sock, self._read, sock)

    def _rest(self) -> None:
        loop = asyncio.get_running_loop()
        for sock in self._sockets():
            loop.remove_reader(sock)
        self._resting = loop.call_later(_REST, self._listen)

    def _read(self, sock: socket.socket) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(_BATCH):  # a flood must not keep the loop from its other work
                if not self._reads.allow(time.monotonic()):
                    self._rest()
                    return
                try:
                    data, ancillary, _flags, source = sock.recvmsg(LARGEST, 128)
                except BlockingIOError:
                    raise
                except OSError:
                    continue  # an ICMP error from an earlier send
                self._received(data, _address(source[0]), _ifindex(ancillary))


@functools.lru_cache(maxsize=4096)
def _address(text: str) -> IPAddress:
    return ipaddress.ip_address(text.split("%")[0])


def _ifindex(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            return int(_IN_PKTINFO.unpack(data[: _IN_PKTINFO.size])[0])
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            return int(_IN6_PKTINFO.unpack(data[: _IN6_PKTINFO.size])[1])
    return 0


def _prepare(sock: socket.socket) -> None:
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
    except OSError:  # without CAP_NET_ADMIN: as much as net.core.rmem_max allows
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)


def _open_v4(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        _prepare(sock)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        # Nothing is fragmented, and no ICMP from outside decides about sizes (ip(7)): beacons are
        # small enough for every path, and pathmtu.py finds out about the rest.
        sock.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        sock.bind(("", port))
    except OSError:
        sock.close()
        raise
    return sock


def _open_v6(port: int) -> socket.socket:
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        _prepare(sock)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, 1)
        sock.bind(("::", port))
    except OSError:
        sock.close()
        raise
    return sock
