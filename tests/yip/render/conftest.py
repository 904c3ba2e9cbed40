"""yip's own rendering."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.yip.render import program


@pytest.fixture(scope="session")
def yip() -> Path:
    return program.build()
