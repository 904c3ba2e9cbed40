"""Gets this host its overlay address, once and for ever: the driver of `claim.py`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Protocol

from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.beacon.model import HELD
from overlay_runtime.claim import ANNOUNCE_SECONDS, Claim
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.dad.detector import PROBES_AT
from overlay_runtime.errors import StateError
from overlay_runtime.identity import Identity
from overlay_runtime.peers import PeerTable
from overlay_runtime.state import State, StateStore
from overlay_runtime.status import boottime

log = logging.getLogger(__name__)

_RETRY_SECONDS = 10.0
_STORE_AGAIN = 2.0
_TICK = 0.05
_LATE = 0.3
"""A host that could not look at what came for so many seconds has not listened: it claims anew."""

_REPEAT_SECONDS = 0.25
"""A claim is repeated so often: a peer that misses it can't object. The more claim at once, the
rarer, as every repetition reaches everybody."""

_REPEATED_BY = 16


class Wire(Protocol):
    """Who is seen on the overlay itself: `dad/detector.py`."""

    def probe(self, address: IPAddress) -> None:
        """Ask whether anybody uses an address."""

    def user(self, address: IPAddress, claiming: frozenset[str]) -> str | None:
        """Return the MAC address of who uses it."""


class Acquisition:
    """The address of this host, and how it is come by.

    `address` is the address in use; `claiming` the one that is being announced. `changed` is called
    whenever one of them or `problems` changes.
    """

    def __init__(
        self,
        config: OverlayConfig,
        store: StateStore,
        hardware: Callable[[], Identity],
        changed: Callable[[], None],
        repeat: Callable[[], None],
    ) -> None:
        """Read what is stored. `hardware` finds the host's identity if none is stored; `repeat`
        sends one beacon more."""
        self.wire: Wire | None = None
        self._store = store
        self._changed = changed
        self._repeat = repeat
        self._wanted = config.address
        self.cidr: IPNetwork = config.cidr
        self.address: IPAddress | None = None
        self.claiming: IPAddress | None = None
        self.problems: dict[str, str] = {}
        """Problems by subject: one subject has one problem at a time."""
        self._unsaved: State | None = None
        stored = self._load()
        if stored is None:
            self.identity = hardware()
            return
        self.identity = Identity(stored.identity, stored.identity_source)
        self.address = stored.address
        if stored.cidr != config.cidr:
            self.cidr = stored.cidr
            self._problem(
                "cidr",
                f"the configured range {config.cidr} is not the one that this host's address "
                f"{stored.address} was claimed in; the overlay stays on {stored.cidr}; to start "
                "over: edge-overlay reset",
            )

    async def run(self, table: PeerTable, may_claim: Callable[[], str | None]) -> None:
        """Claim an address if there is none, store it, and see to a configured one.

        `may_claim` says why no claim can be made at the moment (no network, an overlapping range).
        Returns when the address is final.
        """
        if self.address is None:
            await self._first_claim(table, may_claim)
        elif self._wanted and self._wanted != self.address:
            await self._move(table, self._wanted)
        while self._unsaved:
            await asyncio.sleep(_RETRY_SECONDS)
            self._unsaved = None if self._saved(self._unsaved) else self._unsaved

    async def _first_claim(self, table: PeerTable, may_claim: Callable[[], str | None]) -> None:
        while self.address is None:
            why = may_claim()
            self._problem("claim", why)
            if why:
                await asyncio.sleep(0.2)
                continue
            claim = Claim(self.identity.text, table.own_id, self.cidr, self._wanted)
            await self._announce(claim, table)
            settled = claim.settled()
            if settled is None:
                self._problem("claim", claim.problem)
                await asyncio.sleep(_RETRY_SECONDS)
                continue
            await self._use(settled)

    async def _move(self, table: PeerTable, wanted: IPAddress) -> None:
        """Go over to another configured address, unless somebody has it. The old one stays in use
        until then."""
        while wanted != self.address:
            if wanted not in self.cidr:
                why: str | None = f"it is outside {self.cidr}"
            else:
                claim = Claim(self.identity.text, table.own_id, self.cidr, wanted)
                await self._announce(claim, table)
                why = claim.problem
            if why is None:
                self._problem("address", None)
                await self._use(wanted)
                return
            self.claiming = None
            self._problem("address", f"the configured address {wanted} can't be used: "
                          f"{why.removeprefix(f'the configured address {wanted}: ')}; this host "
                          f"keeps {self.address}")  # fmt: skip
            await asyncio.sleep(_RETRY_SECONDS)

    async def _announce(self, claim: Claim, table: PeerTable) -> None:
        """Announce until nobody has objected to the same address for the whole time."""
        loop = asyncio.get_running_loop()
        restart = True
        while claim.trying:
            if restart:
                began = repeated = loop.time()
                probes = list(PROBES_AT)
                self.claiming = claim.trying
                log.info("claiming address=%s", claim.trying)
                self._changed()  # tells it three times in the first quarter of a second
            rivals = [p for p in table.peers.values() if p.beacon.state != HELD or p.beacon.claims]
            if loop.time() - repeated >= _REPEAT_SECONDS * max(1, len(rivals) / _REPEATED_BY):
                repeated = loop.time()
                self._repeat()
            if self.wire and probes and loop.time() - began >= probes[0]:
                self.wire.probe(claim.trying)
                del probes[0]
            slept = loop.time()
            await asyncio.sleep(_TICK)
            late = loop.time() - slept > _TICK + _LATE
            macs = frozenset(peer.beacon.mac for peer in rivals)
            restart = claim.reconsider(
                table.peers.values(), table.remembered_for_us(), boottime(), self._user_but(macs)
            )
            restart |= late  # another address has to be announced for the whole time, too
            if claim.problem or (not restart and loop.time() >= began + ANNOUNCE_SECONDS):
                return

    def _user_but(self, claiming: frozenset[str]) -> Callable[[IPAddress], str | None]:
        wire = self.wire
        return lambda address: wire.user(address, claiming) if wire else None

    async def _use(self, address: IPAddress) -> None:
        """Store an address, and only then use it: what isn't stored is another one tomorrow."""
        identity = self.identity
        state = State(self.cidr, address, identity.text, identity.source, int(time.time()))
        while not self._saved(state):
            await asyncio.sleep(_STORE_AGAIN)
        self.address, self.claiming = address, None
        log.info("holding address=%s identity=%r", address, identity.source)
        self._changed()

    def _saved(self, state: State) -> bool:
        try:
            self._store.save(state)
        except StateError as error:
            self._problem("state", str(error))
            return False
        self._problem("state", None)
        self._problem("copy", self._store.copy_problem)
        return True

    def _load(self) -> State | None:
        try:
            stored = self._store.load()
        except StateError as error:
            self._problem("stored", f"{error}; going on with this host's identity and what peers "
                          "remember")  # fmt: skip
            return None
        if self._store.recovered and stored:
            log.warning("state: %s", self._store.recovered)
            self._unsaved = None if self._saved(stored) else stored
        elif stored:
            self._store.copy(stored)
            self._problem("copy", self._store.copy_problem)
        return stored

    def _problem(self, subject: str, text: str | None) -> None:
        if self.problems.get(subject) == text:
            return
        if text is None:
            del self.problems[subject]
        else:
            self.problems[subject] = text
            log.warning("%s", text)
        self._changed()
