"""yip's own rendering, where there is Go."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.yip.render import program


@pytest.fixture(scope="session")
def yip() -> Path:
    reason = program.missing()
    if reason:
        pytest.skip(reason)
    return program.build()
