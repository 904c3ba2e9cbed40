"""Gets this host its overlay address, once and for ever: the driver of `claim.py`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable

from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.claim import ANNOUNCE_SECONDS, Claim, alive, objection
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.errors import StateError
from overlay_runtime.identity import Identity
from overlay_runtime.peers import PeerTable
from overlay_runtime.state import State, StateStore
from overlay_runtime.status import boottime

log = logging.getLogger(__name__)

_RETRY_SECONDS = 10.0
_REPEAT_SECONDS = 0.25
"""A claim is repeated so often: a peer that misses it can't object."""


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
            self._save(self._unsaved)

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
            self._use(settled)

    async def _announce(self, claim: Claim, table: PeerTable) -> None:
        """Announce until nobody has objected to the same address for the whole time."""
        loop = asyncio.get_running_loop()
        restart = True
        while claim.trying:
            if restart:
                deadline = loop.time() + ANNOUNCE_SECONDS
                self.claiming = claim.trying
                log.info("claiming address=%s", claim.trying)
                self._changed()  # tells it three times in the first quarter of a second
                repeated = loop.time()
            elif loop.time() - repeated >= _REPEAT_SECONDS:
                repeated = loop.time()
                self._repeat()
            await asyncio.sleep(0.05)
            peers, remembered = table.peers.values(), table.remembered_for_us()
            restart = claim.reconsider(peers, remembered, boottime())
            if loop.time() >= deadline or claim.problem:
                return

    async def _move(self, table: PeerTable, wanted: IPAddress) -> None:
        """Go over to another configured address, unless somebody has it."""
        while True:
            await asyncio.sleep(ANNOUNCE_SECONDS)
            if wanted not in self.cidr:
                why: str | None = f"it is outside {self.cidr}"
            else:
                why = objection(wanted, table.own_id, alive(table.peers.values(), boottime()))
            if why is None:
                self._problem("address", None)
                self._use(wanted)
                return
            self._problem(
                "address", f"the configured address {wanted} can't be used: {why}; this host "
                f"keeps {self.address}"
            )  # fmt: skip
            await asyncio.sleep(_RETRY_SECONDS)

    def _use(self, address: IPAddress) -> None:
        identity = self.identity
        self._save(State(self.cidr, address, identity.text, identity.source, int(time.time())))
        self.address, self.claiming = address, None
        log.info("holding address=%s identity=%r", address, identity.source)
        self._changed()

    def _save(self, state: State) -> None:
        try:
            self._store.save(state)
            self._unsaved = None
            self._problem("state", None)
        except StateError as error:
            # It works until the next boot, and then finds the same address by the identity.
            self._unsaved = state
            self._problem("state", str(error))

    def _load(self) -> State | None:
        try:
            stored = self._store.load()
        except StateError as error:
            self._problem("stored", f"{error}; going on with this host's identity and what peers "
                          "remember")  # fmt: skip
            return None
        if self._store.recovered and stored:
            log.warning("state: %s", self._store.recovered)
            self._save(stored)
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
