"""What happened between two statuses: for `edge-overlay watch` and for the journal. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """One thing that happened. `event` is one of EVENTS, `text` a sentence."""

    event: str
    text: str
    peer: str | None = None
    """The host id of the peer that it is about."""
    name: str | None = None
    address: str | None = None
    """The overlay address that it is about."""

    def as_dict(self) -> dict[str, str]:
        """Return what there is of it, for JSON."""
        return {key: value for key, value in vars(self).items() if value is not None}


EVENTS = {
    "state": "the overlay's state changed",
    "address-held": "this host has its overlay address",
    "peer-up": "a host is heard, for the first time or again",
    "peer-lost": "a host is silent",
    "peer-gone": "a host was forgotten",
    "peer-moved": "a host is reached another way: physical address, NIC or protocol",
    "conflict": "a host is in another's way, or signs with this host's identity",
    "conflict-over": "it no longer is",
    "problem": "something is wrong",
    "problem-over": "it no longer is",
}
"""Event → what it tells; the man page and the journal's field EDGE_OVERLAY_EVENT have these."""

BAD = frozenset({"peer-lost", "conflict", "problem"})
"""Events that somebody may have to act on."""


def changes(before: dict[str, Any] | None, after: dict[str, Any]) -> list[Change]:
    """Return what happened, own matters first. Without `before`, what is the case now."""
    old = before or {}
    found: list[Change] = []
    if old.get("state") != after["state"]:
        found.append(Change("state", f"the overlay is {after['state']}"))
    address = (after.get("overlay") or {}).get("address")
    if address and (old.get("overlay") or {}).get("address") != address:
        found.append(Change("address-held", f"this host has {address}", address=address))
    found += _texts(old.get("problems", []), after.get("problems", []))
    known = {peer["id"]: peer for peer in old.get("peers", [])}
    peers = {peer["id"]: peer for peer in after.get("peers", [])}
    for host, peer in peers.items():
        found += _peer(known.get(host), peer)
    found += [_about("peer-gone", p, "is forgotten") for h, p in known.items() if h not in peers]
    return found


def _texts(old: list[str], new: list[str]) -> list[Change]:
    began = [Change("problem", text) for text in new if text not in old]
    return began + [Change("problem-over", f"over: {text}") for text in old if text not in new]


def _peer(old: dict[str, Any] | None, new: dict[str, Any]) -> list[Change]:
    found = []
    before, state = (old or {}).get("state"), new["state"]
    was_there = before in ("up", "conflict")
    if state == "lost" and before != "lost":
        found.append(_about("peer-lost", new, "is silent"))
    elif state in ("up", "conflict") and not was_there:
        found.append(_about("peer-up", new, f"is up, by {_way(new)}"))
    elif old is not None and was_there and _way(old) != _way(new):
        found.append(_about("peer-moved", new, f"moved from {_way(old)} to {_way(new)}"))
    if state == "conflict" and before != "conflict":
        found.append(_about("conflict", new, new.get("conflict") or "is in another's way"))
    elif before == "conflict" and state != "conflict":
        found.append(_about("conflict-over", new, "is in nobody's way any longer"))
    return found


def _way(peer: dict[str, Any]) -> str:
    address = next(iter(peer["physical"]), None)
    return f"{peer.get('transport') or 'no path'} {address or ''}".rstrip()


def _about(event: str, peer: dict[str, Any], what: str) -> Change:
    who = f"host {peer['name']} ({peer['id']}, {peer['address'] or 'no address yet'})"
    return Change(event, f"{who}: {what}", peer["id"], peer["name"], peer["address"])
