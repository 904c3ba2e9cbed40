"""Small ways of looking into a document that may hold anything."""

from __future__ import annotations

from collections.abc import Iterator

from overlay_runtime.config.document import Entry, Value


def entries(value: Value | None) -> dict[str, Entry]:
    """Return a mapping's entries; of anything else none."""
    return value.data if value is not None and isinstance(value.data, dict) else {}


def child(value: Value | None, *path: str) -> Value | None:
    """Return what stands below, or None."""
    for name in path:
        entry = entries(value).get(name)
        if entry is None:
            return None
        value = entry.value
    return value


def items(value: Value | None) -> tuple[Value, ...]:
    """Return a list's items; of anything else none."""
    return value.data if value is not None and isinstance(value.data, tuple) else ()


def text(value: Value | None) -> str:
    """Return a scalar's text as it is written; of anything else nothing."""
    if value is None or value.data is None or isinstance(value.data, dict | tuple):
        return ""
    return value.written.strip()


def texts(value: Value | None) -> Iterator[tuple[Value, str]]:
    """Yield the items of a list that are text, or the text itself."""
    for item in items(value) or ((value,) if value is not None else ()):
        if text(item):
            yield item, text(item)
