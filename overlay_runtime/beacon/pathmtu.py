"""Finds out how large packets to each peer may be: packetization-layer path MTU discovery.

After RFC 8899 (DPLPMTUD): a datagram of the size in question, which may not be fragmented, is sent
to the peer's agent, which acknowledges it. ICMP isn't needed, as half of all firewalls drop it and
a switch with a smaller MTU never sends any.

    offset  bytes  content
    0       4      "EDGM"
    4       1      version (1)
    5       1      1 probe, 2 acknowledgement
    6       2      size of the probe's IP packet (all numbers are big-endian)
    8       8      random token: an acknowledgement repeats the probe's
    16      32     HMAC-SHA256 over bytes 0-15
    48      ...    in a probe: zeros up to the size
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
import secrets
import struct
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.freshness import RateLimit
from overlay_runtime.peer import Peer, Transport
from overlay_runtime.recent import Recent
from overlay_runtime.waiting import within

log = logging.getLogger(__name__)

MAGIC = b"EDGM"
LARGEST = 9216
"""No larger packet is tried or read, in bytes: jumbo frames."""

SMALLEST = 1280
"""Every path carries this, in bytes: IPv6's least (RFC 8200, 5). Beacons are smaller."""

TRIES, WAIT = 3, 0.4
"""So often, and for so many seconds each time, an acknowledgement is waited for."""

VERIFY_EVERY, _VERIFY_A_SECOND = 60.0, 2.0
"""Seconds after which a path is tried again, and how many are at most in a second: with more than
120 peers it takes longer."""

_AGAIN_AFTER = 5.0
_IP_UDP = {4: 28, 6: 48}
_HEADER = struct.Struct("!4sBBHQ")
_REST, _LONGEST_REST = 400, 2.0
_VERSION, _PROBE, _ACK = 1, 1, 2
_LENGTH = _HEADER.size + 32
_STEP = 20
_JUMBO = (2000, 4000, 6000, 8000, 8500, 8900, 8950)
_ACKS = (200.0, 400.0)

Send = Callable[[bytes, IPAddress, int | None], bool]
"""Sends a datagram that may not be fragmented to an address, by a NIC's ifindex or None."""


@dataclass
class _Path:
    """What is known of the way to a peer, and the round of probes that is under way."""

    transport: Transport
    full: int
    next: float
    settled: float = float("-inf")
    tries: int = 0
    searching: bool = False
    acknowledged: int = 0
    waiting: dict[int, int] = field(default_factory=dict)
    """Token → size of the probes that may still be acknowledged."""


class PathMtu:
    """Sets `path_mtu` of every peer, in bytes of the outer IP packet. Call `tick` often."""

    def __init__(
        self, keys: Sequence[bytes], send: Send, changed: Callable[[str], None],
        clock: Callable[[], float],
    ) -> None:  # fmt: skip
        """The first of `keys` signs, each of them verifies. `changed` is told a peer's host id."""
        self._keys = keys
        self._send = send
        self._changed = changed
        self._clock = clock
        self._paths: dict[str, _Path] = {}
        self._tokens: Recent[int, str] = Recent(8192)
        self._acks = RateLimit(*_ACKS)
        self._verified = float("-inf")
        self._news = asyncio.Event()

    async def run(self, targets: Callable[[], Iterable[tuple[Peer, int]]]) -> None:
        """Measure for ever; see `tick` for `targets`."""
        while True:
            began = time.monotonic()
            pause = self.tick(targets())
            # A look at a thousand peers takes milliseconds: as rare as that is dear.
            rest = min(_LONGEST_REST, (time.monotonic() - began) * _REST)
            await asyncio.sleep(max(0.001, rest))
            await within(self._news, pause - rest)
            self._news.clear()

    def look_again(self) -> None:
        """The peers, or what they carry, may have changed."""
        self._news.set()

    def tick(self, peers: Iterable[tuple[Peer, int]]) -> float:
        """Do what is due for these peers; return in how many seconds something is due again.

        Each comes with the size of the largest packet that would be sent to it, in bytes.
        """
        now = self._clock()
        wanted = {peer.id: (peer, full) for peer, full in peers if peer.transport}
        for host in self._paths.keys() - wanted.keys():
            del self._paths[host]
        soonest = VERIFY_EVERY
        for host, (peer, full) in wanted.items():
            path = self._paths.get(host)
            full = min(full, LARGEST)
            if path is None or (path.transport, path.full) != (peer.transport, full):
                path = self._fresh(peer, full, now)
            if path.next <= now and not (path.tries == 0 and self._to_wait(path, now)):
                self._go_on(peer, path, now)
            soonest = min(soonest, path.next - now)
        return max(0.0, soonest)

    def received(self, data: bytes, source: IPAddress, ifindex: int) -> None:
        """Take in a datagram that starts with MAGIC. Never raises."""
        self._news.set()
        if len(data) < _LENGTH:
            return
        header, signature = data[: _HEADER.size], data[_HEADER.size : _LENGTH]
        known = [k for k in self._keys if hmac.compare_digest(_sign(header, k), signature)]
        if not known:
            return
        _, version, kind, size, token = _HEADER.unpack(header)
        if version != _VERSION:
            return
        if kind == _PROBE and len(data) + _IP_UDP[source.version] == size:
            self._also_search(source, size)
            if self._acks.allow(self._clock()):
                via = ifindex if source.version == 6 and source.is_link_local else None
                self._send(_sealed(_ACK, size, token, known[0]), source, via)
        elif kind == _ACK:
            self._acknowledged(token)

    def _also_search(self, source: IPAddress, size: int) -> None:
        """A peer that tries smaller sizes lost the larger ones: see whether ours get lost too."""
        for path in self._paths.values():
            if path.transport.remote == source and size < path.full and not path.tries:
                soon = path.settled + _AGAIN_AFTER
                path.next = min(path.next, max(self._clock(), soon))

    def _fresh(self, peer: Peer, full: int, now: float) -> _Path:
        assert peer.transport is not None
        path = self._paths[peer.id] = _Path(peer.transport, full, now)
        if peer.path_mtu is not None:  # known of another path
            peer.path_mtu = None
            self._changed(peer.id)
        return path

    def _to_wait(self, path: _Path, now: float) -> bool:
        """Whether a path's turn comes later, as others were tried just now."""
        pause = 1 / _VERIFY_A_SECOND
        if now - self._verified < pause:
            path.next = self._verified + pause
            return True
        # Looks at a crowd are rare: what they have missed is caught up with.
        self._verified = max(self._verified + pause, now - _LONGEST_REST)
        return False

    def _go_on(self, peer: Peer, path: _Path, now: float) -> None:
        if path.acknowledged == path.full or path.tries == TRIES:
            if path.acknowledged == path.full or path.searching:
                self._settle(peer, path, now)
                return
            path.searching, path.tries = True, 0
        path.tries += 1
        path.next = now + WAIT
        sizes = _sizes(path.full) if path.searching else [path.full]
        for size in sizes:
            token = secrets.randbits(64)
            path.waiting[token] = size
            self._tokens.put(token, peer.id)
            padding = bytes(max(0, size - _IP_UDP[path.transport.remote.version] - _LENGTH))
            key = self._keys[min(peer.beacon.key, len(self._keys) - 1)]
            probe = _sealed(_PROBE, size, token, key) + padding
            self._send(probe, path.transport.remote, path.transport.via)

    def _settle(self, peer: Peer, path: _Path, now: float) -> None:
        # Nothing came back at all: the peer's agent is down, or too old. That proves nothing.
        if path.acknowledged and peer.path_mtu != path.acknowledged:
            if path.acknowledged < path.full or (peer.path_mtu or path.full) < path.full:
                log.info("path to peer=%s carries packets of at most %d bytes",
                         peer.beacon.name, path.acknowledged)  # fmt: skip
            peer.path_mtu = path.acknowledged
            self._changed(peer.id)
        path.settled, path.next = now, now + VERIFY_EVERY
        path.tries, path.acknowledged, path.searching = 0, 0, False
        path.waiting.clear()

    def _acknowledged(self, token: int) -> None:
        path = self._paths.get(self._tokens.get(token, ""))
        if path and token in path.waiting:
            path.acknowledged = max(path.acknowledged, path.waiting.pop(token))
            if path.acknowledged == path.full:
                path.next = self._clock()


def acknowledgement(data: bytes, key: bytes) -> bytes:
    """Return the answer to a probe that is known to be genuine."""
    _, _, _, size, token = _HEADER.unpack(data[: _HEADER.size])
    return _sealed(_ACK, size, token, key)


def _sizes(full: int) -> list[int]:
    """Return the sizes to search with, all at once: the largest that comes through is it."""
    usual = [*range(SMALLEST, 1500, _STEP), 1492, 1500, *_JUMBO]
    return [size for size in usual if size < full] + [full]


def _sealed(kind: int, size: int, token: int, key: bytes) -> bytes:
    header = _HEADER.pack(MAGIC, _VERSION, kind, size, token)
    return header + _sign(header, key)


def _sign(header: bytes, key: bytes) -> bytes:
    return hmac.digest(key, header, hashlib.sha256)
