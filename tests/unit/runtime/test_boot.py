"""Which of Kairos's systems was booted, and whether the overlay starts there."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from overlay_runtime.boot import Boot, find_boot, why_off
from overlay_runtime.cli import main
from overlay_runtime.paths import Paths, find_paths
from overlay_runtime.service import run_service

LIVE = "cdroot root=live:CDLABEL=COS_LIVE rd.live.dir=/ rd.cos.disable install-mode"
INSTALLED = "root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img rd.cos.oemlabel=COS_OEM"


@pytest.fixture
def kairos(tmp_path: Path) -> Path:
    for folder in ("etc", "proc", "run/cos", "run/edge-overlay"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "etc/kairos-release").write_text("KAIROS_FLAVOR=debian\n")
    return tmp_path


@pytest.mark.parametrize(
    ("sentinels", "kind"),
    [
        (["live_mode"], Boot.LIVE),
        (["live_mode", "uki_install_mode"], Boot.LIVE),
        (["recovery_mode"], Boot.NORMAL),
        (["autoreset_mode"], Boot.RESET),
        (["active_mode"], Boot.NORMAL),
        (["passive_mode"], Boot.NORMAL),
        (["active_mode", "uki_boot_mode"], Boot.NORMAL),
    ],
)
def test_kaiross_own_mark_counts(kairos: Path, sentinels: list[str], kind: Boot) -> None:
    (kairos / "proc/cmdline").write_text(LIVE if kind is Boot.NORMAL else INSTALLED)
    for name in sentinels:
        (kairos / "run/cos" / name).write_text("1")
    assert find_boot(kairos) is kind


@pytest.mark.parametrize(
    ("line", "kind"),
    [
        (LIVE, Boot.LIVE),
        ("root=live:LABEL=COS_LIVE ro", Boot.LIVE),
        ("root=/dev/nfs netboot ip=dhcp", Boot.LIVE),
        (f"{LIVE} kairos.ram", Boot.NORMAL),
        (f"{LIVE} kairos.ram.oem=64", Boot.NORMAL),
        (INSTALLED, Boot.NORMAL),
        ("root=LABEL=COS_SYSTEM kairos.reset", Boot.RESET),
        ("root=LABEL=COS_RECOVERY recovery-mode", Boot.NORMAL),
        ("quiet", Boot.NORMAL),
    ],
)
def test_without_a_mark_the_command_line_counts(
    kairos: Path, line: str, kind: Boot, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("container", raising=False)
    (kairos / "proc/cmdline").write_text(line + "\n")
    assert find_boot(kairos) is kind


def test_in_a_container_the_command_line_is_the_machines(kairos: Path) -> None:
    (kairos / "proc/cmdline").write_text(LIVE)
    (kairos / ".dockerenv").touch()
    assert find_boot(kairos) is Boot.NORMAL


def test_the_debian_base_runs_it_live(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/cmdline").write_text("boot=live root=live:LABEL=EDGE")
    assert find_boot(tmp_path) is Boot.NORMAL
    assert why_off(tmp_path, False) is None


@pytest.fixture
def paths(kairos: Path) -> Paths:
    return find_paths(str(kairos))


def _run(paths: Paths, live: str) -> tuple[int, dict[str, object]]:
    block = f"#cloud-config\noverlay:\n  secret: sixteen characters\n{live}"
    paths.user_data.write_text(block)
    code = run_service(paths, "me")
    status: dict[str, object] = json.loads(paths.status.read_bytes())
    return code, status


@pytest.mark.parametrize(
    ("mark", "words"),
    [("live_mode", "doesn't say `live: true`"), ("autoreset_mode", "resetting this host")],
)
def test_it_is_off_and_says_why(
    paths: Paths, mark: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (paths.root / "run/cos" / mark).touch()
    code, status = _run(paths, "")
    assert (code, status["state"], status["problems"]) == (0, "off", [])
    assert words in str(status["reason"])
    assert main(["status", "--root", str(paths.root)]) == 1
    told = capsys.readouterr().out
    assert told.startswith("The overlay is off: ")
    assert words in told


def test_a_wrong_block_is_told_in_the_installer_already(paths: Paths) -> None:
    (paths.root / "run/cos/live_mode").touch()
    code, status = _run(paths, "  vni: x\n")
    assert (code, status["state"]) == (78, "error")


@pytest.mark.parametrize(("mark", "off"), [("live_mode", False), ("autoreset_mode", True)])
def test_asked_for_it_runs_in_the_installer(kairos: Path, mark: str, off: bool) -> None:
    (kairos / "run/cos" / mark).touch()
    assert bool(why_off(kairos, True)) is off
