"""Fixtures of the tests of Kubernetes' configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

_LIBRARY = Path(__file__).parents[3] / "image-templates/edge/usr/lib/edge-overlay"


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    """The files that lie beside the runtime, from the repository."""
    monkeypatch.setenv("EDGE_OVERLAY_LIBRARY", str(_LIBRARY))
