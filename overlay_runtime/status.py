"""The status file: what the agent tells about itself, for `edge-overlay status` and for programs.

Keys are stable: new ones may come, none changes its meaning. All times are seconds of
CLOCK_BOOTTIME (clock_gettime(2)); readers work out ages. There are no secrets in it (0644).

    state      off | error | waiting | claiming | up
    exit_code  with off and error: what the agent ended with. After 0 and 78 it stays ended, after
               any other systemd starts it again
    problems   what is wrong, in sentences, the gravest first
    pid        the agent's process id
    written    when this was written; more than 15 s ago: the agent is not running
    host       id, name, identity (where it is from)
    overlay    interface, cidr, address, prefix, vip, mtu, vni, port
    underlay   [name, mtu, addresses]
    peers      [id, name, address, mac, transport, physical, last_seen, since, state]
               state: up | lost | claiming | conflict; transport: ipv6-link-local | ipv4 | null;
               physical: the address in use first; since: when it was first heard
    firewall   state: on | off, reason (if off against the settings), dropped: packets since the
               rules were loaded, by counter of firewall.nft (stranger, outside, flood)
    strangers  [id, reason]: hosts that know the secret but can't be in this overlay
    sources    overlay (the file of the overlay block), notes
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from overlay_runtime.files import write_atomic
from overlay_runtime.peers import Peer, physical_addresses

log = logging.getLogger(__name__)

STALE_AFTER = 15.0
"""Seconds after which a status file tells that its agent is gone: three of its writes."""

_FINAL = (0, 78)  # RestartPreventExitStatus of edge-overlay.service

# What readers rely on: types, and for mappings and lists what is in them.
_NUMBER, _MAYBE = (int, float), (str, type(None))
_ALWAYS = {"state": str, "written": _NUMBER, "problems": [str], "overlay": dict}
_WITH_OVERLAY = {
    "overlay": {"interface": str, "cidr": str, "address": _MAYBE, "vip": str,
                "mtu": (int, type(None)), "vni": int, "port": int},
    "host": {"name": str},
    "underlay": [{"addresses": [str]}],
    "peers": [{"name": str, "address": _MAYBE, "physical": [str], "transport": _MAYBE,
               "last_seen": _NUMBER, "state": str}],
}  # fmt: skip

_EVERY = 5.0
_THROTTLE = 0.2


def boottime() -> float:
    """Return seconds since the machine's boot, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def peer_status(peer: Peer, now: float) -> dict[str, Any]:
    """Describe a peer as the status file does."""
    state = "lost" if peer.lost(now) else "claiming" if peer.beacon.state != "held" else "up"
    return {
        "id": peer.id,
        "name": peer.beacon.name,
        "address": str(peer.address) if peer.address else None,
        "mac": peer.beacon.mac,
        "transport": peer.transport.name if peer.transport else None,
        "physical": [str(address) for address in physical_addresses(peer)],
        "last_seen": round(peer.last_seen, 3),
        "since": round(peer.since, 3),
        "transport_since": round(peer.transport_since, 3),
        "path_mtu": peer.path_mtu,
        "state": "conflict" if peer.conflict else state,
    }


def peers_status(peers: Iterable[Peer], now: float) -> list[dict[str, Any]]:
    """Describe all peers, sorted by their overlay addresses."""
    ordered = sorted(peers, key=lambda p: (p.address is None, int(p.address or 0), p.id))
    return [peer_status(peer, now) for peer in ordered]


def write_status(path: Path, status: dict[str, Any]) -> None:
    """Write the status file. A failure is logged: a full /run must not stop the overlay."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        data = json.dumps({**status, "written": round(boottime(), 3)}, indent=1).encode() + b"\n"
        write_atomic(path, data, 0o644, sync=False)
    except OSError as error:
        log.warning("status can't be written: %s", error)


def read_status(path: Path) -> dict[str, Any] | None:
    """Return the status file's content, or None if there is none that can be read.

    What is returned has every key that `cli.py` and `table.py` use: a file of another version, or
    one that somebody edited, makes no command fail.
    """
    try:
        status = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    if not _fits(status, _ALWAYS) or (status["overlay"] and not _fits(status, _WITH_OVERLAY)):
        return None
    return dict(status)


def _fits(value: Any, shape: Any) -> bool:
    if isinstance(shape, dict):
        return isinstance(value, dict) and all(
            key in value and _fits(value[key], inner) for key, inner in shape.items()
        )
    if isinstance(shape, list):
        return isinstance(value, list) and all(_fits(item, shape[0]) for item in value)
    return isinstance(value, shape) and not isinstance(value, bool)


def alive(status: dict[str, Any]) -> bool:
    """Return whether the agent that wrote this is running, as far as a reader can tell."""
    return bool(boottime() - status["written"] <= STALE_AFTER) and not ended(status)


def ended(status: dict[str, Any]) -> bool:
    """Return whether the agent wrote this as its last word."""
    return status["state"] in ("off", "error")


def final(status: dict[str, Any]) -> bool:
    """Return whether the agent has ended and is not started again by itself."""
    return ended(status) and status.get("exit_code") in _FINAL


class StatusWriter:
    """Writes the status every 5 s, and soon after each change, but not for each of many."""

    def __init__(self, path: Path, describe: Callable[[], dict[str, Any]]) -> None:
        self._path = path
        self._describe = describe
        self._timer: asyncio.TimerHandle | None = None
        self._due = float("inf")

    def changed(self) -> None:
        """Something that status shows has changed."""
        self._schedule(_THROTTLE)

    def write(self) -> None:
        """Write now, and again in 5 s."""
        self.stop()
        write_status(self._path, self._describe())
        self._schedule(_EVERY)

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
