"""Packet filter rules in sight that drop a UDP port. A hint, not a simulation of the filter."""

from __future__ import annotations

import re

from overlay_runtime.doctor.model import Host

_OURS = re.compile(r"table \w+ edge[-_]overlay\b")
_PORTS = re.compile(r"(?:udp |th )?(?:dport|--dports?)\s+(\{[^}]*\}|[\d:,-]+)")
_DROPS = re.compile(r"\b(?:drop|reject)\b|-j (?:DROP|REJECT)")
_IPTABLES_NFT = re.compile(r"xt target \"(?:DROP|REJECT)\"")


def blocking_rules(host: Host, port: int) -> list[str]:
    """Return the rules that name a UDP port and drop; none if there are none, or none is readable.

    Rules of our own table are left out: they drop what isn't from a peer, as they should.
    """
    found, ours = [], False
    for line in (host.ruleset or "").splitlines():
        text = line.strip()
        if text.startswith("table "):
            ours = bool(_OURS.match(text))
        if not ours and "tcp" not in text and _names(text, port) and _drops(text):
            found.append(text)
    return found


def _drops(rule: str) -> bool:
    return bool(_DROPS.search(rule) or _IPTABLES_NFT.search(rule))


def _names(rule: str, port: int) -> bool:
    return any(_contains(group, port) for group in _PORTS.findall(rule))


def _contains(group: str, port: int) -> bool:
    for part in re.findall(r"\d+(?:[-:]\d+)?", group):
        first, _, last = re.sub(":", "-", part).partition("-")
        if int(first) <= port <= int(last or first):
            return True
    return False
