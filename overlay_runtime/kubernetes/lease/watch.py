"""The program: sees every renewal at once, and asks a host whose lease is not renewed.

A thread for each lease waits for what the API server tells of it. All else is done by one thread,
which never waits longer than for one answer. Whatever fails is tried again: without this program
the VIP moves as kube-vip moves it.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from overlay_runtime.kubernetes.lease.apiserver import ApiServer, Refused, credentials
from overlay_runtime.kubernetes.lease.settings import LEASES, NAMESPACE, Settings, read
from overlay_runtime.kubernetes.lease.tracker import Record, Silence, Tracker
from overlay_runtime.notices import Notice, tell

log = logging.getLogger(__name__)

SUBJECT = "vip"
_PATH = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases"
_TIMEOUT_S = 2.0
"""For the API server of this host. A write waits for etcd's next leader for about as long."""

_ASK_S = 0.4
"""For a host's answer: an overlay spans a site."""

_CHECK_S = 5.0
"""How often it is looked whether the settings are still the same."""

_AGAIN_S = 2.0
_SOON_S = 0.5
_GRAVE_S = 60.0
"""So long the API server may be away before `edge-overlay status` tells of it."""

_SERVER_ERROR = 500
"""From here on HTTP's status says that it may be tried again. Below it: the lease is another one
than was seen (409 Conflict, 404 Not Found), or it is not ours to write."""


@dataclass(frozen=True)
class _Seen:
    """A lease was written; None: it is no more."""

    lease: str
    record: Record | None


@dataclass(frozen=True)
class _State:
    """How a watch fares: "" when it stands, else why not."""

    lease: str
    trouble: str


def run(path: Path, notices: Path) -> int:
    """Watch until the settings at `path` are others, or gone. Returns an exit code.

    Raises ValueError if they can't be read.
    """
    settings = read(path)
    if settings is None:
        log.info("there is no kube-vip of ours here: no lease is watched")
        return 0
    log.info("a lease of kube-vip that is not renewed for %.1f s is given up if its holder's host "
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


def answers(address: str, port: int, timeout: float = _ASK_S) -> bool:
    """Return whether a host answers at all: a port that is closed is an answer, too."""
    try:
        socket.create_connection((address, port), timeout).close()
    except ConnectionRefusedError:
        return True
    except OSError:
        return False
    return True


@dataclass
class Watch:
    """Leases, their holders' hosts, and what is known of both.

    `report` gets what `edge-overlay status` is to show. `ask` says whether a host answers.
    """

    settings: Settings
    report: Callable[[tuple[str, ...]], None]
    ask: Callable[[str, int], bool] = answers
    _events: queue.SimpleQueue[_Seen | _State] = field(default_factory=queue.SimpleQueue)
    _trackers: dict[str, Tracker] = field(default_factory=dict)
    _addresses: dict[str, str] = field(default_factory=dict)
    """Of holders: their nodes' overlay addresses."""
    _silences: dict[str, Silence] = field(default_factory=dict)
    """By holder."""
    _since: dict[str, float] = field(default_factory=dict)
    """By lease, since when its watch does not stand."""
    _said: dict[str, str] = field(default_factory=dict)
    """By lease, what was last logged of a release that failed."""
    _api: ApiServer | None = None
    _reported: tuple[str, ...] = ()
    _stopped: threading.Event = field(default_factory=threading.Event)

    def start(self) -> None:
        """Start a thread for each lease."""
        for name in LEASES:
            self._trackers[name] = Tracker(self.settings.patience, self.settings.retry)
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
        overdue = [(name, one, one.record) for name, one in self._trackers.items()
                   if one.record and one.until_overdue(now) == 0.0]  # fmt: skip
        for holder in {record.holder for _, _, record in overdue}:
            self._ask(holder, min(one.until_due(now) for _, one, _ in overdue))
        for name, tracker, record in overdue:
            if tracker.until_due(time.monotonic()) == 0.0:
                self._judge(name, tracker, record)

    def _pause(self, now: float) -> float:
        moments = [_CHECK_S]
        for one in self._trackers.values():
            wait = one.until_overdue(now)
            if wait is None or one.record is None:
                continue
            if wait > 0:
                moments.append(wait)
                continue
            moments.append(max(0.0, self._silence(one.record.holder).next - now))
            if one.until_due(now) > 0:
                moments.append(one.until_due(now))
        return min(moments)

    def _silence(self, holder: str) -> Silence:
        return self._silences.setdefault(holder, Silence(self.settings.retry))

    def _take(self, event: _Seen | _State) -> None:
        now = time.monotonic()
        if isinstance(event, _State):
            self._note(event, now)
            return
        self._trackers[event.lease].seen(event.record, now)
        if event.record is None or not event.record.holder:
            return
        self._silences.pop(event.record.holder, None)
        if event.record.holder not in self._addresses:
            self._learn(event.record.holder)

    def _note(self, event: _State, now: float) -> None:
        if not event.trouble:
            if self._since.pop(event.lease, None) is not None:
                log.info("the lease %s is watched again", event.lease)
            self._addresses.clear()  # they are asked for anew, now and then
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
            self.report(problems)

    def _learn(self, holder: str) -> None:
        """Ask for the holder's address while the API server answers."""
        try:
            node = self._server().get(f"/api/v1/nodes/{holder}")
            found = [one["address"] for one in node["status"]["addresses"]
                     if one["type"] == "InternalIP"]  # fmt: skip
            self._addresses[holder] = found[0]
        except (KeyError, TypeError, IndexError):
            log.debug("the node %s has no address", holder)
        except (OSError, ValueError) as error:
            self._api = None
            log.debug("the address of %s is not known: %s", holder, error)

    def _ask(self, holder: str, left: float) -> None:
        """Ask the holder's host, unless that would only delay what is certain."""
        silence, began = self._silence(holder), time.monotonic()
        if silence.next > began or (0 < left < _ASK_S and silence.is_sure(began)):
            return
        if holder not in self._addresses:
            self._learn(holder)
        address = self._addresses.get(holder)
        # A host whose address nobody knows is taken for one that lives.
        answered = address is None or self.ask(address, self.settings.port)
        silence.asked(began, time.monotonic(), answered=answered)

    def _judge(self, name: str, tracker: Tracker, record: Record) -> None:
        """Give a lease that is due up, if the holder's host is surely silent."""
        now = time.monotonic()
        silence = self._silence(record.holder)
        if not silence.is_sure(now):
            return
        try:
            self._server().put(f"{_PATH}/{name}", released(record, datetime.now(UTC)))
        except (OSError, ValueError) as error:
            self._api = None
            tracker.over = isinstance(error, Refused) and error.status < _SERVER_ERROR
            silence.next = time.monotonic() + _SOON_S
            self._say_once(name, f"the lease {name} of {record.holder} is not given up: {error}")
        else:
            tracker.over = True
            log.warning("%s is gone: it has not renewed the lease %s for %.1f s, and %s does not "
                        "answer; the lease is given up", record.holder, name,
                        now - tracker.renewed, self._addresses[record.holder])  # fmt: skip

    def _say_once(self, lease: str, text: str) -> None:
        if self._said.get(lease) != text:
            self._said[lease] = text
            log.info("%s", text)

    def _server(self) -> ApiServer:
        """With the credentials of now: certificates are made anew once a year."""
        if self._api is None:
            self._api = _server(self.settings)
        return self._api

    def _follow(self, lease: str) -> None:
        while not self._stopped.is_set():
            try:
                events = _server(self.settings).watch(_PATH, lease)
                self._events.put(_State(lease, ""))
                for kind, document in events:
                    self._events.put(_Seen(lease, _record(kind, document)))
                    if self._stopped.is_set():
                        return
            except FileNotFoundError:
                self._stopped.wait(_AGAIN_S)  # Kubernetes is not set up here yet
            except (OSError, ValueError, KeyError, TypeError) as error:
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
    given = credentials(settings.kubeconfig)
    return ApiServer(settings.address, settings.port, given, _TIMEOUT_S)
