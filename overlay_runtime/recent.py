"""A dictionary that can't grow without end: what comes from the network is kept in it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import TypeVar

_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class Recent(dict[_Key, _Value]):
    """Holds the `most` entries that were last put; the oldest goes for a new one."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def put(self, key: _Key, value: _Value) -> _Value:
        """Set an entry, make it the newest, and return it."""
        self.pop(key, None)
        self[key] = value
        if len(self) > self._most:
            del self[next(iter(self))]
        return value
