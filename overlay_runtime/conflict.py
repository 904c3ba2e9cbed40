"""Who keeps an overlay address that two hosts hold. Pure.

It happens when two parts of a site claimed addresses while they could not hear each other. The
rule: no host that runs is ever renumbered. Every host goes on with the holder that it knew first,
also across a restart of its agent (the kernel's neighbour entry names it); a host that started when
both were there takes the one with the lower host id. All name the other one. When the holder has
been silent for too long the other takes its place, and keeps it.

After a restart it is chance who is heard first. So nobody takes the place of the one whom the entry
names as long as that one may only not have spoken yet.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from overlay_runtime.address import IPAddress
from overlay_runtime.beacon.model import HELD
from overlay_runtime.peer import HEARD_FOR, Peer

SETTLING_S = 5.0
"""Seconds after its start in which an agent hears everybody who is there: its first beacons ask all
to answer at once. Meanwhile the kernel's entries stay as they were."""

REMEDY = "to give it another address run `edge-overlay reset` there and restart edge-overlay"


def find_conflicts(
    peers: Collection[Peer],
    own_mac: str,
    own: IPAddress | None,
    incumbents: Mapping[str, str],
    holders: dict[object, str],
    started: float,
    now: float,
) -> None:
    """Set `conflict` of every peer.

    `incumbents` are the kernel's entries when this agent started (overlay address → MAC), which was
    at `started`; `holders` is kept from call to call: (address or MAC) → host id.
    """

    def order(peer: Peer) -> tuple[bool, bool, bool, bool, bool, float, str]:
        holds = holders.get(peer.address) == peer.id
        incumbent = incumbents.get(str(peer.address)) == peer.beacon.mac
        comes_back = incumbent and now - started <= HEARD_FOR
        # Who was there when we came: in which order they were heard means nothing.
        first = peer.since if peer.since - started > HEARD_FOR else 0.0
        # Who only claims an address can't have been first: it must not take a holder's MAC address.
        claims = peer.beacon.state != HELD
        return (
            peer.lost(now), not comes_back, not holds, not incumbent, claims, first, peer.id
        )  # fmt: skip

    awaited: Mapping[str, str] = {}
    if now - started <= SETTLING_S:
        heard = {peer.beacon.mac for peer in peers}
        awaited = {address: mac for address, mac in incumbents.items() if mac not in heard}
    taken: dict[object, Peer] = {}
    for peer in sorted(peers, key=order):
        peer.conflict = _conflict(peer, own_mac, own, taken, awaited)
    holders.clear()
    holders.update({key: peer.id for key, peer in taken.items()})


def _conflict(
    peer: Peer,
    own_mac: str,
    own: IPAddress | None,
    taken: dict[object, Peer],
    awaited: Mapping[str, str],
) -> str | None:
    held = peer.beacon.state == HELD and peer.address is not None
    if peer.beacon.mac == own_mac:
        return "it uses this host's MAC address"
    if held and peer.address == own:
        return f"it uses this host's overlay address {own}"
    if held and str(peer.address) in awaited:
        return f"it uses {peer.address}, which {awaited[str(peer.address)]} had just before"
    for key in (peer.address, peer.beacon.mac) if held else (peer.beacon.mac,):
        if key in taken:
            other = taken[key]
            return f"it uses {key}, which {other.beacon.name} ({other.id}) had first"
    taken[peer.beacon.mac] = peer
    if held:
        taken[peer.address] = peer
    return None
