"""What the agent tells about itself: its problems in sentences, and its status."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from overlay_runtime import BRIDGE, address
from overlay_runtime.changes import changes
from overlay_runtime.conflict import REMEDY
from overlay_runtime.exporter import MetricsFile, MetricsServer
from overlay_runtime.logs import event
from overlay_runtime.metrics import render
from overlay_runtime.notify import notify, watchdog_interval
from overlay_runtime.status import boottime
from overlay_runtime.status_writer import peers_status

if TYPE_CHECKING:
    from overlay_runtime.agent import Agent

log = logging.getLogger(__name__)

_READY_AT_LATEST = 30.0
_LISTEN_AGAIN = 5.0
_ALIVE = 10.0
_METRICS_FOR = 1.0
"""Seconds for which metrics that were rendered are given out again: whoever asks a thousand times
a second has a thousand peers' lines rendered once."""
_STUCK_AFTER = 120.0
"""A round comes at least every 60 s and is given another 60."""


def problems(agent: Agent) -> list[str]:
    """Return what is wrong at the moment, the gravest first."""
    own = agent.own
    found = [agent.kernel_problem, *own.problems.values(), agent.socket_problem]
    found += [*agent.applier.problems, *agent.applier.notes, agent.guard.problem]
    if agent.physical.overlap and own.address:
        found.append(
            f"the overlay's range {own.cidr} overlaps {agent.physical.overlap}; the overlay is "
            "kept, but addresses of one of the two can't be reached"
        )
    found += [agent.wire.fault, _attack(agent)]
    met = agent.kubernetes.overlap(own.cidr) if own.address else None
    if met:
        found.append(
            f"the overlay's range {own.cidr} overlaps {met}; the overlay is kept, but addresses of "
            "one of the two can't be reached: give Kubernetes another range"
        )
    found += agent.kubernetes.notes
    for twin in _duplicates(agent):
        found.append(
            f"host {twin['name']} ({twin['id']}) {twin['why']}: a cloned disk? run `edge-overlay "
            "reset` on the copy, and give it a machine-id and a product UUID of its own"
        )
    found.append(agent.exchange.noticed.fault())
    for peer in agent.table.peers.values():
        if peer.conflict:
            found.append(f"host {peer.beacon.name} ({peer.id}): {peer.conflict}; {REMEDY}")
    for host, reason in agent.table.strangers.items():
        found.append(f"host {host} can't join: {reason}")
    found += [f"static peer {name} can't be resolved" for name in agent.static.unresolved]
    return [problem for problem in [*found, *agent.loaded.problems] if problem]


def status(agent: Agent) -> dict[str, Any]:
    """Return the status file's content; `status.py` documents it."""
    own = agent.own
    state = "waiting"
    if own.address is not None and agent.applied:
        state = "up"
    elif own.claiming is not None:
        state = "claiming"
    return {
        "state": state,
        "problems": problems(agent),
        "pid": os.getpid(),
        "started": round(agent.started, 3),
        "host": {
            "id": agent.table.own_id,
            "name": socket.gethostname(),
            "identity": own.identity.source,
        },
        "overlay": {
            "interface": BRIDGE,
            "cidr": str(own.cidr),
            "address": str(own.address) if own.address else None,
            "prefix": own.cidr.prefixlen,
            "vip": str(address.vip(own.cidr)),
            "mtu": agent.mtu,
            "vni": agent.config.vni,
            "port": agent.config.port,
        },
        "underlay": [
            {
                "name": nic.name,
                "mtu": nic.mtu,
                "addresses": [*map(str, nic.v4), *map(str, nic.ll), *map(str, nic.v6)],
            }
            for nic in agent.physical.nics
        ],
        "peers": peers_status(agent.table.peers.values(), boottime()),
        "firewall": {
            "state": "on" if agent.guard.on else "off",
            "reason": agent.guard.problem,
            "dropped": agent.guard.dropped(),
        },
        "strangers": [{"id": i, "reason": r} for i, r in agent.table.strangers.items()],
        "duplicates": _duplicates(agent),
        "foreign": [
            {"source": str(source), "seen": round(at, 3)}
            for source, at in agent.exchange.noticed.strangers().items()
        ],
        "counters": agent.counters.as_dict(),
        "sources": agent.loaded.sources,
    }


def _attack(agent: Agent) -> str | None:
    mac = agent.wire.attacker()
    if mac is None:
        return None
    names = [peer.beacon.name for peer in agent.table.peers.values() if peer.beacon.mac == mac]
    return (
        f"this host's overlay address {agent.own.address} is also used by "
        f"{names[0] if names else 'an unknown host'} ({mac}): both go on; {REMEDY}"
    )


def _duplicates(agent: Agent) -> list[dict[str, str]]:
    found = []
    for host, name in agent.exchange.duplicates().items():
        why = f"has the same identity as this one ({agent.own.identity.source})"
        if host != agent.table.own_id:
            peer = agent.table.peers.get(host)
            why = f"has the identity of {peer.beacon.name if peer else 'another host'}"
        found.append({"id": host, "name": name, "why": why})
    return found


class Teller:
    """Tells others what status says: the journal what happened, Prometheus what is."""

    def __init__(self, metrics: Path) -> None:
        """`metrics` is the file for the metrics."""
        self._last: dict[str, Any] | None = None
        self._file = MetricsFile(metrics)
        self._rendered, self._text = float("-inf"), ""

    def tell(self, status: dict[str, Any]) -> None:
        """Log what changed since the last call, and write the metrics.

        Problems are logged where they are found.
        """
        for change in changes(self._last, status):
            if not change.event.startswith("problem"):
                event(log, change)
        self._last, self._rendered = status, float("-inf")
        self._file.write(self.metrics())

    def metrics(self) -> str:
        """Return the metrics of the last status, as old as they are now (or were a second ago)."""
        now = boottime()
        if self._last and now - self._rendered >= _METRICS_FOR:
            self._rendered, self._text = now, render(self._last, now)
        return self._text

    async def serve(self, listen: str) -> None:
        """Serve the metrics by HTTP until cancelled; wait for an address or port to be free."""
        server = MetricsServer(listen, self.metrics)
        told = False
        try:
            while True:
                try:
                    await server.start()
                    break
                except OSError as error:
                    if not told:
                        log.warning("metrics can't be served at %s: %s", listen, error.strerror)
                    told = True
                    await asyncio.sleep(_LISTEN_AGAIN)
            await asyncio.Event().wait()
        finally:
            server.close()


def report_ready(agent: Agent) -> None:
    """Tell systemd that the overlay is up, or, after a while, what it still waits for."""
    if agent.applied:
        notify("READY=1", f"STATUS=overlay address {agent.own.address}")
    elif boottime() - agent.started > _READY_AT_LATEST:
        reason = next(iter(problems(agent)), "no overlay address yet")
        notify("READY=1", f"STATUS=waiting: {reason}")


async def keep_alive(agent: Agent) -> None:
    """Tell the watchdog that rounds come to their end, and systemd what we wait for."""
    interval = watchdog_interval()
    while True:
        if interval and time.monotonic() - agent.round_ended < _STUCK_AFTER:
            notify("WATCHDOG=1")
        report_ready(agent)
        # Rounds report too: what has to be asked for is only how long nothing has come of it.
        await asyncio.sleep(min(interval or _ALIVE, _ALIVE) if agent.applied else 1.0)
