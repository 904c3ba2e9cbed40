"""Sends ICMP echo requests across the overlay, to many peers at once, and never fragmented."""

from __future__ import annotations

import ipaddress
import os
import select
import socket
import struct
import time
from collections.abc import Iterable, Sequence
from typing import Any

from overlay_runtime import BRIDGE
from overlay_runtime.doctor.model import Probed

MOST_PEERS = 64
_WAIT_SECONDS = 0.5
_A_SECOND = 2000.0
"""Probes a second at most."""
_SMALL, _STEPS, _TRIES = 84, 8, 2

_IP_MTU_DISCOVER, _IPV6_MTU_DISCOVER, _IPV6_DONTFRAG = 10, 23, 62
_PMTUDISC_PROBE = 3  # don't fragment, and don't believe what is known of the path
_ICMP_ECHO, _ICMP_REPLY, _ICMP6_ECHO, _ICMP6_REPLY = 8, 0, 128, 129
_HEADERS = {4: 28, 6: 48}
_NONCE = 8


def sample(peers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return at most 64 peers that are heard, spread over all of them."""
    able = [peer for peer in peers if peer["state"] == "up" and peer["address"]]
    step = max(1, -(-len(able) // MOST_PEERS))
    return able[::step]


def probe_all(peers: Sequence[dict[str, Any]], mtu: int) -> dict[str, Probed]:
    """Find what gets across to each peer, up to `mtu` bytes. Takes seconds.

    Raises OSError if no probe can be sent (PermissionError without root).
    """
    if not peers:
        return {}
    version = ipaddress.ip_address(peers[0]["address"]).version
    with _Echo(version, BRIDGE) as echo:
        by_address = {peer["address"]: peer["id"] for peer in peers}
        best = dict.fromkeys(by_address, 0)
        for _ in range(_TRIES):
            missing = [(a, size) for a in best for size in (_SMALL, mtu) if best[a] < size]
            _note(best, echo.send(missing))
        worst = {a: mtu for a, size in best.items() if 0 < size < mtu}
        while worst:  # each step leaves an eighth of what is uncertain
            asked = [(a, size) for a, limit in worst.items() for size in _between(best[a], limit)]
            if not asked:
                break
            for _ in range(_TRIES):
                _note(best, echo.send([(a, size) for a, size in asked if size > best[a]]))
            sizes = {a: [s for b, s in asked if b == a and s > best[a]] for a in worst}
            worst = {a: min([*sizes[a], limit]) for a, limit in worst.items()}
            worst = {a: limit for a, limit in worst.items() if limit - best[a] > 1}
    return {by_address[a]: Probed(size > 0, size) for a, size in best.items()}


def _between(low: int, high: int) -> list[int]:
    step = max(1, (high - low) // _STEPS)
    return list(range(low + step, high, step))


def _note(best: dict[str, int], answered: Iterable[tuple[str, int]]) -> None:
    for address, size in answered:
        best[address] = max(best[address], size)


class _Echo:
    """A socket for echo requests through one link."""

    def __init__(self, version: int, link: str) -> None:
        self._six = version == 6
        family = socket.AF_INET6 if self._six else socket.AF_INET
        protocol = socket.IPPROTO_ICMPV6 if self._six else socket.IPPROTO_ICMP
        self._overhead = _HEADERS[version]
        self._nonce = os.urandom(_NONCE)
        self._ident = int.from_bytes(os.urandom(2), "big")
        self._socket = socket.socket(family, socket.SOCK_RAW, protocol)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, link.encode())
            if self._six:
                self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_MTU_DISCOVER, _PMTUDISC_PROBE)
                self._socket.setsockopt(socket.IPPROTO_IPV6, _IPV6_DONTFRAG, 1)
            else:
                self._socket.setsockopt(socket.IPPROTO_IP, _IP_MTU_DISCOVER, _PMTUDISC_PROBE)
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> _Echo:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, probes: Sequence[tuple[str, int]]) -> set[tuple[str, int]]:
        """Send (address, bytes of the IP packet) and return those that were answered in time."""
        answered: set[tuple[str, int]] = set()
        for number, (address, size) in enumerate(probes):
            try:
                self._socket.sendto(self._request(number, size), (address, 0))
            except OSError:
                continue  # too large for the link, or no way there: no answer comes
            self._receive(answered, 1 / _A_SECOND)
        end = time.monotonic() + _WAIT_SECONDS
        while (left := end - time.monotonic()) > 0 and len(answered) < len(probes):
            self._receive(answered, left)
        for _ in range(4 * len(probes)):  # on a busy host answers may be there unread
            if not self._receive(answered, 0.0):
                break
        return answered & set(probes)

    def _request(self, number: int, size: int) -> bytes:
        kind = _ICMP6_ECHO if self._six else _ICMP_ECHO
        body = (self._nonce + struct.pack("!H", size)).ljust(size - self._overhead, b"\0")
        head = struct.pack("!BBHHH", kind, 0, 0, self._ident, number & 0xFFFF)
        if self._six:
            return head + body  # the kernel fills in the checksum (RFC 3542)
        return struct.pack("!BBHHH", kind, 0, _checksum(head + body), self._ident,
                           number & 0xFFFF) + body  # fmt: skip

    def _receive(self, answered: set[tuple[str, int]], seconds: float) -> bool:
        """Take one packet, and tell whether there was one."""
        if not select.select([self._socket], [], [], seconds)[0]:
            return False
        try:
            data, source = self._socket.recvfrom(65536)
        except OSError:
            return False
        if not self._six:
            data = data[(data[0] & 15) * 4 :] if data else b""
        if len(data) < 8 + _NONCE + 2 or data[8 : 8 + _NONCE] != self._nonce:
            return True  # somebody else's
        if data[0] == (_ICMP6_REPLY if self._six else _ICMP_REPLY):
            [size] = struct.unpack_from("!H", data, 8 + _NONCE)
            answered.add((source[0], size))
        return True


def _checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    data += b"\0" * (len(data) % 2)
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF
