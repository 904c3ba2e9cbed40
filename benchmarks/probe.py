"""The ends of the measured traffic; each is a process of its own in a host's namespace.

Protocol: prints `ready`, then, where there is a schedule, reads one line with start and end
(CLOCK_MONOTONIC, the same in all namespaces), and prints its result as JSON; sooner when it gets
SIGTERM.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import signal
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator

PERIOD_S = 0.001
PORT, STREAM_PORT, ECHO_PORT = 7001, 7002, 7003

_CHUNK = b"x" * 256
_DRAIN_S = 0.5
_SIOCGIFADDR = 0x8915
_NONE_YET = (errno.ENODEV, errno.EADDRNOTAVAIL)


class _StoppedError(Exception):
    """SIGTERM came."""


def _stop(_number: int, _frame: object) -> None:
    raise _StoppedError


def _schedule() -> tuple[float, float]:
    print("ready", flush=True)
    start, end = sys.stdin.readline().split()
    return float(start), float(end)


def _ticks(start: float, end: float) -> Iterator[int]:
    """Count periods from `start` to `end`, each when it is due; late ones at once."""
    for number in range(round((end - start) / PERIOD_S)):
        pause = start + number * PERIOD_S - time.monotonic()
        if pause > 0:
            time.sleep(pause)
        yield number


def send(peer: str) -> object:
    """Send a numbered packet every period; returns how many (those the kernel refused too)."""
    count = 0
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.connect((peer, PORT))
        with contextlib.suppress(_StoppedError):
            for number in _ticks(*_schedule()):
                count += 1
                with contextlib.suppress(OSError):
                    sender.send(struct.pack("!Q", number))
    return count


def receive(own: str) -> object:
    """Receive what `send` sends; returns [number, time] of each packet."""
    seen: list[tuple[int, float]] = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        receiver.bind((own, PORT))
        _, end = _schedule()
        receiver.settimeout(0.1)
        with contextlib.suppress(_StoppedError):
            while time.monotonic() < end + _DRAIN_S:
                with contextlib.suppress(TimeoutError):
                    data = receiver.recv(64)
                    seen.append((struct.unpack("!Q", data)[0], time.monotonic()))
    return seen


def stream_send(peer: str) -> object:
    """Write to one TCP connection every period; returns the bytes written."""
    count = 0
    with socket.create_connection((peer, STREAM_PORT), timeout=10) as stream:
        stream.settimeout(None)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(_StoppedError):
            for _ in _ticks(*_schedule()):
                stream.sendall(_CHUNK)
                count += len(_CHUNK)
    return count


def stream_receive(own: str) -> object:
    """Read from one TCP connection until it is closed; returns bytes and the times of reading."""
    count = 0
    times: list[float] = []
    with socket.create_server((own, STREAM_PORT)) as server:
        print("ready", flush=True)
        stream, _ = server.accept()
        with stream, contextlib.suppress(_StoppedError):
            while data := stream.recv(1 << 16):
                times.append(time.monotonic())
                count += len(data)
    return [count, times]


def echo(own: str) -> object:
    """Answer every packet until told to stop."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind((own, ECHO_PORT))
        print("ready", flush=True)
        while True:
            data, sender = server.recvfrom(64)
            with contextlib.suppress(OSError):
                server.sendto(data, sender)


def watch(peer: str) -> object:
    """Return when the bridge had its address, and when `peer` first answered over it."""
    print("ready", flush=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asker:
        while not _has_address(asker):
            time.sleep(PERIOD_S)
        addressed = time.monotonic()
        asker.settimeout(PERIOD_S)
        while True:
            with contextlib.suppress(OSError):  # no route, no answer: ask again
                asker.sendto(b"?", (peer, ECHO_PORT))
                asker.recv(64)
                return [addressed, time.monotonic()]
            time.sleep(PERIOD_S)


def _has_address(any_socket: socket.socket) -> bool:
    try:
        fcntl.ioctl(any_socket, _SIOCGIFADDR, struct.pack("256s", b"scbr-100"))
    except OSError as error:
        if error.errno not in _NONE_YET:
            raise
        return False
    return True


ROLES: dict[str, Callable[[str], object]] = {
    "send": send,
    "receive": receive,
    "stream-send": stream_send,
    "stream-receive": stream_receive,
    "echo": echo,
    "watch": watch,
}

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _stop)
    with contextlib.suppress(KeyboardInterrupt):
        print(json.dumps(ROLES[sys.argv[1]](sys.argv[2])))
