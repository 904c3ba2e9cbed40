"""`downloads`: files from HTTP(S) (yip, `pkg/plugins/download.go`, cavaliergopher/grab).

A file that is there is replaced as a whole. Kairos keeps one of the same length, and appends to a
shorter one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.actions.directories import clean
from overlay_runtime.stages.actions.files import store
from overlay_runtime.stages.context import Context, Refused, reason


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Fetch each file, once: as yip, without a second try."""
    for number, item in enumerate(step["downloads"], start=1):
        context.check_time()
        try:
            _download(context, item, number)
        except (OSError, ValueError, Refused) as error:
            context.failed(f"download {number} failed: {reason(error)}")
    if step["downloads"]:
        context.did(f"{len(step['downloads'])} downloads")


def _download(context: Context, item: Mapping[str, Any], number: int) -> None:
    path, limit = clean(item["path"]), context.limit(float(max(0, item["timeout"])))
    with context.tree.incoming(path) as made:
        name = context.host.fetch_into(item["url"], limit, made.file)
        if item["path"].endswith("/") or context.tree.is_dir(path):
            if not name:
                raise Refused("neither the URL nor the server names the file")
            path = f"{path.rstrip('/')}/{name}"
        store(context, path, made, item, f"download {number}")
