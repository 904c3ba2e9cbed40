"""Numbered UDP packets at a steady rate, and what became of them."""

from __future__ import annotations

import itertools
import socket
import struct
import threading
import time
from dataclasses import dataclass

from tests.netns.namespaces import udp_socket

_NUMBER = struct.Struct("=Q")
_SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
_FIRST_S = 5.0


@dataclass(frozen=True)
class Outcome:
    """`gap` is the longest time, in seconds, for which nothing that was sent arrived: between two
    arrivals, without the time in which this busy machine let nothing be sent."""

    sent: int
    lost: int
    gap: float


class Probe:
    """A stream from one namespace to another; use it as a context manager."""

    def __init__(
        self, source: tuple[str, str], target: tuple[str, str], port: int, rate: int = 1000
    ) -> None:
        """`source` and `target` are (namespace, overlay address); `rate` in packets a second."""
        self._from = udp_socket(*source, port)
        self._to = udp_socket(*target, port)
        self._to.settimeout(0.3)
        self._to.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._target = (target[1], port)
        self._step = 1 / rate
        self._stop = threading.Event()
        self._sent: list[float] = []
        """When each number was sent, by `time.time()`: the kernel's stamps go by that clock."""
        self._refused = 0
        self._arrived: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._send), threading.Thread(target=self._receive)
        ]  # fmt: skip

    def __enter__(self) -> Probe:
        self._await_the_first()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._from.close()
        self._to.close()

    def outcome(self) -> Outcome:
        """Return what became of the packets; after the context has ended."""
        arrived = sorted(self._arrived.items(), key=lambda one: one[1])
        gaps = (
            at - max(before, self._sent[last + 1]) if number > last else 0.0
            for (last, before), (number, at) in itertools.pairwise(arrived)
        )
        gap = max(gaps, default=float("inf"))
        return Outcome(len(self._sent), len(self._sent) - len(self._arrived), gap)

    def _await_the_first(self) -> None:
        """Wait until one that isn't counted arrives. Status tells of a peer, and its firewall may
        still be about to let us in."""
        end = time.monotonic() + _FIRST_S
        while time.monotonic() < end:
            try:
                self._from.sendto(b"first", self._target)
                self._to.settimeout(0.05)
                self._to.recv(64)
                return
            except OSError:
                time.sleep(0.02)
            finally:
                self._to.settimeout(0.3)
        raise AssertionError(f"no packet gets to {self._target[0]} at all")

    def _send(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            number = len(self._sent)
            self._sent.append(time.time())
            try:
                self._from.sendto(_NUMBER.pack(number), self._target)
            except OSError:
                self._refused += 1  # counts as lost: it was numbered and does not arrive
            due += self._step
            time.sleep(max(0.0, due - time.monotonic()))

    def _receive(self) -> None:
        while True:
            try:
                data, stamps, _, _ = self._to.recvmsg(64, 64)
            except TimeoutError:
                if self._stop.is_set() and not self._threads[0].is_alive():
                    return
                continue
            if len(data) != _NUMBER.size:
                continue  # one of the first, late
            # When the kernel had it, not when this thread's turn came.
            seconds, nanoseconds = _TIMESPEC.unpack(stamps[0][2])
            self._arrived.setdefault(_NUMBER.unpack(data)[0], seconds + nanoseconds / 1e9)


def reaches(source: tuple[str, str], target: tuple[str, str], seconds: float = 3.0) -> bool:
    """Tell whether a UDP packet gets from one to the other and back within `seconds`.

    The addresses may be missing at first: that counts as not reaching yet.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            with udp_socket(*source, 7001) as one, udp_socket(*target, 7001) as other:
                one.settimeout(0.05)
                other.settimeout(0.05)
                one.sendto(b"there", (target[1], 7001))
                _, back = other.recvfrom(16)
                other.sendto(b"back", back)
                if one.recv(16) == b"back":
                    return True
        except OSError:
            time.sleep(0.02)
    return False


def broadcast_copies(source: tuple[str, str], target: tuple[str, str], broadcast: str) -> int:
    """Send one overlay broadcast and return how often the target got it."""
    with udp_socket(*source, 7002) as one, udp_socket(target[0], broadcast, 7002) as other:
        other.settimeout(0.4)
        one.sendto(b"to all", (broadcast, 7002))
        count = 0
        try:
            while True:
                other.recv(16)
                count += 1
        except TimeoutError:
            return count
