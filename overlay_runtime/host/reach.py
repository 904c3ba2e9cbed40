"""Whether an address answers: ICMP echo (RFC 792, RFC 4443), and for neighbours ARP or ND."""

from __future__ import annotations

import contextlib
import os
import socket
import struct
import time
from collections.abc import Iterable

from overlay_runtime.host.tools import attempt

_WAIT = 1.0
_ECHO = {socket.AF_INET: (8, 0), socket.AF_INET6: (128, 129)}
_REACHABLE = ("REACHABLE",)


def answers(address: str, *, neighbour: bool = False, tries: int = 2) -> bool:
    """Return whether an address answers within some seconds; as root. A `neighbour` may also do
    so by ARP or ND alone: many routers don't answer ICMP."""
    for _ in range(tries):
        with contextlib.suppress(OSError):
            if _echo(address):
                return True
        if neighbour and _known(address):
            return True
    return False


def all_answering(addresses: Iterable[str], *, neighbours: bool) -> tuple[str, ...]:
    """Return those that answer, in the same order."""
    return tuple(one for one in addresses if answers(one, neighbour=neighbours))


def _echo(address: str) -> bool:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if family == socket.AF_INET6 else socket.IPPROTO_ICMP
    ours, number = os.getpid() & 0xFFFF, int(time.monotonic() * 1000) & 0xFFFF
    ask, answer = _ECHO[family]
    with socket.socket(family, socket.SOCK_RAW, protocol) as sock:
        sock.sendto(_message(ask, ours, number), (address, 0))
        end = time.monotonic() + _WAIT
        while (left := end - time.monotonic()) > 0:
            sock.settimeout(left)
            data, sender = sock.recvfrom(2048)
            if family == socket.AF_INET:
                data = data[(data[0] & 0xF) * 4 :]
            kind, _, _, theirs, heard = struct.unpack_from("!BBHHH", data)
            if (kind, theirs, heard) == (answer, ours, number) and sender[0] == address:
                return True
    return False


def _message(kind: int, identity: int, number: int) -> bytes:
    """The kernel computes the checksum of ICMPv6 by itself."""
    bare = struct.pack("!BBHHH", kind, 0, 0, identity, number)
    words = struct.unpack("!4H", bare)
    total = sum(words)
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!BBHHH", kind, 0, ~total & 0xFFFF, identity, number)


def _known(address: str) -> bool:
    _, out, _ = attempt("ip", "neighbour", "show", "to", address, seconds=5)
    return any(word in out.split() for word in _REACHABLE)
