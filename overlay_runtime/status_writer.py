"""Writes the status file (`status.py` says what is in it): the agent's side.

What a write costs is measured, and the rhythm follows it: at 1000 peers a write takes milliseconds,
and the overlay may cost next to nothing when nothing happens.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from overlay_runtime.address import as_text
from overlay_runtime.files import write_atomic
from overlay_runtime.peer import Peer, physical_addresses
from overlay_runtime.status import EVERY, boottime

log = logging.getLogger(__name__)

_SHARE, _SHARE_IN_A_STORM = 0.002, 0.02
"""The shares of a processor that writing may take: when nothing happens, and while all changes."""

_THROTTLE = 0.2
_LONGEST = 60.0


def peer_status(peer: Peer, now: float) -> dict[str, Any]:
    """Describe a peer as the status file does."""
    state = "lost" if peer.lost(now) else "claiming" if peer.beacon.state != "held" else "up"
    return {
        "id": peer.id,
        "name": peer.beacon.name,
        "address": as_text(peer.address) if peer.address else None,
        "mac": peer.beacon.mac,
        "transport": peer.transport.name if peer.transport else None,
        "physical": [as_text(address) for address in physical_addresses(peer)],
        "last_seen": round(peer.last_seen, 3),
        "since": round(peer.since, 3),
        "transport_since": round(peer.transport_since, 3),
        "interval": peer.beacon.interval,
        "path_mtu": peer.path_mtu,
        "secret": "previous" if peer.beacon.key else "present",
        "heard": {
            "broadcast": _rounded(peer.heard_broadcast),
            "unicast": _rounded(peer.heard_unicast),
            "hears_us": _rounded(peer.hears_us),
        },
        "conflict": peer.conflict,
        "nics": [{"name": nic.name, "mtu": nic.mtu} for nic in peer.beacon.nics],
        "state": "conflict" if peer.conflict else state,
    }


def peers_status(peers: Iterable[Peer], now: float) -> list[dict[str, Any]]:
    """Describe all peers, sorted by their overlay addresses."""
    ordered = sorted(peers, key=lambda p: (p.address is None, int(p.address or 0), p.id))
    return [peer_status(peer, now) for peer in ordered]


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)


def write_status(path: Path, status: dict[str, Any], every: float = EVERY) -> None:
    """Write the status file, to be written again in `every` seconds at the latest.

    A failure is logged: a full /run must not stop the overlay.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        whole = {**status, "written": round(boottime(), 3), "every": round(every, 3)}
        # Compact, without indent: only so the encoder written in C is used.
        write_atomic(path, json.dumps(whole).encode() + b"\n", 0o644, sync=False)
    except OSError as error:
        log.warning("status can't be written: %s", error)


class StatusWriter:
    """Writes the status every 5 s, and soon after each change, but not for each of many.

    Where that would cost too much processor time, less often.
    """

    def __init__(
        self,
        path: Path,
        describe: Callable[[], dict[str, Any]],
        written: Callable[[dict[str, Any]], None] = lambda _status: None,
    ) -> None:
        """`written` gets each status that was written."""
        self._path = path
        self._describe = describe
        self._written = written
        self._cost = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")

    @property
    def every(self) -> float:
        """Seconds between two writes when nothing changes."""
        return min(max(EVERY, self._cost / _SHARE), _LONGEST)

    def changed(self) -> None:
        """Something that status shows has changed."""
        self._schedule(max(_THROTTLE, self._cost / _SHARE_IN_A_STORM))

    def write(self) -> None:
        """Write now, and again after `every` seconds."""
        self.stop()
        began = time.thread_time()
        status, told = self._describe(), self.every
        write_status(self._path, status, told)
        self._written(status)
        self._cost = time.thread_time() - began
        self._schedule(min(self.every, 2 * told))  # before readers take the agent for dead

    def stop(self) -> None:
        """Write no more."""
        if self._timer:
            self._timer.cancel()
        self._due = float("inf")

    def _schedule(self, delay: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + delay
        if due < self._due:
            if self._timer:
                self._timer.cancel()
            self._due = due
            self._timer = loop.call_later(delay, self.write)
