"""Wakes the agent when links, addresses, routes or our forwarding entries change.

A raw rtnetlink socket: only the fact of a change is needed, so nothing is parsed but the header.
That makes a burst of 50,000 events cheap, and an overrun (ENOBUFS) means no more than "look again".
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import struct
from collections.abc import Callable

from overlay_runtime.counters import Counters

_RTMGRP_LINK, _RTMGRP_NEIGH = 0x1, 0x4
_RTMGRP_IPV4_IFADDR, _RTMGRP_IPV4_ROUTE = 0x10, 0x40
_RTMGRP_IPV6_IFADDR, _RTMGRP_IPV6_ROUTE = 0x100, 0x400
_GROUPS = (
    _RTMGRP_LINK | _RTMGRP_NEIGH | _RTMGRP_IPV4_IFADDR | _RTMGRP_IPV4_ROUTE
    | _RTMGRP_IPV6_IFADDR | _RTMGRP_IPV6_ROUTE
)  # fmt: skip
_RTM_NEWNEIGH, _RTM_DELNEIGH = 28, 29
_LINKS_AND_ADDRESSES = range(16, 24)  # RTM_NEWLINK … RTM_GETADDR and their kin
_HEADER = struct.Struct("=IHHII")
_NDMSG = struct.Struct("=BxxxiH")
_NUD_NOARP, _NUD_PERMANENT = 0x40, 0x80


class KernelEvents:
    """Calls `changed` whenever something relevant happened in this network namespace.

    Its argument tells whether that is urgent: links and addresses are, as peers may be cut off;
    routes, of which a Kubernetes host changes many, are not.
    """

    def __init__(
        self, changed: Callable[[bool], None], ours: Callable[[int], bool], own_port: int
    ) -> None:
        """`ours` tells whether an ifindex is one of our links: others' neighbours are noise.
        `own_port` is the port id of the socket that our own requests come from."""
        self.counters = Counters()
        self._own_port = own_port
        self._changed = changed
        self._ours = ours
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.setblocking(False)
        self._socket.bind((0, _GROUPS))
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        urgencies: set[bool] = set()
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):  # then let others run; what is left wakes us at once
                try:
                    urgencies |= self._urgencies(self._socket.recv(65536))
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    self.counters.netlink_overruns += 1
                    urgencies.add(True)  # events got lost: whatever they were, look at everything
        if urgencies:
            self._changed(True in urgencies)

    def _urgencies(self, data: bytes) -> set[bool]:
        """Return how urgent the relevant messages in a datagram are."""
        found = set()
        offset = 0
        while offset + _HEADER.size <= len(data):
            length, kind, _flags, _seq, pid = _HEADER.unpack_from(data, offset)
            if length < _HEADER.size:
                break
            if kind not in (_RTM_NEWNEIGH, _RTM_DELNEIGH):
                found.add(kind in _LINKS_AND_ADDRESSES)
            elif self._is_foreign(kind, pid, data, offset + _HEADER.size):
                found.add(kind == _RTM_DELNEIGH)
            offset += (length + 3) & ~3
        return found

    def _is_foreign(self, kind: int, pid: int, data: bytes, body: int) -> bool:
        """Whether somebody else removed an entry on one of our links, or set one there.

        Of what comes, ARP at work is none of our business. VXLAN's entries tell no port id: so our
        own writes make one round more, which finds nothing to do.
        """
        if pid == self._own_port or body + _NDMSG.size > len(data):
            return False
        _, ifindex, state = _NDMSG.unpack_from(data, body)
        lasting = kind == _RTM_DELNEIGH or bool(state & (_NUD_NOARP | _NUD_PERMANENT))
        return lasting and self._ours(ifindex)
