"""When beacons are sent: at once on every change, and quietly otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import logging
import random
import socket
from collections.abc import Callable, Sequence

from overlay_runtime.address import IPAddress

log = logging.getLogger(__name__)

_JITTER = 0.2
"""Regular beacons come a fifth sooner or later, so that hosts don't fall into step."""

_BURST = (0.0, 0.06, 0.25)
"""Seconds after a change at which it is told: the repetitions make up for lost packets, and for a
neighbour's switch port that is slow to open."""

_NEWS_PAUSE = 1.0

_RETRY_PAUSE = 1.0
"""Routes may change hundreds of times a second on a Kubernetes host."""

_RESOLVE_AGAIN = 30.0


class Schedule:
    """Calls `send(everyone)` when it is time. All times by the event loop's clock."""

    def __init__(
        self,
        send: Callable[[bool], None],
        retry: Callable[[], None],
        news: Callable[[], None],
        interval: Callable[[], float],
    ) -> None:
        """`send`'s argument tells that something changed and every peer should know at once.
        `retry` sends to those who could not be reached, `news` (every second) to those who can't
        see a change by themselves; `interval` returns the seconds between regular beacons."""
        self._send = send
        self._retry = retry
        self._tell_news = news
        self._interval = interval
        self._news: asyncio.TimerHandle | None = None
        self._retrying: asyncio.TimerHandle | None = None
        self._retried = float("-inf")
        self._timers: list[asyncio.TimerHandle] = []
        self._regular: asyncio.TimerHandle | None = None

    def poke(self) -> None:
        """Something changed: send now, and shortly after again. The first is sent before return."""
        loop = asyncio.get_running_loop()
        for timer in self._timers:
            timer.cancel()
        self._timers = [loop.call_later(delay, self._send, True) for delay in _BURST[1:]]
        self._send(True)
        self._next()

    def rerouted(self) -> None:
        """Perhaps there is a way now to those who could not be reached: try them, at once but no
        more than once a second."""
        if self._retrying is None:
            loop = asyncio.get_running_loop()
            delay = max(0.0, self._retried + _RETRY_PAUSE - loop.time())
            self._retrying = loop.call_later(delay, self._try_again)

    def stop(self) -> None:
        """Send no more."""
        for timer in (*self._timers, self._regular, self._retrying, self._news):
            if timer:
                timer.cancel()

    def _try_again(self) -> None:
        self._retrying = None
        self._retried = asyncio.get_running_loop().time()
        self._retry()

    def _next(self) -> None:
        if self._regular:
            self._regular.cancel()
        delay = self._interval() * random.uniform(1 - _JITTER, 1 + _JITTER)
        loop = asyncio.get_running_loop()
        self._regular = loop.call_later(delay, self._tick)
        if self._news is None:
            self._news = loop.call_later(_NEWS_PAUSE, self._every_second)

    def _every_second(self) -> None:
        pause = _NEWS_PAUSE * max(1.0, self._interval() / 10)
        self._news = asyncio.get_running_loop().call_later(pause, self._every_second)
        self._tell_news()

    def _tick(self) -> None:
        self._next()
        self._send(False)


class StaticPeers:
    """The configured peers, names resolved in the background and again every half minute."""

    def __init__(self, names: Sequence[str], resolved: Callable[[], None]) -> None:
        """`resolved` is called when an address is new."""
        self._names = names
        self._resolved = resolved
        self._addresses: dict[str, tuple[IPAddress, ...]] = {}
        self._task: asyncio.Task[None] | None = None
        self.unresolved: list[str] = []
        """Names that have no address at the moment."""
        for name in names:
            with contextlib.suppress(ValueError):
                self._addresses[name] = (ipaddress.ip_address(name),)

    def start(self) -> None:
        """Begin to resolve, if there is anything to resolve."""
        if any(name not in self._addresses for name in self._names):
            self._task = asyncio.create_task(self._resolve())

    def stop(self) -> None:
        """Stop resolving."""
        if self._task:
            self._task.cancel()

    def addresses(self) -> list[IPAddress]:
        """Return every address known for the configured peers."""
        return [address for name in self._names for address in self._addresses.get(name, ())]

    async def _resolve(self) -> None:
        loop = asyncio.get_running_loop()
        names = [name for name in self._names if name not in self._addresses]
        while True:
            unresolved = []
            for name in names:
                try:
                    # In a thread: a dead DNS server takes seconds, and nothing may wait for it.
                    found = await loop.getaddrinfo(name, None, type=socket.SOCK_DGRAM)
                except OSError as error:
                    unresolved.append(name)
                    log.debug("static peer %s: %s", name, error.strerror)
                    continue  # what it resolved to before is still the best guess
                addresses = tuple(ipaddress.ip_address(str(item[4][0])) for item in found)
                if self._addresses.get(name) != addresses:
                    self._addresses[name] = addresses
                    self._resolved()
            self.unresolved = unresolved
            await asyncio.sleep(5.0 if unresolved else _RESOLVE_AGAIN)
