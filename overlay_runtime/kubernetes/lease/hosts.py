"""The hosts of those who hold a lease: where they are, and whether they answer."""

from __future__ import annotations

import ipaddress
import logging
import math
import socket
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any

from overlay_runtime.kubernetes.lease.settings import Settings
from overlay_runtime.kubernetes.lease.tracker import Record, Silence, Term

log = logging.getLogger(__name__)

_ASK_S, _BRIEFLY_S = 0.4, 0.1
"""For a host's answer: an overlay spans a site. The last time before its lease is given up it may
be less, not to be late."""

_LEARN_S = 5.0
"""How often an address that could not be had is asked for."""


def answers(address: str, port: int, timeout: float) -> bool:
    """Return whether a host answers at all: a port that is closed is an answer, too."""
    try:
        socket.create_connection((address, port), timeout).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


@dataclass
class Hosts:
    """What is known of them. `node` gets a Node from the API (OSError, ValueError); `answers` asks
    a host at an address and a port, for so many seconds."""

    settings: Settings
    node: Callable[[str], dict[str, Any]]
    answers: Callable[[str, int, float], bool] = answers
    _addresses: dict[Term, str | None] = field(default_factory=dict)
    """None: it has none on the overlay."""
    _learned: dict[Term, float] = field(default_factory=dict)
    """When an address was asked for."""
    _silences: dict[str, Silence] = field(default_factory=dict)
    """By address."""

    def address(self, record: Record) -> str | None:
        """Return the overlay address of the host that holds a lease, if it is known."""
        return self._addresses.get(record.term)

    def silence(self, address: str) -> Silence:
        """Return what came of asking a host."""
        return self._silences.setdefault(address, Silence(self.settings.retry))

    def lives(self, record: Record) -> None:
        """Take in that the host has renewed a lease."""
        self._silences.pop(self.address(record) or "", None)

    def next(self, record: Record) -> float:
        """Return when something is to be asked about a host, in `time.monotonic()`'s seconds."""
        address = self.address(record)
        if address is not None:
            return self.silence(address).next
        known = record.term in self._addresses
        return math.inf if known else self._learned.get(record.term, 0.0) + _LEARN_S

    def learn(self, record: Record, terms: Collection[Term]) -> None:
        """Ask for a host's address, while the API server answers, and not too often; forget those
        of other terms than `terms`."""
        now, term = time.monotonic(), record.term
        if term in self._addresses or (term in self._learned and self.next(record) > now):
            return
        self._addresses = {one: at for one, at in self._addresses.items() if one in terms}
        self._learned = {one: at for one, at in self._learned.items() if one in terms} | {term: now}
        try:
            addresses = self.node(record.holder)["status"]["addresses"]
            found = [one["address"] for one in addresses if one["type"] == "InternalIP"]
            within = [at for at in found if ipaddress.ip_address(at) in self.settings.range]
            self._addresses[term] = next(iter(within), None)
            if not within:
                log.info("the node %s has no address on the overlay: what it holds is left to "
                         "kube-vip", record.holder)  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.debug("the address of %s is not known: %s", record.holder, error)

    def ask(self, address: str, left: float) -> None:
        """Ask a host, if it is time to. `left` seconds are left until its lease may be given up:
        the last answer is waited for until then."""
        silence, began = self.silence(address), time.monotonic()
        if silence.next > began:
            return
        limit = max(_BRIEFLY_S, left) if 0 < left < _ASK_S else _ASK_S
        answered = self.answers(address, self.settings.port, limit)
        silence.asked(began, time.monotonic(), answered=answered)
