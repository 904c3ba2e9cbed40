"""Network namespaces: commands and sockets inside them."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

_CLONE_NEWNET = 0x40000000
_SO_RCVBUFFORCE = 33
_libc = ctypes.CDLL(None, use_errno=True)


def run(*command: str) -> str:
    """Run a command and return its output; its own words are in the error if it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=20)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def kill_all(namespace: str) -> None:
    """Kill every process in a namespace, at once."""
    for process in run("ip", "netns", "pids", namespace).split():
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(process), signal.SIGKILL)


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Be in a namespace: sockets made here stay there (setns(2), for this thread)."""
    with (
        Path("/proc/thread-self/ns/net").open("rb") as before,
        (Path("/run/netns") / namespace).open("rb") as target,
    ):
        _setns(target.fileno())
        try:
            yield
        finally:
            _setns(before.fileno())


def _setns(descriptor: int) -> None:
    if _libc.setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def enlarge_neighbour_tables() -> None:
    """Make room for a crowd in one kernel: its namespaces share 1024 entries (arp(7)), and N hosts
    have N² of them."""
    for family in ("ipv4", "ipv6"):
        for number, entries in ((2, 131072), (3, 262144)):
            Path(f"/proc/sys/net/{family}/neigh/default/gc_thresh{number}").write_text(str(entries))


def packet_socket(namespace: str, link: str, protocol: int) -> socket.socket:
    """Return a socket that gets every frame of an Ethertype that comes in on a link."""
    with inside(namespace):
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(protocol))
    sock.bind((link, protocol))
    return sock


def udp_socket(namespace: str, address: str, port: int) -> socket.socket:
    """Return a UDP socket bound in a namespace, with room for seconds of probes."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with inside(namespace):
        sock = socket.socket(family, socket.SOCK_DGRAM)
    # Forced: what SO_RCVBUF gives ends at net.core.rmem_max, by default half a second of probes.
    sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 22)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    sock.bind((address, port))
    return sock
