"""The status as a person reads it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

_SAYS = {
    "off": "The overlay is off: user-data has no `overlay:` block.",
    "error": "The overlay can't start.",
    "waiting": "The overlay is not up yet.",
    "claiming": "The overlay is not up yet: an address is being claimed.",
    "stopped": "The overlay's agent is not running. What the kernel has, it goes on forwarding.",
    "up": "The overlay is up.",
}
_TRANSPORTS = {"ipv6-link-local": "IPv6 link-local", "ipv4": "IPv4"}


def age(seconds: float) -> str:
    """Return a duration in the largest units that matter: `now`, `42 s`, `3 min`, `5 h`, `2 d`."""
    if seconds < 1:
        return "now"
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def state_in_words(state: str) -> str:
    """Return a sentence about the agent's state."""
    return _SAYS.get(state, state)


def render_status(status: dict[str, Any], now: float) -> str:
    """Return the text of `edge-overlay status`: problems first, then the hosts."""
    lines = [state_in_words(status["state"])]
    lines += [f"  ! {problem}" for problem in status["problems"]]
    overlay = status.get("overlay") or {}
    if not overlay:
        return "\n".join(lines)
    lines += [
        "",
        f"{overlay['interface']}  {overlay['cidr']}  MTU {overlay['mtu'] or '-'}  "
        f"VNI {overlay['vni']}  UDP port {overlay['port']}",
        f"VIP {overlay['vip']}",
        "",
    ]
    rows = [_own_row(status), *(_peer_row(peer, now) for peer in status["peers"])]
    head = ("", "HOST", "OVERLAY ADDRESS", "PHYSICAL ADDRESS", "TRANSPORT", "LAST SEEN", "STATE")
    return "\n".join(lines + _columns([head, *rows]))


def _own_row(status: dict[str, Any]) -> Sequence[str]:
    addresses = [a.split("/")[0] for nic in status["underlay"] for a in nic["addresses"]]
    return ("*", status["host"]["name"], status["overlay"]["address"] or "-",
            ", ".join(addresses[:2]) or "-", "this host", "-", status["state"])  # fmt: skip


def _peer_row(peer: dict[str, Any], now: float) -> Sequence[str]:
    transport = peer["transport"] or "-"
    return ("", peer["name"], peer["address"] or "-", ", ".join(peer["physical"][:2]) or "-",
            _TRANSPORTS.get(transport, transport), age(now - peer["last_seen"]),
            peer["state"])  # fmt: skip


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
