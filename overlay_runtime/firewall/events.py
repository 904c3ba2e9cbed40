"""Tells when somebody else changes the ruleset (`nft flush ruleset`, a reload of firewalld)."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable

from overlay_runtime.firewall.nftables import TABLE
from overlay_runtime.kernel.netlink import HEADER, NETLINK_NETFILTER

_SOL_NETLINK, _ADD_MEMBERSHIP = 270, 1
_GROUP_NFTABLES = 7
_REMOVALS = {(10 << 8) | number for number in (2, 5, 8, 11, 14)}
"""NFT_MSG_DELTABLE, DELCHAIN, DELRULE, DELSET, DELSETELEM."""


class RulesetEvents:
    """Calls `changed` when something was removed from our table by another than `own_ports`."""

    def __init__(self, changed: Callable[[], None]) -> None:
        """Raises OSError where the kernel has no netfilter."""
        self._changed = changed
        self._mark = TABLE.encode() + b"\0"
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_NETFILTER
        )
        try:
            self._socket.bind((0, 0))
            self._socket.setsockopt(_SOL_NETLINK, _ADD_MEMBERSHIP, _GROUP_NFTABLES)
        except OSError:
            self._socket.close()
            raise
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._socket, self._read)

    def close(self) -> None:
        """Stop listening."""
        self._loop.remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        relevant = False
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                try:
                    data = self._socket.recv(65536)
                except OSError as error:
                    if error.errno != errno.ENOBUFS:
                        raise
                    relevant = True
                    continue
                relevant |= self._is_removal(data)
        if relevant:
            self._changed()

    def _is_removal(self, data: bytes) -> bool:
        offset = 0
        while offset + HEADER.size <= len(data):
            length, kind, _, _, _ = HEADER.unpack_from(data, offset)
            if length < HEADER.size:
                break
            if kind in _REMOVALS and self._mark in data[offset : offset + length]:
                return True
            offset += (length + 3) & ~3
        return False
