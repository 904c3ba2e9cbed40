"""What the agent counts since its start, for status and metrics."""

from __future__ import annotations

from dataclasses import asdict, dataclass


@dataclass
class Counters:
    """Plain numbers that only grow. Whoever does a thing counts it; nobody reads them to decide."""

    beacons_sent: int = 0
    beacons_received: int = 0
    """All datagrams on the beacon port that didn't come through the overlay itself."""
    beacons_bad: int = 0
    """Not signed with our secret: another cluster, a wrong secret, or no beacon at all."""
    beacons_malformed: int = 0
    """Signed with our secret and not understood: another version?"""
    beacons_stale: int = 0
    """Genuine but no news: overtaken, sent by another way as well, or of a boot not yet proven."""
    beacons_dropped: int = 0
    """Not answered because a rate limit was reached."""
    kernel_corrections: int = 0
    kernel_refusals: int = 0
    rounds: int = 0
    netlink_overruns: int = 0
    """How often events were lost (ENOBUFS), and everything was looked at again."""
    address_conflicts: int = 0
    transport_changes: int = 0
    defences: int = 0
    """Answers to somebody else's claim of this host's overlay address."""

    def as_dict(self) -> dict[str, int]:
        """Return name → number, as the status file has it."""
        return asdict(self)
