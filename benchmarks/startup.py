"""How long from a physical address to a usable overlay address."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.lab import Lab
from benchmarks.probes import probes

_PEER, _PEER_PHYSICAL = 1, "10.1.7.2"
_LINK_LOCAL_S = 3.0
"""Longer than duplicate address detection takes, so that the link-local address is usable."""


@dataclass(frozen=True)
class Startup:
    """Seconds after the physical address came (or after the agent's start, if that was later).

    `addressed`: scbr-100 has its address. `up`: the status file says so. `answered`: the peer
    answered over the overlay. Negative if it was so before.
    """

    network: str
    case: str
    addressed: float
    up: float
    answered: float


def startups(lab: Lab, network: str, *, ipv6: bool, runs: int) -> Iterator[Startup]:
    """`runs` times every case; first boots are of hosts that the peer has never seen."""
    peer = lab.host(_PEER, ipv6=ipv6)
    peer.plug(_PEER_PHYSICAL)
    peer.start_agent()
    peer.wait_for("up")
    with probes((peer, "echo", peer.overlay)):
        scene = _Scene(lab, network, ipv6, peer.overlay)
        for run in range(runs):
            one, other = 2 + 2 * run, 3 + 2 * run
            # Nobody had these before, but for the last case.
            fresh = [f"10.1.{8 + run}.{last}" for last in (23, 118, 24, 119)]
            yield scene.address_comes(one, fresh[0], "first boot")
            yield scene.address_comes(one, fresh[1], "stored address")
            yield scene.agent_starts(other, fresh[2], "first boot")
            yield scene.agent_starts(other, fresh[3], "stored address")
            yield scene.address_comes(other, fresh[1], "stored address; it was another host's")
    lab.remove(peer)


@dataclass(frozen=True)
class _Scene:
    """Where it happens: `peer` is the overlay address that answers."""

    lab: Lab
    network: str
    ipv6: bool
    peer: str

    def address_comes(self, number: int, physical: str, what: str) -> Startup:
        """The agent waits already when NIC gets carrier and address."""
        first = what == "first boot"
        host = self.lab.host(number, ipv6=self.ipv6)
        host.start_agent()
        host.wait_for("waiting" if first else "up")
        with probes((host, "watch", self.peer)) as (watch,):
            time.sleep(0.5)  # a stored address is on the bridge by now
            began = time.monotonic()
            host.plug(physical)
            up = host.wait_for("up")
            addressed, answered = watch.result()
        self.lab.remove(host)
        if not first:
            addressed = up = began - 1  # how long before is of no interest
        case = f"address comes, {what}"
        return Startup(self.network, case, addressed - began, up - began, answered - began)

    def agent_starts(self, number: int, physical: str, what: str) -> Startup:
        """The network is there already when the agent starts."""
        host = self.lab.host(number, ipv6=self.ipv6)
        host.plug(physical)
        time.sleep(_LINK_LOCAL_S if self.ipv6 else 0.1)
        with probes((host, "watch", self.peer)) as (watch,):
            began = time.monotonic()
            host.start_agent()
            up = host.wait_for("up")
            addressed, answered = watch.result()
        self.lab.remove(host)
        case = f"agent starts, {what}"
        return Startup(self.network, case, addressed - began, up - began, answered - began)
