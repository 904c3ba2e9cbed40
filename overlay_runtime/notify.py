"""Tells systemd how the service does: the protocol of sd_notify(3), in the few lines it takes."""

from __future__ import annotations

import os
import socket


def notify(*lines: str) -> None:
    """Send lines such as READY=1 to the service manager; without one, do nothing."""
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path.startswith(("/", "@")):
        return
    address = "\0" + path[1:] if path[0] == "@" else path
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.setblocking(False)  # nor one whose queue is full
            sock.sendto("\n".join(lines).encode(), address)
    except OSError:
        return  # a manager that doesn't listen must not stop the overlay


def watchdog_interval() -> float | None:
    """Return how often, in seconds, WATCHDOG=1 must be sent, or None if nobody asked for it."""
    try:
        microseconds = int(os.environ["WATCHDOG_USEC"])
        if int(os.environ.get("WATCHDOG_PID", os.getpid())) != os.getpid():
            return None
    except (KeyError, ValueError):
        return None
    return microseconds / 2e6  # half of it, as sd_watchdog_enabled(3) advises
