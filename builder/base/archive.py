"""The Debian archive as an input: where it is, and which state of it a base is made from."""

from __future__ import annotations

import email.utils
import hashlib
import http.client
import json
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from builder.cache import digest
from builder.errors import UnavailableError
from builder.workspace import atomic_file

FETCH_TIMEOUT_S = 15.0
_RELEASE_LIMIT = 4 << 20


@dataclass(frozen=True)
class Source:
    """One line of sources.list: an archive's URI, a suite of it, its components."""

    uri: str
    suite: str
    components: tuple[str, ...]

    @property
    def line(self) -> str:
        """As sources.list(5) has it."""
        return f"deb {self.uri} {self.suite} {' '.join(self.components)}"

    @property
    def release_url(self) -> str:
        """The signed index of the suite: changes when anything in the suite changes."""
        return f"{self.uri.rstrip('/')}/dists/{self.suite}/InRelease"


@dataclass(frozen=True)
class ArchiveState:
    """What the archive held: SHA-256 of each InRelease by its URL, and its newest date.

    `date` is in seconds since 1970 (it becomes SOURCE_DATE_EPOCH of what is built from it).
    """

    releases: Mapping[str, str]
    date: int


def current_state(
    sources: tuple[Source, ...], stamp_dir: Path, max_age_s: float
) -> tuple[ArchiveState, float]:
    """The archive's state, and how old that knowledge is in seconds (0: asked just now).

    The archive is asked again when the last answer is older than `max_age_s`; raises
    UnavailableError if it can't be reached.
    """
    known = last_state(sources, stamp_dir)
    if known and known[1] <= max_age_s:
        return known
    state = _fetch(sources)
    record = json.dumps({"asked": time.time(), **asdict(state)})
    with atomic_file(_stamp(sources, stamp_dir)) as path:
        path.write_text(record)
    return state, 0.0


def last_state(sources: tuple[Source, ...], stamp_dir: Path) -> tuple[ArchiveState, float] | None:
    """The state that the archive last answered with, and its age in seconds, if there is one."""
    try:
        record = json.loads(_stamp(sources, stamp_dir).read_text())
        state = ArchiveState(dict(record["releases"]), int(record["date"]))
        age = time.time() - float(record["asked"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return state, age if age >= 0 else float("inf")


def _stamp(sources: tuple[Source, ...], stamp_dir: Path) -> Path:
    return stamp_dir / f"archive-{digest([s.line for s in sources])[:16]}.json"


def _fetch(sources: tuple[Source, ...]) -> ArchiveState:
    releases: dict[str, str] = {}
    newest = 0
    for source in sources:
        content = _download(source.release_url)
        releases[source.release_url] = hashlib.sha256(content).hexdigest()
        newest = max(newest, _date(content, source.release_url))
    return ArchiveState(releases, newest)


def _date(release: bytes, url: str) -> int:
    """Seconds since 1970 of a release index."""
    found = re.search(rb"^Date: (.+)$", release, re.MULTILINE)
    try:
        text = found[1].decode() if found else ""
        return int(email.utils.parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError):
        raise UnavailableError(
            f"{url} is not a Debian release index",
            "check base.mirror in edge.yaml: it must be a Debian archive's top directory",
        ) from None


def _download(url: str) -> bytes:
    try:
        with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as answer:
            content: bytes = answer.read(_RELEASE_LIMIT)
            return content
    except urllib.error.HTTPError as error:
        raise UnavailableError(
            f"the Debian mirror has no {url} (HTTP {error.code})",
            "check base.mirror and base.suite in edge.yaml",
        ) from error
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise UnavailableError(
            f"the Debian mirror can't be reached: {url}: {reason}",
            "check the network, a proxy (http_proxy), or name another mirror: --mirror URL",
        ) from error
