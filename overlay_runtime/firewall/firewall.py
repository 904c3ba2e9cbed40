"""Keeps the table as it should be: loaded, its sets in step with the peers.

A peer's new address is let in before anything is sent there. Whatever fails here leaves the overlay
as it is without a firewall, and is told in status.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from overlay_runtime.address import IPAddress, IPNetwork
from overlay_runtime.firewall.nftables import TABLE, NetlinkError, Table, interface_key

log = logging.getLogger(__name__)

_READ_EVERY = 25.0
"""Seconds after which the kernel's sets and rules are read again, event or not."""

_TRY_AGAIN = 30.0
_NFT_SECONDS = 20.0

_SETS = ("peers4", "peers6", "underlay")
Elements = dict[str, set[bytes]]


@dataclass(frozen=True)
class Wanted:
    """What the firewall is about: physical addresses of peers, names of the links of the physical
    side, and the overlay's range (None while it overlaps a physical network)."""

    peers: frozenset[IPAddress]
    underlay: frozenset[str]
    cidr: IPNetwork | None

    def elements(self) -> Elements:
        """Return the keys of each set."""
        found: Elements = {name: set() for name in _SETS}
        for address in self.peers:
            found[_set_of(address)].add(address.packed)
        found["underlay"] = {interface_key(name) for name in self.underlay}
        return found


class Firewall:
    """The table of one network namespace."""

    def __init__(self, rules: Path, port: int, changed: Callable[[], None]) -> None:
        """`rules` is the template (firewall.nft), `port` VXLAN's; `changed` is called when the
        rules were loaded, or could not be."""
        self._rules, self._port, self._changed = rules, port, changed
        self._table: Table | None = None
        self._have: Elements | None = None
        """What is in the sets, as far as is known; None: nothing is."""
        self._handles: frozenset[int] = frozenset()
        self._cidr: IPNetwork | None = None
        self._read_at = self._failed_at = float("-inf")
        self._loading: asyncio.Task[None] | None = None
        self.problem: str | None = None

    @property
    def on(self) -> bool:
        """Whether the rules are in the kernel."""
        return self._have is not None

    def update(self, want: Wanted) -> None:
        """Bring the kernel to what is wanted. Raises nothing; see `problem`."""
        if self._loading:
            return  # `changed` comes when that is done
        try:
            table = self._open()
            if time.monotonic() - self._read_at >= _READ_EVERY:
                self._read(table)
            if self._have is None or self._cidr != want.cidr:
                self._load(want)
            else:
                self._correct(table, self._have, want.elements())
        except OSError as error:
            self._unknown()
            self._fail(str(error.strerror))

    def admit(self, addresses: Iterable[IPAddress]) -> None:
        """Let a peer's addresses in, at once. Raises nothing: `update` comes after it."""
        if self._have is None or self._table is None:
            return
        more: Elements = {}
        for address in addresses:
            name = _set_of(address)
            if address.packed not in self._have[name]:
                more.setdefault(name, set()).add(address.packed)
        if more:
            try:
                self._table.change(more, {})
            except NetlinkError:
                self._unknown()
                return
            for name, keys in more.items():
                self._have[name] |= keys

    def look_again(self) -> None:
        """Somebody changed the ruleset: read it at the next `update`."""
        self._read_at = float("-inf")

    def dropped(self) -> dict[str, int]:
        """Return how many packets were dropped, by the counters' names in firewall.nft."""
        if self._table is None or not self.on:
            return {}
        try:
            return self._table.counters()
        except NetlinkError:
            return {}

    def remove(self) -> None:
        """Take the table out of the kernel, if it is there. Raises nothing."""
        with contextlib.suppress(OSError):
            self._open().remove()

    def close(self) -> None:
        """Leave the kernel as it is."""
        if self._loading:
            self._loading.cancel()
        if self._table:
            self._table.close()
            self._table = None

    def _open(self) -> Table:
        if self._table is None:
            self._table = Table()
        return self._table

    def _unknown(self) -> None:
        self._have, self._read_at = None, float("-inf")

    def _read(self, table: Table) -> None:
        self._read_at = time.monotonic()
        if self._have is None:
            return
        if table.rules() != self._handles:
            log.warning("the firewall table %s was changed or removed by somebody else", TABLE)
            self._have = None
            return
        self._have = {name: table.elements(name) for name in _SETS}

    def _correct(self, table: Table, have: Elements, want: Elements) -> None:
        add = {name: want[name] - have[name] for name in _SETS if want[name] - have[name]}
        remove = {name: have[name] - want[name] for name in _SETS if have[name] - want[name]}
        if add or remove:
            table.change(add, remove)
            self._have = want

    def _load(self, want: Wanted) -> None:
        if time.monotonic() - self._failed_at >= _TRY_AGAIN:
            self._loading = asyncio.create_task(self._run(want))

    async def _run(self, want: Wanted) -> None:
        try:
            fault = await self._nft(_script(self._rules, want))
            if fault is None:
                self._handles = self._open().rules()
                self._have, self._cidr = want.elements(), want.cidr
                self._read_at, self._failed_at = time.monotonic(), float("-inf")
                self.problem = None
                log.info("firewall on: table=inet %s peers=%d", TABLE, len(want.peers))
        except OSError as error:
            fault = str(error)
        self._loading = None
        if fault is not None:
            self._unknown()
            self._fail(fault)
        self._changed()

    async def _nft(self, script: str) -> str | None:
        """Run nft(8); return what went wrong, if anything."""
        words = [
            "--define",
            f"overlay_port={self._port}",
            "--define",
            f"beacon_port={self._port + 1}",
        ]
        try:
            process = await asyncio.create_subprocess_exec(
                "nft", *words, "--file", "-",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.STDOUT, env={"PATH": _PATH, "LC_ALL": "C"},
            )  # fmt: skip
        except OSError as error:
            return f"nft can't be run: {error.strerror}"
        try:
            output, _ = await asyncio.wait_for(process.communicate(script.encode()), _NFT_SECONDS)
        except TimeoutError:
            process.kill()
            return f"nft did not end within {_NFT_SECONDS:.0f} s"
        except asyncio.CancelledError:
            process.kill()
            raise
        if process.returncode == 0:
            return None
        lines = output.decode(errors="replace").strip().splitlines()
        return lines[0] if lines else f"nft ended with exit code {process.returncode}"

    def _fail(self, why: str) -> None:
        self._failed_at = time.monotonic()
        text = (
            f"the firewall is off ({why}): VXLAN packets are accepted from anybody; see that the "
            "package nftables is installed and the kernel has nf_tables, or set `firewall: false`"
        )
        if text != self.problem:
            log.warning("%s", text)
        self.problem = text


_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


def _set_of(address: IPAddress) -> str:
    return "peers4" if address.version == 4 else "peers6"


def _script(rules: Path, want: Wanted) -> str:
    """Return the template and, in the same transaction, what is in the sets."""
    members = {
        "peers4": sorted(str(a) for a in want.peers if a.version == 4),
        "peers6": sorted(str(ipaddress.IPv6Address(int(a))) for a in want.peers if a.version == 6),
        "underlay": sorted(f'"{name}"' for name in want.underlay if '"' not in name),
    }
    if want.cidr:
        members[f"overlay{want.cidr.version}"] = [str(want.cidr)]
    lines = [
        f"add element inet {TABLE} {name} {{ {', '.join(keys)} }}"
        for name, keys in members.items()
        if keys
    ]
    return "\n".join([rules.read_text(), *lines]) + "\n"
