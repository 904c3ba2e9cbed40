"""Packet filter rules in sight that drop a UDP port. A hint, not a simulation of the filter."""

from __future__ import annotations

import re

from overlay_runtime.doctor.model import Host

_OURS = re.compile(r"table \w+ edge[-_]overlay\b")
_PORTS = re.compile(r"(?:udp |th )?(?:dport|--dports?)\s+(\{[^}]*\}|[\d:,-]+)")
_DROPS = re.compile(r"\b(?:drop|reject)\b|-j (?:DROP|REJECT)")
_IPTABLES_NFT = re.compile(r"xt target \"(?:DROP|REJECT)\"")


_SOME_ONLY = re.compile(
    r"\b(?:[sd]addr|sport|[io]if(?:name|group)?|ct|limit|meter|mark|vlan|ether|skuid|cgroup)\b"
    r"| (?:!|-[sdiog]|-m (?!udp|multiport|comment)\w+) |xt match"
)
"""A rule with one of these drops some packets, and what it drops may be what it should."""


def blocking_rules(host: Host, port: int, *, some: bool = False) -> list[str]:
    """Return the rules that drop what comes to a UDP port; none if none is readable.

    With `some` also those that drop but a part, by address, link or rate. Rules of our own table
    are left out: they drop what isn't from a peer, as they should.
    """
    found, ours = [], False
    for line in (host.ruleset or "").splitlines():
        text = line.strip()
        if text.startswith("table "):
            ours = bool(_OURS.match(text))
        if ours or not _names(text, port) or not _drops(text):
            continue
        if ("udp" in text or "tcp" not in text) and (some or not _SOME_ONLY.search(text)):
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
