"""nftables' sets, counters and rules through nfnetlink. Changes need no other process.

Numbers are those of linux/netfilter/nfnetlink.h and nf_tables.h. The rules themselves are loaded by
nft(8) from firewall.nft; for one element of a set its start (10 ms) would be too slow.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Mapping

from overlay_runtime.kernel.netlink import (
    NETLINK_NETFILTER,
    NLM_F_CREATE,
    Netlink,
    NetlinkError,
    Request,
    attribute,
    attributes,
    every,
    nested,
    string,
    text,
)

TABLE = "edge_overlay"

_SUBSYSTEM = 10 << 8
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_DELTABLE, _GETRULE = _SUBSYSTEM | 2, _SUBSYSTEM | 7
_NEWSETELEM, _GETSETELEM, _DELSETELEM = (_SUBSYSTEM | n for n in (12, 13, 14))
_GETOBJ = _SUBSYSTEM | 19
_INET, _UNSPEC = 1, 0
_TABLE_NAME = 1
_RULE_TABLE, _RULE_HANDLE = 1, 3
_ELEMENTS_TABLE, _ELEMENTS_SET, _ELEMENTS = 1, 2, 3
_LIST_ITEM, _ELEMENT_KEY, _DATA_VALUE = 1, 1, 1
_OBJECT_TABLE, _OBJECT_NAME, _OBJECT_DATA = 1, 2, 4
_COUNTER_PACKETS = 2
_GENMSG = struct.Struct("=BBH")
_AT_ONCE = 256
"""Elements in one message: an attribute holds 65,535 bytes."""


def _head(family: int, resource: int = 0) -> bytes:
    return _GENMSG.pack(family, 0, int.from_bytes(resource.to_bytes(2, "big"), "little"))


def interface_key(name: str) -> bytes:
    """Return a link's name as a key of a set of type `ifname`."""
    return name.encode()[:15].ljust(16, b"\0")


class Table:
    """The table as it is in the kernel."""

    def __init__(self) -> None:
        """Open a socket. Raises OSError where the kernel has no netfilter."""
        self._netlink = Netlink(NETLINK_NETFILTER)

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def rules(self) -> frozenset[int]:
        """Return the handles of all rules: none if the table is not there. Raises NetlinkError."""
        ask = _head(_INET) + text(_RULE_TABLE, TABLE)
        found = [attributes(message, _GENMSG.size) for message in self._dump(_GETRULE, ask)]
        return frozenset(
            int.from_bytes(told[_RULE_HANDLE], "big")
            for told in found
            if string(told.get(_RULE_TABLE)) == TABLE and _RULE_HANDLE in told
        )

    def elements(self, name: str) -> set[bytes]:
        """Return the keys in a set. Raises NetlinkError."""
        ask = _head(_INET) + text(_ELEMENTS_TABLE, TABLE) + text(_ELEMENTS_SET, name)
        found = set()
        for message in self._dump(_GETSETELEM, ask):
            told = attributes(message, _GENMSG.size)
            for element in every(told.get(_ELEMENTS, b"")):
                key = attributes(attributes(element).get(_ELEMENT_KEY, b""))
                found.add(key.get(_DATA_VALUE, b""))
        return found

    def change(
        self, add: Mapping[str, Collection[bytes]], remove: Mapping[str, Collection[bytes]]
    ) -> None:
        """Add keys to sets and remove others, all or nothing. Raises NetlinkError."""
        requests = [
            Request(kind, flags, _head(_INET) + _element_list(name, part))
            for kind, flags, changes in (
                (_NEWSETELEM, NLM_F_CREATE, add),
                (_DELSETELEM, 0, remove),
            )
            for name, keys in changes.items()
            for part in _parts(sorted(keys))
        ]
        self._transact(requests)

    def remove(self) -> None:
        """Remove the whole table, if it is there. Raises NetlinkError."""
        if self.rules():
            self._transact([Request(_DELTABLE, 0, _head(_INET) + text(_TABLE_NAME, TABLE))])

    def counters(self) -> dict[str, int]:
        """Return packets by counter. Raises NetlinkError."""
        found = {}
        for message in self._dump(_GETOBJ, _head(_INET) + text(_OBJECT_TABLE, TABLE)):
            told = attributes(message, _GENMSG.size)
            packets = attributes(told.get(_OBJECT_DATA, b"")).get(_COUNTER_PACKETS)
            if packets and string(told.get(_OBJECT_TABLE)) == TABLE:
                found[string(told.get(_OBJECT_NAME))] = int.from_bytes(packets, "big")
        return found

    def _dump(self, kind: int, ask: bytes) -> list[bytes]:
        return self._netlink.dump(kind, ask)

    def _transact(self, requests: list[Request]) -> None:
        if requests:
            begin = Request(_BATCH_BEGIN, 0, _head(_UNSPEC, 10))
            end = Request(_BATCH_END, 0, _head(_UNSPEC, 10))
            self._netlink.transact(begin, requests, end)


def _element_list(name: str, keys: Collection[bytes]) -> bytes:
    elements = (
        nested(_LIST_ITEM, nested(_ELEMENT_KEY, attribute(_DATA_VALUE, key))) for key in keys
    )
    where = text(_ELEMENTS_TABLE, TABLE) + text(_ELEMENTS_SET, name)
    return where + nested(_ELEMENTS, *elements)


def _parts(keys: list[bytes]) -> list[list[bytes]]:
    return [keys[start : start + _AT_ONCE] for start in range(0, len(keys), _AT_ONCE)]


__all__ = ["TABLE", "NetlinkError", "Table", "interface_key"]
