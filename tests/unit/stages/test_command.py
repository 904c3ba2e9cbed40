"""`edge-overlay run-stage` and `check` as a person calls them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from overlay_runtime.cli import main


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("oem", "usr/lib/edge-overlay"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def call(root: Path, *words: str) -> int:
    return main([*words[:1], "--root", str(root), *words[1:]])


def test_dry_run_shows_the_order_and_does_nothing(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "oem/1.yaml").write_text(
        "stages:\n  boot:\n  - {name: a, files: [{path: /x}], if: 'true'}\n"
        "  - {name: b, after: [{name: nix}]}\n  boot.after: [{commands: [x]}]\n"
    )
    assert call(root, "run-stage", "boot", "--dry-run") == 1
    assert capsys.readouterr().out.splitlines() == [
        "boot 1. step `a` of /oem/1.yaml:3:5: if, files",
        "boot ✗ step `b` of /oem/1.yaml:4:5: not run: `after` at line 4 names `nix`, which is no "
        "step of this stage in its directory",
        "boot.after 1. step `0` of /oem/1.yaml:5:16: commands",
    ]
    assert not (root / "x").exists()


def test_exit_codes(root: Path) -> None:
    (root / "oem/1.yaml").write_text(
        "stages:\n  boot: [{environment: {A: b}, environment_file: /x}]\n  fs: [{files: [{}]}]\n"
    )
    assert call(root, "run-stage", "boot") == 0
    assert (root / "x").exists()
    assert call(root, "run-stage", "boot", "fs") == 1
    assert call(root, "run-stage", "../etc") == 64


def test_check_tells_status(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (root / "usr/lib/edge-overlay/user-data").write_text(
        "#cloud-config\noverlay: {secret: 0123456789abcdef-x}\nhostnames: x\n"
    )
    assert call(root, "check") == 1
    assert "unknown key `hostnames`" in capsys.readouterr().out
    notice = json.loads((root / "run/edge-overlay/notices/user-data.json").read_text())
    [problem] = notice["problems"]
    assert problem.startswith("user-data: ")
    assert "user-data:3:1: unknown key `hostnames`" in problem
