"""What the commands know before they look at Kubernetes: user-data, Kairos's keys, the status."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overlay_runtime.config.cluster import Cluster
from overlay_runtime.config.document import Value, read_document
from overlay_runtime.config.kairos import files, is_kairos
from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.config.load import load, read_text
from overlay_runtime.errors import ConfigError
from overlay_runtime.paths import Paths
from overlay_runtime.status import alive, read_status

KAIROS_KEYS = ("k3s", "k3s-agent", "kubevip", "cluster", "stylus")


@dataclass(frozen=True)
class Facts:
    """`has_block`: whether user-data has an overlay block that is right; `fault`: what is wrong if
    it is there and wrong. `status` is None while no agent runs, `last` is what one wrote last."""

    has_block: bool
    config: OverlayConfig = field(default_factory=OverlayConfig)
    fault: str = ""
    status: dict[str, Any] | None = None
    last: dict[str, Any] | None = None
    kairos: Mapping[str, Any] = field(default_factory=dict)

    @property
    def cluster(self) -> Cluster:
        """The block `kubernetes` of user-data."""
        return self.config.kubernetes

    @property
    def up(self) -> bool:
        """Whether the overlay is up at this moment."""
        return self.status is not None and self.status["state"] == "up"

    def why_not(self) -> str:
        """Say why the overlay is not up."""
        if self.fault:
            return self.fault
        told = next(iter((self.last or {}).get("problems", ())), "")
        if self.status is None:
            return f"edge-overlay.service is not running{told and ': ' + told}"
        return told or f"its state is {self.status['state']!r}"


def gather(paths: Paths) -> Facts:
    """Read everything anew. Never raises for what may lie there."""
    found = read_status(paths.status)
    status = found if found is not None and alive(found) else None
    kairos = _kairos(paths)
    try:
        loaded = load(paths)
    except ConfigError as error:
        return Facts(
            False, fault=error.problems[0].render(), status=status, last=found, kairos=kairos
        )
    if loaded.config is None:
        fault = "; ".join(loaded.problems)
        return Facts(False, fault=fault, status=status, last=found, kairos=kairos)
    return Facts(True, loaded.config, status=status, last=found, kairos=kairos)


def _kairos(paths: Paths) -> dict[str, Any]:
    """Kairos's keys: of all its files, the last one counts; else of the chosen user-data."""
    sources = list(files(paths.root)) if is_kairos(paths.root) else []
    sources += [] if sources else [paths.user_data, paths.embedded][:1]
    found: dict[str, Any] = {}
    for path in sources:
        found |= _keys(path)
    return found


def _keys(path: Path) -> dict[str, Any]:
    try:
        top = read_document(read_text(path, str(path)), str(path)).data
    except ConfigError:
        return {}
    done: dict[int, Any] = {}
    entries = top if isinstance(top, dict) else {}
    return {name: _plain(entries[name].value, done) for name in KAIROS_KEYS if name in entries}


def _plain(value: Value, done: dict[int, Any]) -> Any:
    """Without places; each value once, however many aliases lead to it."""
    if id(value) not in done:
        if isinstance(value.data, dict):
            plain: Any = {name: _plain(entry.value, done) for name, entry in value.data.items()}
        elif isinstance(value.data, tuple):
            plain = [_plain(item, done) for item in value.data]
        else:
            plain = value.data if isinstance(value.data, str | None) else value.written
        done[id(value)] = plain
    return done[id(value)]
