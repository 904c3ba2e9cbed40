"""A beacon on the wire: signed, in one UDP datagram. Pure.

    offset  bytes  content
    0       4      "EDGB"
    4       1      version (2)
    5       1      flags: 1 ask, 2 sent to all
    6       2      length of the directed part (all numbers are big-endian)
    8       8      host id
    16      8      boot nonce
    24      8      boot nonce of the host that this is for, 0: for none
    32      8      sequence number
    40      32     HMAC-SHA256 over bytes 0-39 and all after this field
    72      ...    directed part: compact JSON, what is said to that host only
    ...     ...    body: compact JSON, the same bytes until something changes

Nothing is looked at before the signature proved right.
"""

from __future__ import annotations

import hashlib
import hmac
import struct

from overlay_runtime.beacon import body
from overlay_runtime.beacon.model import CLAIMING as CLAIMING
from overlay_runtime.beacon.model import HELD as HELD
from overlay_runtime.beacon.model import Beacon as Beacon
from overlay_runtime.beacon.model import BeaconNic as BeaconNic

MAX_BYTES = 1200
"""Longest beacon: fits IPv6's minimal MTU of 1280 (RFC 8200, 5), so it is never fragmented."""

_MAGIC = b"EDGB"
_VERSION = 2
_START = _MAGIC + bytes([_VERSION])
_HEADER = struct.Struct("!4sBBH8s8s8sQ")
_REST_AT = _HEADER.size + 32
_ASK, _TO_ALL = 1, 2
_NOBODY = bytes(8)
_DIRECTED_BYTES = 420
"""Kept free for what only a beacon to one host has. Else that one would list fewer NICs than a
broadcast does, and the host would seem to change with every beacon."""


class BadBeacon(Exception):
    """A datagram that is no beacon of this cluster. The only thing that `decode` raises."""


class MalformedBeacon(BadBeacon):
    """Signed with our secret, and yet not to be understood: another version, or a fault."""


def derive_key(secret: str | None) -> bytes:
    """Return the beacon key of a cluster; without a secret the one that all insecure ones share."""
    material = secret if secret is not None else "edge-overlay insecure: true"
    return hmac.digest(material.encode(), b"edge-overlay beacon v1", "sha256")


def encode(beacon: Beacon, key: bytes) -> bytes:
    """Sign a beacon. NICs and addresses that don't fit into MAX_BYTES are left out, last first."""
    directed = body.pack_directed(beacon) if beacon.echo else b""
    header = _HEADER.pack(
        _MAGIC, _VERSION, beacon.ask * _ASK | beacon.to_all * _TO_ALL, len(directed),
        bytes.fromhex(beacon.host), bytes.fromhex(beacon.boot),
        bytes.fromhex(beacon.echo) if beacon.echo else _NOBODY, beacon.seq,
    )  # fmt: skip
    rest = directed + body.packed_body(beacon, MAX_BYTES - _REST_AT - _DIRECTED_BYTES)
    return header + hmac.digest(key, header + rest, hashlib.sha256) + rest


def decode(data: bytes, *keys: bytes) -> Beacon:
    """Verify a datagram by any of the keys, and return the beacon in it.

    Raises BadBeacon, and nothing else.
    """
    if len(data) > MAX_BYTES or len(data) <= _REST_AT or not data.startswith(_START):
        raise BadBeacon("not a beacon of this version")
    header, signature, rest = data[: _HEADER.size], data[_HEADER.size : _REST_AT], data[_REST_AT:]
    signed = header + rest
    which = next((n for n, key in enumerate(keys) if _signs(key, signed, signature)), None)
    if which is None:
        raise BadBeacon("wrong signature")
    _, _, flags, length, host, boot, echo, seq = _HEADER.unpack(header)
    try:
        told = body.parse_body(rest[length:])
        # Without an echo it is for nobody in particular, whatever it says.
        directed = body.parse_directed(rest[:length] if echo != _NOBODY else b"", told.cidr)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MalformedBeacon(f"malformed body: {error}") from None
    # Not dataclasses.replace: at a thousand hosts this is done often.
    return Beacon(
        host=host.hex(),
        name=told.name,
        boot=boot.hex(),
        seq=seq,
        cidr=told.cidr,
        vni=told.vni,
        port=told.port,
        state=told.state,
        address=told.address,
        mac=told.mac,
        nics=told.nics,
        claims=told.claims,
        interval=told.interval,
        ask=bool(flags & _ASK),
        to_all=bool(flags & _TO_ALL),
        echo=echo.hex() if echo != _NOBODY else None,
        yours=directed.yours,
        heard=directed.heard,
        hears_all=directed.hears_all,
        seen=directed.seen,
        key=which,
        others=directed.others,
    )


def told(data: bytes) -> tuple[bytes, bytes] | None:
    """Return who speaks in which manner, and all that is said, of a beacon that asks nothing; None
    if a datagram is anything else. Nothing is verified."""
    if len(data) <= _REST_AT or not data.startswith(_START):
        return None
    _, _, flags, length, host, boot, echo, _ = _HEADER.unpack_from(data)
    if flags & _ASK:
        return None
    return host + bytes([flags]), b"%b%b%d,%b" % (boot, echo, length, data[_REST_AT:])


def _signs(key: bytes, signed: bytes, signature: bytes) -> bool:
    return hmac.compare_digest(signature, hmac.digest(key, signed, hashlib.sha256))
