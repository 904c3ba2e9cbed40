"""The status file: what the agent tells about itself, for `edge-overlay status` and for programs.

This is what readers need; `status_writer.py` writes it.

Keys are stable: new ones may come, none changes its meaning. All times are seconds of
CLOCK_BOOTTIME (clock_gettime(2)); readers work out ages. There are no secrets in it (0644).

    state      off | error | waiting | claiming | up
    exit_code  with off and error: what the agent ended with. After 0 and 78 it stays ended, after
               any other systemd starts it again
    reason     with off: why (absent or null: user-data has no overlay block)
    problems   what is wrong, in sentences, the gravest first
    pid        the agent's process id
    written    when this was written; more than 3 times `every` s ago: the agent is not running
    every      seconds from one write to the next when nothing changes (absent: 5)
    started    when the agent started
    host       id, name, identity (where it is from)
    overlay    interface, cidr, address, prefix, vip, mtu, vni, port
    underlay   [name, mtu, addresses]
    peers      [id, name, address, mac, transport, physical, last_seen, since, transport_since,
               interval, path_mtu, secret, heard, conflict, nics, state]
               state: up | lost | claiming | conflict; transport: ipv6-link-local | ipv4 | ipv6
               or null; secret, that it signs with: present | previous;
               physical: the address in use first; since: when it was first heard; interval:
               seconds between its regular beacons, more in a crowd; path_mtu: bytes
               of the largest IP packet known to reach it, or null; heard: when it was last heard by
               {broadcast, unicast}, each or null, and when it said that it hears our broadcasts
               {hears_us}: null if the last it said is that it doesn't, or nothing yet;
               conflict: in words, or null; nics: [name, mtu]
    strangers  [id, reason]: hosts that know the secret but can't be in this overlay
    duplicates [id, name, why]: other hosts with this host's identity
    foreign    [source, seen]: who sends to our beacon port without our secret
    firewall   state: on | off, reason (if off against the settings), dropped: packets since the
               rules were loaded, by counter of firewall.nft (stranger, outside, flood)
    counters   {name: number since the agent's start}; counters.py says what each counts
    sources    overlay (the file of the overlay block), notes
    notices    what others have to tell, by subject; in `status --json`, not in the file. Their
               problems are among `problems`
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

EVERY = 5.0
"""Seconds between two writes of the status file, if the file itself doesn't say otherwise."""

_STALE_WRITES = 3
"""So many writes missing tell that the agent is gone."""

_FINAL = (0, 78)  # systemd does not start the agent again

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


def boottime() -> float:
    """Return seconds since the machine's boot, sleep included."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def read_status(path: Path) -> dict[str, Any] | None:
    """Return the status file's content, or None if there is none that can be read.

    What is returned has every key that the commands rely on (`heard`, `firewall` and other
    newer keys may be missing): a file of another version, or
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


def every(status: dict[str, Any]) -> float:
    """Return the seconds between two writes of a status file."""
    value = status.get("every")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 3600:
        return float(value)
    return EVERY


def alive(status: dict[str, Any]) -> bool:
    """Return whether the agent that wrote this is running, as far as a reader can tell."""
    return bool(boottime() - status["written"] <= _STALE_WRITES * every(status)) and not ended(
        status
    )


def ended(status: dict[str, Any]) -> bool:
    """Return whether the agent wrote this as its last word."""
    return status["state"] in ("off", "error")


def final(status: dict[str, Any]) -> bool:
    """Return whether the agent has ended and is not started again by itself."""
    return ended(status) and status.get("exit_code") in _FINAL
