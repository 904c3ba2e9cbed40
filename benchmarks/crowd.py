"""Hosts that exist only as beacons: a thousand of them in one process, in one namespace.

    python -m benchmarks.crowd COUNT

Each has an identity, a link-local and an IPv4 address on `eth0` and an overlay address of its own,
signs real beacons, proves itself, and tells in the rhythm that real hosts of such a crowd keep.
What is simulated is the rest of the host; and of what they would send to each other only that
which reaches the measured agent: broadcasts, and its own share of directed beacons.
"""

from __future__ import annotations

import heapq
import ipaddress
import random
import select
import socket
import struct
import subprocess
import sys
import time
from dataclasses import dataclass, replace

from overlay_runtime.beacon.pathmtu import MAGIC as PATH_PROBE
from overlay_runtime.beacon.pathmtu import acknowledgement
from overlay_runtime.beacon.rounds import UNICASTS_A_ROUND, interval
from overlay_runtime.beacon.wire import BadBeacon, Beacon, BeaconNic, decode, derive_key, encode

NIC, PORT = "eth0", 4798
SECRET = "the benchmark of the overlay"
CIDR = ipaddress.ip_network("100.64.192.0/20")
FIRST4, FIRST6 = ipaddress.IPv4Address("10.1.100.1"), ipaddress.IPv6Address("fe80::c:0:1")
_PKTINFO4, _PKTINFO6 = struct.Struct("=i4s4s"), struct.Struct("=16si")
_IP_PKTINFO = 8


@dataclass
class _Actor:
    """One simulated host: its beacon, and the boot of the agent that it knows."""

    beacon: Beacon
    seq: int = 0
    echo: str | None = None


class Crowd:
    """All of them, and their two sockets."""

    def __init__(self, count: int) -> None:
        self._key = derive_key(SECRET)
        self._index = socket.if_nametoindex(NIC)
        self._every = interval(count)
        self._actors = [_Actor(_beacon(number, self._every)) for number in range(count)]
        self._by_address: dict[str, _Actor] = {}
        for actor in self._actors:
            nic = actor.beacon.nics[0]
            self._by_address |= {str(nic.v4[0]): actor, str(nic.ll[0]): actor}
        self._share = min(1.0, UNICASTS_A_ROUND / count)
        self._agents: dict[str, tuple[Beacon, str]] = {}
        """Real hosts: host id → newest beacon, and the address that it came from: link-local if
        it has one."""
        self._v4 = _socket(socket.AF_INET)
        self._v6 = _socket(socket.AF_INET6)

    def run(self) -> None:
        """Talk until killed."""
        now = time.monotonic()
        due = [(now + random.random() * 2, n) for n in range(len(self._actors))]
        heapq.heapify(due)
        while True:
            pause = max(0.0, due[0][0] - time.monotonic())
            for ready in select.select([self._v4, self._v6], [], [], pause)[0]:
                self._read(ready)
            while due[0][0] <= time.monotonic():
                at, number = heapq.heappop(due)
                heapq.heappush(due, (at + self._every * random.uniform(0.8, 1.2), number))
                self._tell(self._actors[number])

    def _tell(self, actor: _Actor) -> None:
        nic = actor.beacon.nics[0]
        data = self._sealed(actor, to_all=True)
        self._send4(data, nic.v4[0], "255.255.255.255")
        self._send6(self._sealed(actor, to_all=True), nic.ll[0], "ff02::1")
        for agent, source in self._agents.values():
            if random.random() < self._share:
                self._send(self._directed(actor, agent), nic, source)

    def _read(self, ready: socket.socket) -> None:
        data, ancillary, _, (source, *_) = ready.recvmsg(2048, 128)
        target = _destination(ancillary)
        if data.startswith(PATH_PROBE) and target in self._by_address:
            nic = self._by_address[target].beacon.nics[0]
            self._send(acknowledgement(data, self._key), nic, source.split("%")[0])
            return
        try:
            beacon = decode(data, self._key)
        except BadBeacon:
            return
        source = source.split("%")[0]
        if beacon.host in {actor.beacon.host for actor in self._actors[:1]} or source in (
            self._by_address
        ):
            return
        if ":" in source or not any(nic.ll for nic in beacon.nics):
            self._agents[beacon.host] = beacon, source
        known = self._agents.get(beacon.host)
        if known is None:
            return
        one = self._by_address.get(target)
        for actor in [one] if one else self._actors:
            if actor.echo != beacon.boot or (one and beacon.ask):
                actor.echo = beacon.boot
                self._send(self._directed(actor, beacon, ask=True), actor.beacon.nics[0], known[1])

    def _directed(self, actor: _Actor, agent: Beacon, *, ask: bool = False) -> bytes:
        heard = tuple(address for nic in agent.nics for address in nic.ll)
        return self._sealed(actor, echo=agent.boot, heard=heard, hears_all=True, ask=ask)

    def _sealed(self, actor: _Actor, **changes: object) -> bytes:
        actor.seq += 1
        return encode(replace(actor.beacon, seq=actor.seq, **changes), self._key)  # type: ignore[arg-type]

    def _send(self, data: bytes, nic: BeaconNic, target: str) -> None:
        if ":" in target:
            self._send6(data, nic.ll[0], target)
        else:
            self._send4(data, nic.v4[0], target)

    def _send4(self, data: bytes, source: ipaddress.IPv4Address, target: str) -> None:
        info = _PKTINFO4.pack(self._index, source.packed, bytes(4))
        self._v4.sendmsg([data], [(socket.IPPROTO_IP, _IP_PKTINFO, info)], 0, (target, PORT))

    def _send6(self, data: bytes, source: ipaddress.IPv6Address, target: str) -> None:
        info = _PKTINFO6.pack(source.packed, self._index)
        where = (target, PORT, 0, self._index)
        self._v6.sendmsg([data], [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)], 0, where)


def _beacon(number: int, every: float) -> Beacon:
    return Beacon(
        host=f"c{number:015x}", name=f"crowd-{number}", boot=f"{random.getrandbits(64):016x}",
        seq=0, cidr=CIDR, vni=100, port=PORT - 1, state="held", address=CIDR[300 + number],
        mac=f"02:c0:00:00:{number >> 8:02x}:{number & 255:02x}", interval=every,
        nics=(BeaconNic(NIC, 1500, (FIRST4 + number,), (FIRST6 + number,)),),
    )  # fmt: skip


def addresses(count: int) -> str:
    """Return the lines of ip(8) that give the namespace its hosts' physical addresses."""
    lines = [f"addr add {FIRST4 + n}/16 dev {NIC}" for n in range(count)]
    lines += [f"addr add {FIRST6 + n}/64 dev {NIC} nodad" for n in range(count)]
    return "\n".join(lines) + "\n"


def _destination(ancillary: list[tuple[int, int, bytes]]) -> str:
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            return str(ipaddress.IPv6Address(data[:16]))
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            return str(ipaddress.IPv4Address(data[8:12]))
    return ""


def _socket(family: int) -> socket.socket:
    made = socket.socket(family, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, 33, 1 << 23)  # SO_RCVBUFFORCE
    if family == socket.AF_INET:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        made.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        made.bind(("", PORT))
    else:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
        made.bind(("::", PORT))
    return made


if __name__ == "__main__":
    subprocess.run(["ip", "-batch", "-"], input=addresses(int(sys.argv[1])), text=True, check=True)
    Crowd(int(sys.argv[1])).run()
