"""What a tool that fails is told to have failed of."""

from __future__ import annotations

from pathlib import Path

import pytest

from builder.errors import DiskFullError, ToolFailedError
from builder.process import run


@pytest.mark.parametrize("said", [
    "cp: error writing 'a': No space left on device",
    "libburn : FAILURE : Image size 9s exceeds free space on media 8s",
    "E: You don't have enough free space in /work/root/var/cache/apt/archives/.",
])  # fmt: skip
def test_a_full_disk_is_known_by_what_the_tool_says(tmp_path: Path, said: str) -> None:
    with pytest.raises(DiskFullError):
        run(["sh", "-c", 'echo "$1" >&2; echo more >&2; exit 25', "sh", said], tmp_path / "log")


def test_another_failure_is_none(tmp_path: Path) -> None:
    with pytest.raises(ToolFailedError) as caught:
        run(["sh", "-c", "echo no such package >&2; exit 25"], tmp_path / "log")
    assert not isinstance(caught.value, DiskFullError)
