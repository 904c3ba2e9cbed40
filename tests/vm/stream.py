"""A TCP stream that checks itself; copied into the guests and run there by their own Python.

    stream.py serve ADDRESS PORT REPORT         echoes every record to the sender
    stream.py send ADDRESS PORT REPORT RATE     sends RATE numbered records a second

Both check number and content of every record that arrives, and write what they saw to REPORT
(JSON) twice a second and at the end. SIGTERM ends the sender in order, and with it the server.
One connection: it is never opened again, so a broken one ends both.
"longest_gap_s" is the longest time, in seconds, between two arrivals at that end.
"""

from __future__ import annotations

import hashlib
import json
import select
import signal
import socket
import struct
import sys
import time
from pathlib import Path
from typing import Any

RECORD = 64
_TOTAL_RETRANSMITS = 100
"""Offset of tcpi_total_retrans in struct tcp_info (linux/tcp.h)."""
_REPORT_S = 0.5
_END_S = 60.0


def record(number: int) -> bytes:
    """Record `number`: the number itself and bytes that only it has."""
    head = struct.pack(">Q", number)
    return head + hashlib.sha512(head).digest()[: RECORD - len(head)]


def retransmits(connection: socket.socket) -> int:
    """How many segments this end has sent again."""
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TOTAL_RETRANSMITS + 4)
    return int(struct.unpack_from("=I", info, _TOTAL_RETRANSMITS)[0])


class Watch:
    """Checks the records that arrive, and measures the gaps between them."""

    def __init__(self, report: Path) -> None:
        self._report = report
        self._buffer = b""
        self._reported = 0.0
        self._last = 0.0  # nothing has arrived yet
        self.seen: dict[str, Any] = {"records": 0, "longest_gap_s": 0.0, "error": "", "ended": ""}

    def feed(self, data: bytes) -> list[bytes]:
        """Take received bytes; returns the whole records among them, checked."""
        now = time.monotonic()
        gap = now - self._last if self._last else 0.0
        self.seen["longest_gap_s"] = round(max(self.seen["longest_gap_s"], gap), 4)
        self._last = now
        self._buffer += data
        whole = len(self._buffer) // RECORD * RECORD
        records = [self._buffer[i : i + RECORD] for i in range(0, whole, RECORD)]
        self._buffer = self._buffer[whole:]
        for each in records:
            if each != record(self.seen["records"]):
                self.seen["error"] = f"record {self.seen['records']} arrived as {each.hex()}"
                raise ValueError(self.seen["error"])
            self.seen["records"] += 1
        self.report()
        return records

    def report(self, **more: Any) -> None:
        """Write the report, atomically; with `more` at once, else twice a second."""
        self.seen.update(more)
        if more or time.monotonic() - self._reported > _REPORT_S:
            self._reported = time.monotonic()
            text = json.dumps(self.seen)
            part = self._report.with_suffix(".part")
            part.write_text(text)
            part.replace(self._report)


def serve(address: str, port: int, watch: Watch) -> None:
    """Echo one connection's records until it ends."""
    with socket.create_server((address, port)) as listener:
        watch.report(listening=True)
        connection, peer = listener.accept()
    with connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        watch.report(peer=peer[0])
        while data := connection.recv(1 << 16):
            connection.sendall(b"".join(watch.feed(data)))
            watch.seen["retransmits"] = retransmits(connection)


def send(address: str, port: int, rate: float, watch: Watch) -> None:
    """Send records at `rate` until SIGTERM, then wait for the last echo."""
    going = True

    def stop(_number: int, _frame: object) -> None:
        nonlocal going
        going = False

    signal.signal(signal.SIGTERM, stop)
    with socket.create_connection((address, port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sent, begin = 0, time.monotonic()
        while going:
            due = int((time.monotonic() - begin) * rate)
            if due > sent:
                connection.sendall(b"".join(record(number) for number in range(sent, due)))
                sent = watch.seen["sent"] = due
            if select.select([connection], [], [], 1 / rate)[0]:
                watch.feed(connection.recv(1 << 16))
                watch.seen["retransmits"] = retransmits(connection)
        connection.settimeout(_END_S)
        while watch.seen["records"] < sent:
            watch.feed(connection.recv(1 << 16))


def main(words: list[str]) -> None:
    """Run as told by the command line; the report says how it ended."""
    role, address, port, report, *rate = words
    watch = Watch(Path(report))
    try:
        if role == "serve":
            serve(address, int(port), watch)
        else:
            send(address, int(port), float(rate[0]), watch)
    except (OSError, ValueError) as error:
        watch.report(error=watch.seen["error"] or repr(error), ended="by an error")
        raise
    watch.report(ended="in order")


if __name__ == "__main__":
    main(sys.argv[1:])
