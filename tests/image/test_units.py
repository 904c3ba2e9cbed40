"""What the services may do on the host, as systemd judges it."""

from __future__ import annotations

import subprocess

import pytest

from tests.image.conftest import REPOSITORY

UNITS = REPOSITORY / "image-templates/edge/usr/lib/systemd/system"


@pytest.mark.image
@pytest.mark.parametrize(
    "unit",
    [
        "edge-overlay",
        "edge-overlay-check",
        "edge-overlay-gather",
        "edge-overlay-kubernetes",
        "edge-overlay-network",
        "edge-overlay-network-watch",
        "edge-overlay-vip",
    ],
)
def test_a_service_has_little_more_than_it_needs(unit: str) -> None:
    words = ["systemd-analyze", "security", "--offline=true", "--threshold=40", "--no-pager"]
    done = subprocess.run(
        [*words, UNITS / f"{unit}.service"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "Overall exposure level" in done.stdout
