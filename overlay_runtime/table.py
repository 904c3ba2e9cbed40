"""The status as a person reads it. Pure."""

from __future__ import annotations

import os
import shutil
import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TextIO

_SAYS = {
    "off": "The overlay is off: user-data has no `overlay:` block.",
    "error": "The overlay can't start.",
    "waiting": "The overlay is not up yet.",
    "claiming": "The overlay is not up yet: an address is being claimed.",
    "stopped": "The overlay's agent is not running. What the kernel has, it goes on forwarding.",
    "up": "The overlay is up.",
}
_TRANSPORTS = {"ipv6-link-local": "IPv6 link-local", "ipv4": "IPv4", "ipv6": "IPv6"}
_ATTENTION = ("conflict", "lost", "claiming")
"""Peers in these states come first, in this order: of 200 hosts a person looks for the odd ones."""

_LEAST_OF_STATUS = ("LAST SEEN", "TRANSPORT", "SINCE")
_LEAST_OF_PEERS = ("TRANSPORT", "UNICAST", "BROADCAST", "PATH MTU", "SINCE")
"""Columns that a narrow terminal does without, in this order: addresses tell the transport."""

_COLOURS = {
    **dict.fromkeys(("up", "ok"), 32),
    **dict.fromkeys(("lost", "conflict", "fault", "error", "stopped", "!"), 31),
    **dict.fromkeys(("claiming", "waiting", "warning"), 33),
    "bold": 1,
    "unknown": 2,
}


@dataclass(frozen=True)
class Paint:
    """Colours words, or leaves them alone."""

    on: bool = False

    @classmethod
    def of(cls, stream: TextIO) -> Paint:
        """For a stream: colours only on a terminal that can, and without NO_COLOR."""
        wanted = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        return cls(wanted and stream is sys.stdout and stream.isatty())

    def __call__(self, text: str, kind: str) -> str:
        """Return `text` in the colour of `kind`."""
        code = _COLOURS.get(kind)
        return f"\x1b[{code}m{text}\x1b[0m" if self.on and code and text else text


def terminal_width() -> int | None:
    """Return the columns of standard output, or None if it is no terminal: then nothing is cut."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def age(seconds: float) -> str:
    """Return a duration in the largest units that matter: `now`, `42 s`, `3 min`, `5 h`, `2 d`."""
    if seconds < 1:
        return "now"
    for limit, unit, size in ((120, "s", 1), (7200, "min", 60), (172800, "h", 3600)):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86400:.0f} d"


def state_in_words(status: dict[str, Any]) -> str:
    """Return a sentence about the agent's state."""
    state, reason = str(status["state"]), status.get("reason")
    if state == "off" and isinstance(reason, str):
        return f"The overlay is off: {reason}."
    return _SAYS.get(state, state)


def render_status(
    status: dict[str, Any], now: float, paint: Paint | None = None, width: int | None = None
) -> str:
    """Return the text of `edge-overlay status`: problems first, then the hosts.

    For a terminal of `width` columns texts are broken, and columns that tell least are left out.
    """
    paint = paint or Paint()
    state = status["state"]
    lines = [paint(state_in_words(status), state)]
    for problem in status["problems"]:
        first, *more = wrapped(problem, width, 4)
        lines += [f"  {paint('!', '!')} {first}", *more]
    overlay = status.get("overlay") or {}
    if not overlay:
        return "\n".join(lines)
    lines += ["", *_overlay_lines(status, overlay), ""]
    peers = sorted_peers(status["peers"])
    rows = [_own_row(status), *(_peer_row(peer, now) for peer in peers)]
    head = ("", "HOST", "OVERLAY ADDRESS", "PHYSICAL ADDRESS", "TRANSPORT", "SINCE", "LAST SEEN",
            "STATE")  # fmt: skip
    lines += columns(_narrowed([head, *rows], width, _LEAST_OF_STATUS), paint)
    if len(peers) > 1:
        lines += ["", _count(peers)]
    return "\n".join(lines)


def sorted_peers(peers: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return peers with those that need attention first, else in the order given."""
    rank = {state: number for number, state in enumerate(_ATTENTION)}
    return sorted(peers, key=lambda peer: rank.get(peer["state"], len(rank)))


def render_peers(
    peers: Sequence[dict[str, Any]],
    now: float,
    paint: Paint | None = None,
    width: int | None = None,
) -> str:
    """Return the text of `edge-overlay peers`: a line a peer; `width` as in `render_status`."""
    if not peers:
        return "No other host has been heard yet."
    head = ("HOST", "OVERLAY ADDRESS", "PHYSICAL ADDRESS", "TRANSPORT", "SINCE", "PATH MTU",
            "BROADCAST", "UNICAST", "STATE")  # fmt: skip
    rows = [head]
    for peer in sorted_peers(peers):
        heard = peer.get("heard") or {}
        rows.append(
            (_safe(peer["name"]), peer["address"] or "-", _physical(peer["physical"]),
             _transport(peer), _ago(now, peer.get("transport_since")),
             str(peer.get("path_mtu") or "-"), _ago(now, heard.get("broadcast")),
             _ago(now, heard.get("unicast")), peer["state"])
        )  # fmt: skip
    lines = columns(_narrowed(rows, width, _LEAST_OF_PEERS), paint or Paint())
    old = [_safe(peer["name"]) for peer in peers if peer.get("secret") == "previous"]
    if old:
        first, *more = wrapped(f"Sign with the previous secret: {', '.join(old)}", width, 2)
        lines += ["", first, *more]
    return "\n".join(lines)


def render_peer(peer: dict[str, Any], now: float) -> str:
    """Return all that is known of one peer."""
    heard = peer.get("heard") or {}
    nics = ", ".join(f"{_safe(n['name'])} (MTU {n['mtu']})" for n in peer.get("nics") or [])
    fields = [
        ("host", _safe(peer["name"])), ("id", str(peer.get("id", "-"))),
        ("state", peer["state"]), ("conflict", peer.get("conflict")),
        ("overlay address", peer["address"]), ("MAC address", peer.get("mac")),
        ("transport", f"{_transport(peer)}, since {_ago(now, peer.get('transport_since'))}"),
        ("physical addresses", ", ".join(peer["physical"])),
        ("signs with", f"the {peer['secret']} secret" if peer.get("secret") else None),
        ("NICs", nics), ("path MTU", peer.get("path_mtu")),
        ("known for", _ago(now, peer.get("since"))), ("last seen", _ago(now, peer["last_seen"])),
        ("heard by broadcast", _ago(now, heard.get("broadcast"), "never")),
        ("heard by unicast", _ago(now, heard.get("unicast"), "never")),
        ("hears our broadcasts", _ago(now, heard.get("hears_us"), "no, or it has not told yet")),
    ]  # fmt: skip
    return "\n".join(f"{name:<22}{value}" for name, value in fields if value)


def wrapped(text: str, width: int | None, indent: int) -> list[str]:
    """Return a text broken for a terminal, all but the first line indented; else unbroken."""
    if width is None or indent + len(text) <= width:
        return [text]
    first, *more = textwrap.wrap(text, max(20, width - indent), break_on_hyphens=False)
    return [first, *(" " * indent + line for line in more)]


def _narrowed(
    rows: Sequence[Sequence[str]], width: int | None, least: Sequence[str]
) -> Sequence[Sequence[str]]:
    """Return rows that fit, if leaving out makes them: second addresses first, then columns."""
    if width is None or _width(rows) <= width:
        return rows
    head, *others = rows
    at = head.index("PHYSICAL ADDRESS")
    rows = [head, *([*row[:at], row[at].partition(",")[0], *row[at + 1 :]] for row in others)]
    for name in least:
        if _width(rows) <= width:
            break
        at = rows[0].index(name)
        rows = [[*row[:at], *row[at + 1 :]] for row in rows]
    return rows


def _width(rows: Sequence[Sequence[str]]) -> int:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return sum(widths) + 2 * (len(widths) - 1)


def columns(rows: Sequence[Sequence[str]], paint: Paint) -> list[str]:
    """Return rows as lines; the first is the head, and the last column is coloured by its word."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = []
    for number, row in enumerate(rows):
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        last = paint(row[-1], row[-1]) if number else row[-1]
        line = "  ".join([*cells, last]).rstrip()
        lines.append(line if number else paint(line, "bold"))
    return lines


def _overlay_lines(status: dict[str, Any], overlay: dict[str, Any]) -> list[str]:
    mtu = overlay["mtu"]
    lines = [
        f"{overlay['interface']}  {overlay['cidr']}  MTU {mtu or '-'}  "
        f"VNI {overlay['vni']}  UDP port {overlay['port']}",
        f"VIP {overlay['vip']}",
    ]
    if isinstance(firewall := status.get("firewall"), dict):
        reason = f": {firewall['reason']}" if firewall.get("reason") else ""
        lines.append(f"Firewall {firewall.get('state', '-')}{reason}")
    least = kubernetes_mtu(status)
    if least and mtu and least < mtu:
        lines.append(
            f"MTU to use for Kubernetes {least}: the path to some hosts is narrower than to others"
        )
    return lines


def kubernetes_mtu(status: dict[str, Any]) -> int | None:
    """Return the largest MTU, in bytes, that fits every way across the overlay."""
    mtu = (status.get("overlay") or {}).get("mtu")
    ways = [
        peer["path_mtu"] - (50 if peer["transport"] == "ipv4" else 70)
        for peer in status.get("peers", ())
        if peer.get("path_mtu") and peer["state"] == "up"
    ]
    return min([mtu, *ways]) if mtu else None


def _count(peers: Sequence[dict[str, Any]]) -> str:
    states = [peer["state"] for peer in peers]
    counted = ((states.count(state), state) for state in ("up", *_ATTENTION))
    parts = ", ".join(f"{number} {state}" for number, state in counted if number)
    return f"{len(peers)} other hosts: {parts}"


def _own_row(status: dict[str, Any]) -> Sequence[str]:
    addresses = [a.split("/")[0] for nic in status["underlay"] for a in nic["addresses"]]
    return ("*", _safe(status["host"]["name"]), status["overlay"]["address"] or "-",
            _physical(addresses), "this host", "-", "-", status["state"])  # fmt: skip


def _peer_row(peer: dict[str, Any], now: float) -> Sequence[str]:
    return ("", _safe(peer["name"]), peer["address"] or "-", _physical(peer["physical"]),
            _transport(peer), _ago(now, peer.get("transport_since")),
            age(now - peer["last_seen"]), peer["state"])  # fmt: skip


def _physical(addresses: Sequence[str]) -> str:
    more = f" +{len(addresses) - 2}" if len(addresses) > 2 else ""
    return (", ".join(addresses[:2]) or "-") + more


def _transport(peer: dict[str, Any]) -> str:
    transport = peer["transport"] or "-"
    return _TRANSPORTS.get(transport, transport)


def _ago(now: float, then: float | None, never: str = "-") -> str:
    return never if then is None else age(now - then)


def _safe(name: str) -> str:
    """Return a name without what could move a terminal's cursor: peers choose their names."""
    return "".join(c if c.isprintable() else "?" for c in name)
