"""Numbered UDP packets at a steady rate, and what became of them."""

from __future__ import annotations

import itertools
import struct
import threading
import time
from dataclasses import dataclass

from tests.netns.namespaces import udp_socket

_NUMBER = struct.Struct("=Q")


@dataclass(frozen=True)
class Outcome:
    """`gap` is the longest time, in seconds, between two packets that arrived."""

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
        self._target = (target[1], port)
        self._step = 1 / rate
        self._stop = threading.Event()
        self._sent = 0
        self._refused = 0
        self._arrived: dict[int, float] = {}
        self._threads = [
            threading.Thread(target=self._send), threading.Thread(target=self._receive)
        ]  # fmt: skip

    def __enter__(self) -> Probe:
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
        times = sorted(self._arrived.values())
        gap = max((b - a for a, b in itertools.pairwise(times)), default=float("inf"))
        return Outcome(self._sent, self._sent - len(self._arrived), gap)

    def _send(self) -> None:
        due = time.monotonic()
        while not self._stop.is_set():
            try:
                self._from.sendto(_NUMBER.pack(self._sent), self._target)
            except OSError:
                self._refused += 1  # counts as lost: it was numbered and does not arrive
            self._sent += 1
            due += self._step
            time.sleep(max(0.0, due - time.monotonic()))

    def _receive(self) -> None:
        while True:
            try:
                data = self._to.recv(64)
            except TimeoutError:
                if self._stop.is_set() and not self._threads[0].is_alive():
                    return
                continue
            self._arrived.setdefault(_NUMBER.unpack(data)[0], time.monotonic())


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
