"""A document's values without their places, as JSON has them."""

from __future__ import annotations

from typing import Any

from overlay_runtime.config.document import Value


def plain(value: Value) -> Any:
    """Return the value as dicts, lists and scalars."""
    if isinstance(value.data, dict):
        return {name: plain(entry.value) for name, entry in value.data.items()}
    if isinstance(value.data, tuple):
        return [plain(one) for one in value.data]
    if isinstance(value.data, float) and not abs(value.data) < float("inf"):
        return value.written  # JSON has neither infinity nor NaN
    return value.data
