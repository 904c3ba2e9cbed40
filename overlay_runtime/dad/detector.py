"""Asks on the overlay whether an address is free, and defends the one that is ours.

The VIP and all other addresses are none of its business: kube-vip moves them by gratuitous ARP.
"""

from __future__ import annotations

import array
import asyncio
import contextlib
import logging
import socket
import struct
from collections.abc import Callable

from overlay_runtime import BRIDGE
from overlay_runtime.address import IPAddress
from overlay_runtime.dad.frames import ETH_P_ARP, ETH_P_IPV6, Sighting, announcement, probe, read
from overlay_runtime.recent import Recent

log = logging.getLogger(__name__)

PROBES_AT = (0.1, 0.4, 0.8)
"""Seconds after a claim's begin at which a probe is sent: RFC 5227's three, its timers divided by
five. Its seconds are for switches that learn; on the overlay an answer takes a round trip."""

_ANNOUNCED_AGAIN = 0.5
_DEFEND_EVERY = 10.0
"""RFC 5227, 2.4 (c): DEFEND_INTERVAL."""

_SEEN_FOR = 10.0
_NAMED_FOR = 60.0
_MOST = 256
_PACKET_OUTGOING = 4
_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")
# tcpdump -dd 'icmp6 and (ip6[40] == 135 or ip6[40] == 136)', of frames that are IPv6 already.
_NEIGHBOR_DISCOVERY = b"".join(
    _INSTRUCTION.pack(*line)
    for line in (
        (0x30, 0, 0, 20),  # ldb [20]: next header
        (0x15, 0, 4, 58),  # jeq ICMPv6, else drop
        (0x30, 0, 0, 54),  # ldb [54]: type
        (0x15, 1, 0, 135),  # jeq neighbor solicitation
        (0x15, 0, 1, 136),  # jeq neighbor advertisement, else drop
        (0x06, 0, 0, 262144),
        (0x06, 0, 0, 0),
    )
)


class Detector:
    """One host's eyes on the overlay. Nothing here raises: without a socket it just sees nothing,
    and what peers say in their beacons counts alone."""

    def __init__(self, version: int, mac: str, clock: Callable[[], float],
                 changed: Callable[[], None]) -> None:  # fmt: skip
        """`version` is that of the overlay's addresses, `mac` the bridge's, `changed` is called
        when `problem` may be another."""
        self._protocol = ETH_P_ARP if version == 4 else ETH_P_IPV6
        self._mac = mac
        self._clock = clock
        self._changed = changed
        self._socket: socket.socket | None = None
        self._index = 0
        self._seen: Recent[IPAddress, tuple[str, float, bool]] = Recent(_MOST)
        self._own: IPAddress | None = None
        self._defended = self._attacked = float("-inf")
        self._attacker = ""
        self.fault: str | None = None
        """Why nothing can be seen on the overlay."""

    def attach(self, index: int | None, own: IPAddress | None) -> None:
        """Watch the bridge with this ifindex (None: there is none), and defend `own` from now on.

        An address that is new on the bridge is announced.
        """
        new = index != self._index or own != self._own
        if index != self._index:
            self.close()
            self._index = index or 0
            if index:
                self._open(index)
        self._own = own
        if new and own and self._socket:
            self.announce(own)

    def close(self) -> None:
        """See nothing any more."""
        if self._socket:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None

    def probe(self, address: IPAddress) -> None:
        """Ask once whether anybody uses an address."""
        self._send(probe(address, self._mac))

    def announce(self, address: IPAddress) -> None:
        """Tell everybody twice that the address is ours."""
        self._send(announcement(address, self._mac))
        loop = asyncio.get_running_loop()
        loop.call_later(_ANNOUNCED_AGAIN, self._announce_still, address)

    def user(self, address: IPAddress, claiming: frozenset[str] = frozenset()) -> str | None:
        """Return the MAC address of another that was lately seen to use, or to ask for, an address.

        Who only asks and is known to claim by beacons (`claiming`, MAC addresses) doesn't count:
        beacons decide between the two.
        """
        mac, at, asks = self._seen.get(address, ("", float("-inf"), False))
        if self._clock() - at > _SEEN_FOR or (asks and mac in claiming):
            return None
        return mac

    def attacker(self) -> str | None:
        """Return the MAC address of another that lately used our address."""
        return self._attacker if self._clock() - self._attacked <= _NAMED_FOR else None

    def _open(self, index: int) -> None:
        try:
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        except OSError as error:
            self._failed(error)
            return
        try:
            if self._protocol == ETH_P_IPV6:
                _attach_filter(sock, _NEIGHBOR_DISCOVERY)
            sock.bind((socket.if_indextoname(index), self._protocol))
        except OSError as error:
            sock.close()
            self._failed(error)
            return
        self._socket, self.fault = sock, None
        asyncio.get_running_loop().add_reader(sock, self._read)

    def _failed(self, error: OSError) -> None:
        self.fault = f"duplicates of addresses can't be seen on {BRIDGE}: {error.strerror}"
        log.info("%s", self.fault)

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError):
            for _ in range(64):
                if self._socket is None:
                    return
                try:
                    frame, source = self._socket.recvfrom(256)
                except BlockingIOError:
                    raise
                except OSError:  # the link went away or down: `attach` comes with the next
                    return
                sighting = read(frame)
                if sighting and source[2] != _PACKET_OUTGOING and sighting.mac != self._mac:
                    self._noticed(sighting)

    def _noticed(self, sighting: Sighting) -> None:
        now = self._clock()
        self._seen.put(sighting.address, (sighting.mac, now, sighting.probe))
        # Whoever only asks for our address is answered by the kernel.
        if sighting.address != self._own or sighting.probe:
            return
        fresh = self.attacker() != sighting.mac
        self._attacker, self._attacked = sighting.mac, now
        if now - self._defended >= _DEFEND_EVERY:
            self._defended = now
            log.warning("overlay address %s is also used by %s: defended", self._own, sighting.mac)
            self._send(announcement(sighting.address, self._mac))
        if fresh:
            self._changed()

    def _announce_still(self, address: IPAddress) -> None:
        if address == self._own:
            self._send(announcement(address, self._mac))

    def _send(self, frame: bytes) -> None:
        if self._socket:
            with contextlib.suppress(OSError):
                self._socket.send(frame)


def _attach_filter(sock: socket.socket, program: bytes) -> None:
    """Attach a classic BPF program (socket(7), struct sock_fprog)."""
    code = array.array("B", program)
    address, length = code.buffer_info()
    fprog = struct.pack("HL", length // _INSTRUCTION.size, address)
    sock.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, fprog)
