"""How long overlay traffic is interrupted when physical addresses change."""

from __future__ import annotations

import functools
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Protocol

from benchmarks.costs import crowd_on
from benchmarks.gap import End, Gap, measure
from benchmarks.lab import Host, Lab

_SETTLE_S = 0.6
"""Between runs: the agents' bursts of beacons are over."""

_CROWD_SETTLES_S = 8.0
_IN_TURN_S = 0.2
_RANGES = ("10.1.7", "10.66.50")
_OWN = (23, 118)
_OTHER = (24, 119)


@dataclass(frozen=True)
class Change:
    """Who is renumbered, and how. `who`: `one` (to another address of the same range), or to
    another range: `both` at the same moment or `in turn`. `missing_s`: how long without."""

    who: str
    missing_s: float = 0.0

    @property
    def label(self) -> str:
        """In words."""
        who = {"one": "one host, same range", "both": "both hosts, another range",
               "in turn": "one after the other, another range"}[self.who]  # fmt: skip
        return f"{who}, {self.missing_s:g} s without" if self.missing_s else who


CHANGES = (
    Change("one"), Change("one", 0.5), Change("one", 5), Change("both"), Change("both", 0.5),
    Change("both", 5), Change("in turn"),
)  # fmt: skip


class Overlay(Protocol):
    """What makes an overlay between two hosts."""

    label: str
    ipv6: bool
    """Whether the hosts have IPv6 at all."""
    patience_s: float
    """How long its traffic may take to come back until it is given up."""

    def connect(self, peer: Host, host: Host) -> tuple[str, str]:
        """Make it; return both addresses on it when traffic flows. Raises LabError."""

    def renumbered(self, host: Host) -> None:
        """Do what a DHCP client's hook would do on the host whose address has changed."""

    def disconnect(self) -> None:
        """Take it down."""


class EdgeOverlay:
    """Ours."""

    patience_s = 10.0

    def __init__(self, transport: str) -> None:
        self._transport = transport
        self.ipv6 = transport != "ipv4"
        self.label = "edge-overlay, IPv6 link-local" if self.ipv6 else "edge-overlay, IPv4"

    def connect(self, peer: Host, host: Host) -> tuple[str, str]:
        """Start both agents."""
        for one in (peer, host):
            one.start_agent()
        for one in (peer, host):
            one.wait_for("up")
        for one, other in ((peer, host), (host, peer)):
            one.wait_for_peer(other.overlay, self._transport)
        return peer.overlay, host.overlay

    def renumbered(self, host: Host) -> None:
        """Nothing: nobody has to tell it."""

    def disconnect(self) -> None:
        """Nothing: the agents end with their hosts."""


def gaps(lab: Lab, overlay: Overlay, change: Change, runs: int, *, crowd: int = 0) -> Iterator[Gap]:
    """Renumber `runs` times, there and back, with `crowd` simulated hosts on the segment.

    After a run whose traffic did not return, everything is made anew.
    """
    done = 0
    while done < runs:
        with _made(lab, overlay, crowd) as (one, two):
            while done < runs:
                there = one[0].physical == f"{_RANGES[0]}.{_OWN[0]}" and two[0].physical == (
                    f"{_RANGES[0]}.{_OWN[1]}"
                )
                new = _new_addresses(change.who, there=there)
                do = functools.partial(_renumber, overlay, one[0], two[0], new, change)
                gap = measure(one, two, do, change.missing_s + overlay.patience_s)
                done += 1
                yield gap
                if not gap.returned:
                    break
                time.sleep(_SETTLE_S)


@contextmanager
def _made(lab: Lab, overlay: Overlay, crowd: int) -> Iterator[tuple[End, End]]:
    with ExitStack() as stack:
        peer, host = (lab.host(number, ipv6=overlay.ipv6) for number in (1, 2))
        stack.callback(lab.remove, peer)
        stack.callback(lab.remove, host)
        for one, last in zip((peer, host), _OWN, strict=True):
            one.plug(f"{_RANGES[0]}.{last}")
        if crowd:
            stack.enter_context(crowd_on(lab, crowd))
        stack.callback(overlay.disconnect)
        addresses = overlay.connect(peer, host)
        time.sleep(_CROWD_SETTLES_S if crowd else _SETTLE_S)
        yield (peer, addresses[0]), (host, addresses[1])


def _new_addresses(who: str, *, there: bool) -> tuple[str | None, str]:
    """Return the next physical address of peer (None: stays) and host."""
    if who == "one":
        return None, f"{_RANGES[0]}.{_OTHER[1] if there else _OWN[1]}"
    network = _RANGES[1] if there else _RANGES[0]
    return f"{network}.{_OWN[0]}", f"{network}.{_OWN[1]}"


def _renumber(
    overlay: Overlay, peer: Host, host: Host, new: tuple[str | None, str], change: Change
) -> None:
    """Change both at the same time, as near as two processes can, or one after the other."""

    def one(which: Host, address: str) -> None:
        which.change(address, change.missing_s)
        overlay.renumbered(which)

    changes = [threading.Thread(target=one, args=(host, new[1]))]
    if new[0]:
        changes.append(threading.Thread(target=one, args=(peer, new[0])))
    for thread in changes:
        thread.start()
        if change.who == "in turn":
            time.sleep(_IN_TURN_S)
    _join(changes)


def _join(threads: Sequence[threading.Thread]) -> None:
    for thread in threads:
        thread.join()
