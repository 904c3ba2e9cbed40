"""The time zone of the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from overlay_runtime.gotemplate.gotime import zone
from tests.unit.gotemplate.table import ZONE


@pytest.fixture(autouse=True)
def local_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", ZONE)
    zone.local.cache_clear()
    yield
    zone.local.cache_clear()
