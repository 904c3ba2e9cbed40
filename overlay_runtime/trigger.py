"""A file that changes when the overlay does: systemd watches it, and tells Kubernetes.

The agent itself may write nowhere else (edge-overlay-kubernetes.path, and .service).
"""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

from overlay_runtime.files import write_atomic

log = logging.getLogger(__name__)


class Trigger:
    """Writes the file (0644) when what Kubernetes has to know is another than before."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last: object = None

    def tell(self, status: dict[str, Any]) -> None:
        """Take a status in, as `report.status` makes it. Never raises."""
        overlay = status["overlay"]
        what = {"state": status["state"], "address": overlay["address"], "vip": overlay["vip"]}
        if what == self._last:
            return
        self._last = what
        try:
            self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            write_atomic(self._path, json.dumps(what).encode() + b"\n", 0o644, sync=False)
        except OSError as error:
            log.warning("Kubernetes can't be told of the overlay: %s", error.strerror)
