"""How long overlay traffic is interrupted when physical addresses change."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.lab import Host, Lab
from benchmarks.probe import PERIOD_S
from benchmarks.probes import probes

_BEFORE_S, _AFTER_S = 2.5, 2.5
"""Traffic before the change, of which the last `_AFTER_S` are the control, and after it."""

_SETTLE_S = 1.0
"""Between runs: the agents' bursts of beacons are over."""

RANGES = ("10.1.7", "192.168.50")
_OWN = (23, 118)
_OTHER = (24, 119)


@dataclass(frozen=True)
class Mode:
    """What is measured: transport of the VXLAN packets, who is renumbered, and how.

    `everyone`: both hosts at once, to another range; else one, within its range.
    """

    transport: str
    everyone: bool
    missing_s: float

    @property
    def ipv6(self) -> bool:
        """Whether the hosts have IPv6 at all."""
        return self.transport != "ipv4"

    @property
    def label(self) -> str:
        """In words."""
        transport = "IPv6 link-local" if self.ipv6 else "IPv4"
        who = "both hosts, another range" if self.everyone else "one host, same range"
        missing = f", {self.missing_s * 1000:.0f} ms without" if self.missing_s else ""
        return f"{transport}; {who}{missing}"


MODES = tuple(
    Mode(transport, everyone, missing)
    for transport in ("ipv6-link-local", "ipv4")
    for everyone in (False, True)
    for missing in (0.0, 0.5)
)


@dataclass(frozen=True)
class Gap:
    """One run. Packets lost to and from the renumbered host, of those sent after the change;
    the longest time without any, of the worse direction, and without TCP data (seconds).

    `quiet_gap` and `quiet_stall` are the same in the time before the change: what the machine's
    scheduling alone makes of it. `quiet_lost` ought to be 0.
    """

    mode: Mode
    lost_to: int
    lost_from: int
    gap: float
    stall: float
    quiet_lost: int
    quiet_gap: float
    quiet_stall: float


def gaps(lab: Lab, mode: Mode, runs: int) -> Iterator[Gap]:
    """Renumber `runs` times, there and back; host 2 always, host 1 if the mode says so."""
    peer, host = (lab.host(number, ipv6=mode.ipv6) for number in (1, 2))
    for one, last in zip((peer, host), _OWN, strict=True):
        one.plug(f"{RANGES[0]}.{last}")
        one.start_agent()
    for one in (peer, host):
        one.wait_for("up")
    for one, other in ((peer, host), (host, peer)):
        one.wait_for_peer(other.overlay, mode.transport)
    for run in range(runs):
        time.sleep(_SETTLE_S)
        new = _new_addresses(mode, there=run % 2 == 0)
        yield _measured(mode, peer, host, new)
    lab.remove(peer)
    lab.remove(host)


def _new_addresses(mode: Mode, *, there: bool) -> tuple[str | None, str]:
    """The next physical address of peer (None: stays) and host."""
    if mode.everyone:
        network = RANGES[1] if there else RANGES[0]
        return f"{network}.{_OWN[0]}", f"{network}.{_OWN[1]}"
    return None, f"{RANGES[0]}.{_OTHER[1] if there else _OWN[1]}"


def _measured(mode: Mode, peer: Host, host: Host, new: tuple[str | None, str]) -> Gap:
    # The renumbered host is where the stream goes to, as its packets are lost the longest.
    ends = [
        (host, "receive", host.overlay),
        (peer, "receive", peer.overlay),
        (host, "stream-receive", host.overlay),
        (peer, "send", host.overlay),
        (host, "send", peer.overlay),
        (peer, "stream-send", host.overlay),
    ]
    with probes(*ends) as started:
        to_host, to_peer, stream, *senders = started
        start = time.monotonic() + 0.1
        end = start + _BEFORE_S + _AFTER_S
        for probe in (to_host, to_peer, *senders):
            probe.begin(start, end)
        time.sleep(start + _BEFORE_S - time.monotonic())
        changed = time.monotonic()
        _renumber(peer, host, new, mode.missing_s)
        sent = [probe.result() for probe in senders[:2]]
        written = senders[2].result()
        arrived = [to_host.result(), to_peer.result()]
        read, times = stream.result()
    assert read == written, "TCP lost data"
    lost, gap, quiet_lost, quiet_gap = [], 0.0, 0, 0.0
    for count, packets in zip(sent, arrived, strict=True):
        first = round((changed - start) / PERIOD_S)  # number of the first packet after the change
        numbers = {number for number, _ in packets}
        lost.append(sum(number not in numbers for number in range(first, count)))
        quiet_lost += sum(number not in numbers for number in range(first))
        moments = [moment for _, moment in packets]
        gap = max(gap, longest(moments, changed, end))
        quiet_gap = max(quiet_gap, longest(moments, start, changed))
    return Gap(
        mode,
        lost[0],
        lost[1],
        gap,
        longest(times, changed, end),
        quiet_lost,
        quiet_gap,
        longest(times, start, changed),
    )


def _renumber(peer: Host, host: Host, new: tuple[str | None, str], missing_s: float) -> None:
    """Change both at the same time, as near as two processes can."""
    changes = [threading.Thread(target=host.change, args=(new[1], missing_s))]
    if new[0]:
        changes.append(threading.Thread(target=peer.change, args=(new[0], missing_s)))
    for change in changes:
        change.start()
    for change in changes:
        change.join()


def longest(moments: Sequence[float], start: float, end: float) -> float:
    """The longest time without any of `moments` between `start` and `end`, in seconds.

    The stretch from the last one to `end` counts if it is worth it: traffic that never came back.
    """
    inside = [moment for moment in sorted(moments) if start - PERIOD_S <= moment <= end]
    edges = [start, *inside, end]
    return max(later - earlier for earlier, later in pairwise(edges))
