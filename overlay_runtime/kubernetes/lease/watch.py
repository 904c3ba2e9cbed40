"""The program: sees every renewal at once, and asks a host whose lease is not renewed.

A thread for each lease waits for what the API server tells of it. All else is done by one thread,
which never waits longer than for one answer. Whatever fails is tried again: without this program
the VIP moves as kube-vip moves it.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overlay_runtime.kubernetes.lease.apiserver import (
    ApiServer,
    NoKubeconfig,
    Refused,
    credentials,
)
from overlay_runtime.kubernetes.lease.hosts import Hosts, answers
from overlay_runtime.kubernetes.lease.settings import LEASES, NAMESPACE, Settings, read
from overlay_runtime.kubernetes.lease.tracker import Record, Tracker
from overlay_runtime.notices import Notice, tell

log = logging.getLogger(__name__)

SUBJECT = "vip"
_PATH = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_TIMEOUT_S = 1.0
"""For the API server of this host. What is written while etcd's leader is gone is lost on its way
and never answered: to try again soon is what helps."""

_CHECK_S = 5.0
"""How often it is looked whether the settings are still the same."""

_AGAIN_S = 2.0
_SOON_S = 0.3
_GRAVE_S = 60.0
"""So long the API server may be away before `edge-overlay status` tells of it."""

_FINAL = {400, 403, 404, 409, 422}
"""HTTP's, for what is no use to try again: the lease is another one than was seen (Not Found,
Conflict), or it is not ours to write."""


@dataclass(frozen=True)
class _Seen:
    """A lease was written, or it is no more: None. `at`: when that was heard."""

    lease: str
    record: Record | None
    at: float


@dataclass(frozen=True)
class _State:
    """How a watch fares: "" when it stands, else why not."""

    lease: str
    trouble: str


def run(path: Path, notices: Path) -> int:
    """Watch until the settings at `path` are others, or gone. Returns an exit code.

    Raises ValueError if they can't be read.
    """
    tell(notices, Notice(SUBJECT))  # one that ran before may have left something
    settings = read(path)
    if settings is None:
        log.info("there is no kube-vip of ours here: no lease is watched")
        return 0
    log.info("a lease of kube-vip that is not renewed for %g s is given up if its holder's host "
             "does not answer", settings.patience)  # fmt: skip
    watch = Watch(settings, lambda problems: tell(notices, Notice(SUBJECT, problems)))
    watch.start()
    checked = time.monotonic()
    while True:
        watch.step()
        if time.monotonic() - checked >= _CHECK_S:
            checked = time.monotonic()
            if read(path) != settings:
                watch.stop()
                tell(notices, Notice(SUBJECT))
                return 0


class Watch:
    """Leases, and what is done about them. `report` gets what `edge-overlay status` is to show."""

    def __init__(
        self,
        settings: Settings,
        report: Callable[[tuple[str, ...]], None],
        ask: Callable[[str, int, float], bool] = answers,
    ) -> None:
        """`ask` says whether a host answers, see `Hosts`."""
        self._settings = settings
        self._report = report
        self._hosts = Hosts(settings, self._node, ask)
        self._events: queue.SimpleQueue[_Seen | _State] = queue.SimpleQueue()
        self._trackers: dict[str, Tracker] = {}
        self._since: dict[str, float] = {}
        """By lease, since when its watch does not stand."""
        self._said: dict[str, str] = {}
        """By lease, what was last logged of a release that failed."""
        self._reported: tuple[str, ...] = ()
        self._stopped = threading.Event()

    def start(self) -> None:
        """Start a thread for each lease."""
        settings = self._settings
        for name in LEASES:
            self._trackers[name] = Tracker(settings.lease, settings.patience, settings.retry)
            threading.Thread(target=self._follow, args=(name,), name=name, daemon=True).start()

    def stop(self) -> None:
        """Have the threads end when they next have something to tell."""
        self._stopped.set()

    def step(self) -> None:
        """Wait for what happens next, or for the next moment at which there is something to do."""
        with suppress(queue.Empty):
            self._take(self._events.get(timeout=self._pause(time.monotonic())))
            return
        now = time.monotonic()
        for name, tracker in self._trackers.items():
            record = tracker.overdue()
            if record is None or tracker.until_overdue(now) > 0:
                continue
            self._learn(record)
            address = self._hosts.address(record)
            if address is not None:
                self._hosts.ask(address, tracker.until_due(time.monotonic()))
                self._judge(name, tracker, record, address)

    def _pause(self, now: float) -> float:
        moments = [_CHECK_S]
        for one in self._trackers.values():
            record = one.overdue()
            if record is None:
                continue
            wait = one.until_overdue(now)
            moments.append(wait or self._hosts.next(record) - now)
            if not wait and one.until_due(now) > 0:
                moments.append(one.until_due(now))
        return max(0.0, min(moments))

    def _take(self, event: _Seen | _State) -> None:
        if isinstance(event, _State):
            self._note(event, time.monotonic())
            return
        news = self._trackers[event.lease].seen(event.record, event.at)
        if event.record is not None and event.record.holder:
            self._learn(event.record)
            if news:
                self._hosts.lives(event.record)

    def _learn(self, record: Record) -> None:
        terms = {one.record.term for one in self._trackers.values() if one.record}
        self._hosts.learn(record, terms)

    def _node(self, name: str) -> dict[str, Any]:
        return _server(self._settings).get(f"/api/v1/nodes/{name}")

    def _note(self, event: _State, now: float) -> None:
        if not event.trouble:
            if self._since.pop(event.lease, None) is not None:
                log.info("the lease %s is watched again", event.lease)
            self._tell(() if not self._since else self._reported)
            return
        if event.lease not in self._since:
            self._since[event.lease] = now
            log.warning("the lease %s can't be watched: %s", event.lease, event.trouble)
        if now - self._since[event.lease] >= _GRAVE_S:
            self._tell((f"Kubernetes: kube-vip's lease can't be watched, so that the VIP moves "
                        f"later after a power cut of its host: {event.trouble}",))  # fmt: skip

    def _tell(self, problems: tuple[str, ...]) -> None:
        if problems != self._reported:
            self._reported = problems
            self._report(problems)

    def _judge(self, name: str, tracker: Tracker, record: Record, address: str) -> None:
        """Give a lease that is due up, if the holder's host is surely silent."""
        now, silence = time.monotonic(), self._hosts.silence(address)
        if tracker.until_due(now) > 0 or not silence.is_sure(now):
            return
        try:
            server = _server(self._settings)
            server.put(f"{_PATH}/{name}", released(record, datetime.now(UTC)))
        except (OSError, ValueError) as error:
            tracker.over = isinstance(error, Refused) and error.status in _FINAL
            silence.next = time.monotonic() + _SOON_S
            self._say_once(name, f"the lease {name} of {record.holder} is not given up: {error}")
        else:
            tracker.over = True
            log.warning("%s is gone: it has not renewed the lease %s for %.1f s, and %s does not "
                        "answer; the lease is given up", record.holder, name,
                        now - tracker.renewed, address)  # fmt: skip

    def _say_once(self, lease: str, text: str) -> None:
        if self._said.get(lease) != text:
            self._said[lease] = text
            log.info("%s", text)

    def _follow(self, lease: str) -> None:
        while not self._stopped.is_set():
            try:
                events = _server(self._settings).watch(_PATH, lease)
                self._events.put(_State(lease, ""))
                for kind, document in events:
                    record = _record(kind, document)
                    self._events.put(_Seen(lease, record, time.monotonic()))
                    if self._stopped.is_set():
                        return
                self._stopped.wait(_SOON_S)
            except NoKubeconfig:
                self._stopped.wait(_AGAIN_S)  # Kubernetes is not set up here yet
            except Exception as error:  # noqa: BLE001 # nobody would notice a thread that ended
                self._events.put(_State(lease, str(error) or repr(error)))
                self._stopped.wait(_AGAIN_S)


def released(record: Record, now: datetime) -> dict[str, Any]:
    """Return the lease as client-go's `release` leaves it (leaderelection.go): taken by nobody."""
    moment = now.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    free = {"holderIdentity": "", "leaseDurationSeconds": 1, "acquireTime": moment,
            "renewTime": moment}  # fmt: skip
    return record.document | {"spec": record.document["spec"] | free}


def _record(kind: str, document: dict[str, Any]) -> Record | None:
    if kind == "ERROR":  # such as a resourceVersion that is too old; the watch begins anew
        raise OSError(str(document.get("message", "the watch has failed"))[:200])
    return None if kind == "DELETED" else Record.of(document)


def _server(settings: Settings) -> ApiServer:
    """With the credentials of now: certificates are made anew once a year."""
    given = credentials(settings.kubeconfig)
    return ApiServer(settings.address, settings.port, given, _TIMEOUT_S)
