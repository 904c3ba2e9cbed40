"""Fixtures for the builder's unit tests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

GOOD = """\
#cloud-config
# a comment that must survive
hostname: shop-17
overlay:
  cidr: 10.142.0.0/24   # ours
  secret: 0123456789abcdef
users: []
"""


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A user-data file without a fault."""
    path = tmp_path / "user-data.yaml"
    path.write_text(GOOD)
    return path


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Writes a text to a file and returns its path."""

    def write(text: str, name: str = "edge.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text)
        return path

    return write
