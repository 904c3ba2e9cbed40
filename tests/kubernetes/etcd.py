"""etcd on overlay addresses, as its members are run on control planes; all timings its defaults.

The API is the JSON gateway of the members (etcd.io, "gRPC gateway"). Every put goes through raft.
"""

from __future__ import annotations

import base64
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.kubernetes.services import Client, Service
from tests.netns.lab import Host, until

ELECTION_TIMEOUT_S = 1.0
"""etcd's --election-timeout unless set: 1000 ms, after which a follower wants a new leader."""

_PEER, _CLIENT = 2380, 2379


class Member:
    """A member of etcd on a host."""

    def __init__(self, host: Host, cluster: Sequence[Host], *, joins: bool = False) -> None:
        """`cluster`: all members that there are with it; `joins`: of a cluster that runs."""
        self.host = host
        self.address = host.address
        peers = ",".join(f"{each.name}={peer_url(each)}" for each in cluster)
        self.service = Service(host, "etcd", [
            "/usr/bin/etcd", "--name", host.name, "--data-dir", host.directory / "etcd",
            "--listen-peer-urls", peer_url(host), "--initial-advertise-peer-urls", peer_url(host),
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--initial-cluster", peers, "--initial-cluster-token", "edge",
            "--initial-cluster-state", "existing" if joins else "new", "--logger", "zap",
        ])  # fmt: skip

    @property
    def url(self) -> str:
        """Where clients come to."""
        return f"http://{self.address}:{_CLIENT}"

    def client(self, timeout: float = 5.0) -> Client:
        """A client on the host itself."""
        return Client(self.host.namespace, self.address, _CLIENT, timeout)

    def status(self) -> dict[str, Any]:
        """Leader, term, index, as the member sees them. Raises OSError."""
        return dict(self.client(1.0)("/v3/maintenance/status", {}))

    def ready(self) -> bool:
        """Whether it takes part in a cluster with a leader."""
        try:
            return int(self.status().get("leader", 0)) != 0
        except OSError:
            return False

    def keys(self, prefix: str, *, local: bool = False) -> dict[str, str]:
        """All keys with a prefix and their values; `local`: as this member has them on its disk,
        without asking the others. Raises OSError."""
        last = prefix[:-1] + chr(ord(prefix[-1]) + 1)
        found = self.client()("/v3/kv/range", {
            "key": _b64(prefix), "range_end": _b64(last), "serializable": local,
        })  # fmt: skip
        return {_text(each["key"]): _text(each["value"]) for each in found.get("kvs", [])}


def peer_url(host: Host) -> str:
    """Where the other members come to."""
    return f"http://{host.address}:{_PEER}"


def start_members(hosts: Sequence[Host]) -> list[Member]:
    """Start a member on each host and wait until all have a leader."""
    members = [Member(host, hosts) for host in hosts]
    for member in members:
        member.service.start()
    for member in members:
        until(member.ready, f"etcd of {member.host.name} is ready", 30)
    return members


def leader(members: Sequence[Member]) -> Member:
    """The member that leads. Raises AssertionError if they don't agree for ten seconds."""
    seen: dict[str, dict[str, Any]] = {}

    def agreed() -> bool:
        seen.update({member.host.name: member.status() for member in members})
        leaders = {status.get("leader") for status in seen.values()}
        return len(leaders) == 1 and None not in leaders

    until(agreed, "the members agree on the leader")
    wanted = next(iter(seen.values()))["leader"]
    return next(m for m in members if seen[m.host.name]["header"]["member_id"] == wanted)


@dataclass(frozen=True)
class Write:
    """A put: when it began and was acknowledged, `time.monotonic()`; never if that is None."""

    key: str
    value: str
    began: float
    acknowledged: float | None


class Writers:
    """One writer at each member, each put after the one before; use it as a context manager."""

    def __init__(
        self, members: Sequence[Member], pause: float = 0.02, timeout: float = 5.0
    ) -> None:
        """`pause`: seconds between an answer and the next put; `timeout`: for the answer."""
        self._pause, self._timeout = pause, timeout
        self._stop = threading.Event()
        self.members = list(members)
        self.writes: list[Write] = []
        self._threads = [threading.Thread(target=self._write, args=(m,)) for m in members]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        time.sleep(1)
        return self

    def __exit__(self, *_: object) -> None:
        time.sleep(1)
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def acknowledged(self) -> dict[str, str]:
        """Keys and values of all puts that were acknowledged."""
        return {each.key: each.value for each in self.writes if each.acknowledged is not None}

    def refused(self) -> int:
        """How many puts were not acknowledged: they may be there or not."""
        return sum(each.acknowledged is None for each in self.writes)

    def gap(self, *members: Member) -> float:
        """The longest time, in seconds, for which one of these members (all if none is named)
        acknowledged nothing, though it was asked: from when the first put was sent that it did not
        acknowledge, or the next. A writer that this busy machine keeps waiting asks nothing."""
        names = [each.host.name for each in members or self.members]
        gaps = [0.0]
        for name in names:
            own = f"w/{name}/"
            asked: float | None = None
            for write in sorted((w for w in list(self.writes) if w.key.startswith(own)),
                                key=lambda w: w.began):  # fmt: skip
                asked = write.began if asked is None else asked
                if write.acknowledged is not None:
                    gaps.append(write.acknowledged - asked)
                    asked = None
        return max(gaps)

    def lost_at(self, member: Member, *, local: bool) -> set[str]:
        """Acknowledged keys that a member doesn't have, or with another value."""
        there = member.keys("w/", local=local)
        return {key for key, value in self.acknowledged().items() if there.get(key) != value}

    def _write(self, member: Member) -> None:
        client = member.client(self._timeout)
        for number in itertools.count():
            if self._stop.wait(self._pause):
                client.close()
                return
            key, value = f"w/{member.host.name}/{number:06}", f"{number} at {time.time()}"
            began = time.monotonic()
            try:
                client("/v3/kv/put", {"key": _b64(key), "value": _b64(value)})
                acknowledged: float | None = time.monotonic()
            except OSError:
                acknowledged = None
            self.writes.append(Write(key, value, began, acknowledged))


@dataclass(frozen=True)
class Seen:
    """What a member said about leader and term at `when`, `time.time()`; 0: no leader."""

    when: float
    member: str
    leader: int
    term: int


class Watch:
    """Leader and term as each member sees them, every 50 ms; only changes are kept."""

    def __init__(self, members: Sequence[Member]) -> None:
        self._stop = threading.Event()
        self.seen: list[Seen] = []
        self._threads = [threading.Thread(target=self._look, args=(m,)) for m in members]

    def __enter__(self) -> Watch:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def terms(self) -> set[int]:
        """All terms that were seen: one, if there was no election at all."""
        return {each.term for each in self.seen}

    def leaders(self) -> set[int]:
        """All leaders that were seen; 0 if a member was without one."""
        return {each.leader for each in self.seen}

    def _look(self, member: Member) -> None:
        client = member.client(1.0)
        last: tuple[int, int] | None = None
        while not self._stop.wait(0.05):
            try:
                status = client("/v3/maintenance/status", {})
            except OSError:
                continue
            now = int(status.get("leader", 0)), int(status["raftTerm"])
            if now != last:
                self.seen.append(Seen(time.time(), member.host.name, *now))
                last = now
        client.close()


def assert_nothing_lost(writers: Writers, members: Sequence[Member]) -> None:
    """Every acknowledged write is in the cluster, and on every member's own disk."""
    assert len(writers.acknowledged()) > 50
    for member in members:
        assert writers.lost_at(member, local=False) == set()
        until(_has_all(writers, member), f"{member.host.name} has caught up", 20)


def _has_all(writers: Writers, member: Member) -> Callable[[], bool]:
    return lambda: writers.lost_at(member, local=True) == set()


def _b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def _text(data: str) -> str:
    return base64.b64decode(data).decode()
