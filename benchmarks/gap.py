"""How long traffic between two hosts is interrupted by something, over any overlay."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from benchmarks.lab import Host
from benchmarks.probe import PERIOD_S
from benchmarks.probes import Probe, probes

_BEFORE_S = 1.0
"""Traffic before the change: the control."""

_STEADY_S = 0.5
"""Traffic is back when it has been for so long, at nine tenths of its rate at least."""

_DRAIN_S = 0.2

End = tuple[Host, str]
"""A host, and its address on the overlay."""


@dataclass(frozen=True)
class Gap:
    """One run. Packets lost to and from the second host, of those sent after the change; the
    longest time without any, of the worse direction, and without TCP data (seconds).

    `quiet_gap` and `quiet_stall` are the same in the time before the change: what the machine's
    scheduling alone makes of it. `quiet_lost` ought to be 0. Where traffic has not `returned`, the
    times are those that were waited.
    """

    lost_to: int
    lost_from: int
    gap: float
    stall: float
    returned: bool
    quiet_lost: int
    quiet_gap: float
    quiet_stall: float


def measure(one: End, two: End, change: Callable[[], None], cap_s: float) -> Gap:
    """Send a packet a millisecond both ways, and a TCP stream from `one` to `two`; do `change`;
    wait until all of it is back, at most `cap_s` seconds. Raises LabError."""
    (peer, to_one), (host, to_two) = one, two
    ends = [
        (host, "receive", to_two),
        (peer, "receive", to_one),
        (host, "stream-receive", to_two),
        (peer, "send", to_two),
        (host, "send", to_one),
        (peer, "stream-send", to_two),
    ]
    with probes(*ends) as started:
        receivers, stream, senders = started[:2], started[2], started[3:]
        start = time.monotonic() + 0.1
        for probe in (*receivers, *senders):
            probe.begin(start, start + _BEFORE_S + cap_s)
        time.sleep(start + _BEFORE_S - time.monotonic())
        changed = time.monotonic()
        change()
        returned = _back(receivers, changed + cap_s)
        end = time.monotonic()
        for probe in senders:
            probe.stop()
        sent = [probe.result() for probe in senders[:2]]
        written = senders[2].result()
        time.sleep(_DRAIN_S)
        for probe in (*receivers, *([] if returned else [stream])):
            probe.stop()
        arrived = [probe.result() for probe in receivers]
        read, times = stream.result()
    # A write that was interrupted when traffic was back may have been sent, but isn't counted.
    assert read >= written or not returned, "TCP lost data"
    first = round((changed - start) / PERIOD_S)  # number of the first packet after the change
    numbers = [{number for number, _ in packets} for packets in arrived]
    moments = [[moment for _, moment in packets] for packets in arrived]
    lost = [
        sum(number not in seen for number in range(first, count))
        for count, seen in zip(sent, numbers, strict=True)
    ]
    return Gap(
        lost_to=lost[0],
        lost_from=lost[1],
        gap=max(longest(one, changed, end) for one in moments),
        stall=longest(times, changed, end),
        returned=returned,
        quiet_lost=sum(number not in seen for seen in numbers for number in range(first)),
        quiet_gap=max(longest(one, start, changed) for one in moments),
        quiet_stall=longest(times, start, changed),
    )


def _back(receivers: Sequence[Probe], deadline: float) -> bool:
    """Wait until everything arrives again."""
    enough = 0.9 * _STEADY_S / PERIOD_S
    while (now := time.monotonic()) < deadline:
        before = [probe.received() for probe in receivers]
        time.sleep(_STEADY_S)
        after = [probe.received() for probe in receivers]
        rate = _STEADY_S / (time.monotonic() - now)
        udp = min(late[0] - early[0] for early, late in zip(before, after, strict=True))
        tcp = after[0][1] - before[0][1]
        # TCP may put what waits into fewer segments: that it flows is enough.
        if udp * rate >= enough and tcp >= enough / 10:
            return True
    return False


def longest(moments: Sequence[float], start: float, end: float) -> float:
    """Return the longest time without any of `moments` between `start` and `end`, in seconds.

    The stretch from the last one to `end` counts if it is worth it: traffic that never came back.
    """
    inside = [moment for moment in sorted(moments) if start - PERIOD_S <= moment <= end]
    edges = [start, *inside, end]
    return max(later - earlier for earlier, later in pairwise(edges))
