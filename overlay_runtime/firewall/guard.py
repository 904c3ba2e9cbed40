"""The firewall as the agent uses it: what is to be let in follows from peers and NICs."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable, Iterable
from pathlib import Path

from overlay_runtime.address import IPNetwork
from overlay_runtime.config.schema import OverlayConfig
from overlay_runtime.firewall.events import RulesetEvents
from overlay_runtime.firewall.firewall import Firewall, Wanted
from overlay_runtime.peer import Peer, physical_addresses
from overlay_runtime.physical import Physical


class Guard:
    """Does nothing but remove the table where the settings say `firewall: false`."""

    def __init__(self, rules: Path, config: OverlayConfig, changed: Callable[[], None]) -> None:
        """`rules` is firewall.nft; `changed` is called when `update` has something to do."""
        self._firewall = Firewall(rules, config.port, changed)
        self._changed = changed
        self._wanted = config.firewall
        self._events: RulesetEvents | None = None
        self._started = False

    @property
    def on(self) -> bool:
        """Whether the rules are in the kernel."""
        return self._firewall.on

    @property
    def problem(self) -> str | None:
        """Why the rules are not there, against the settings."""
        return self._firewall.problem

    def dropped(self) -> dict[str, int]:
        """Return dropped packets by counter."""
        return self._firewall.dropped()

    def update(
        self, peers: Iterable[Peer], remotes: Iterable[str], physical: Physical, cidr: IPNetwork
    ) -> None:
        """Bring the firewall up to date. `remotes` are addresses that the kernel still forwards to
        for an earlier agent. Raises nothing."""
        if not self._started:
            self._start()
        if not self._wanted:
            return
        addresses = {address for peer in peers for address in physical_addresses(peer)}
        addresses |= {ipaddress.ip_address(text) for text in remotes if text}
        self._firewall.update(
            Wanted(
                frozenset(addresses),
                physical.entrances(),
                None if physical.overlap else cidr,
            )
        )

    def admit(self, peer: Peer) -> None:
        """Let in a peer's addresses before anything else is done about it. Raises nothing."""
        self._firewall.admit(physical_addresses(peer))

    def close(self) -> None:
        """Leave the rules as they are."""
        if self._events:
            self._events.close()
        self._firewall.close()

    def _start(self) -> None:
        self._started = True
        if not self._wanted:
            self._firewall.remove()
            return
        with contextlib.suppress(OSError):  # without netfilter: `update` tells
            self._events = RulesetEvents(self._somebody_changed)

    def _somebody_changed(self) -> None:
        self._firewall.look_again()
        self._changed()
