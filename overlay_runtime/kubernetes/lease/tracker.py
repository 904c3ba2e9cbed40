"""When a lease is given up in the name of its holder. Knows no clock and no network.

Two things have to be true at once: the lease has not been renewed for so long that its holder gives
it up itself, and the holder's host answers nobody. A host whose API server is slow or dead still
answers. Who judges wrongly does no harm to the lease: the API server takes a release only if
nothing was written since (`resourceVersion`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

_OVERDUE = 1.25
"""In `retry-period`s: a renewal is due each."""

_ASKED = 2
"""One packet may always be lost."""

_SILENT = 2.0
"""In `retry-period`s."""

_PAUSE_S = 0.2
_RARELY_S = 10.0

Term = tuple[str, str]
"""Who holds a lease, and since when: it is another machine, perhaps, after it was got anew."""


@dataclass(frozen=True)
class Record:
    """A lease as the API has it; `version` is another one after every write."""

    holder: str
    acquired: str
    duration: int
    version: str
    document: dict[str, Any]

    @classmethod
    def of(cls, document: dict[str, Any]) -> Record:
        """Read a Lease of coordination.k8s.io/v1. Raises KeyError or TypeError if it is none."""
        spec = document["spec"]
        return cls(str(spec.get("holderIdentity") or ""), str(spec.get("acquireTime")),
                   int(spec.get("leaseDurationSeconds") or 0),
                   str(document["metadata"]["resourceVersion"]), document)  # fmt: skip

    @property
    def term(self) -> Term:
        """Who holds it, and since when."""
        return self.holder, self.acquired


@dataclass
class Silence:
    """Whether a host answers. Times are in seconds of one clock; `retry` as in `settings`."""

    retry: float
    since: float = 0.0
    """When it was asked first of all times that it has not answered."""
    unanswered: int = 0
    answered: int = 0
    next: float = 0.0
    """When it is to be asked again."""

    def asked(self, began: float, ended: float, *, answered: bool) -> None:
        """Take in what came of asking it. One that lives is asked ever more rarely."""
        if answered:
            self.next = ended + min(_RARELY_S, self.retry * 2.0 ** min(self.answered, 10))
            self.answered, self.unanswered = self.answered + 1, 0
            return
        self.since = self.since if self.unanswered else began
        self.answered, self.unanswered = 0, self.unanswered + 1
        self.next = ended + _PAUSE_S

    def is_sure(self, now: float) -> bool:
        """Whether it is no packet that was lost by chance, and no short break."""
        return self.unanswered >= _ASKED and now - self.since >= _SILENT * self.retry


@dataclass
class Tracker:
    """One lease, as it is seen from here. `lease`, `patience` and `retry`: see `settings`."""

    lease: int
    patience: float
    retry: float
    record: Record | None = None
    renewed: float = 0.0
    """When it was seen to be written; it was written before that."""
    over: bool = False
    """Nothing is to be done any more before the next write."""

    def seen(self, record: Record | None, now: float) -> bool:
        """Take in the lease as the API has it now, or that there is none; return whether that is
        news. A watch that begins anew tells what was known before."""
        news = record is None or self.record is None or record.version != self.record.version
        if news:
            self.renewed, self.over = now, False
        self.record = record
        return news

    def overdue(self) -> Record | None:
        """Return the lease if it can become overdue before the next write.

        One with another duration is of a kube-vip with other timings: it is left alone.
        """
        record = self.record
        if record is None or not record.holder or self.over or record.duration != self.lease:
            return None
        return record

    def until_overdue(self, now: float) -> float:
        """Return in how many seconds its holder's host is to be asked."""
        return max(0.0, self.renewed + _OVERDUE * self.retry - now)

    def until_due(self, now: float) -> float:
        """Return for how many seconds it is still waited for a renewal."""
        return max(0.0, self.renewed + self.patience - now)
