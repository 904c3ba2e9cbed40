"""Files that are none, directories without end, links of others: nothing hangs or misleads."""

from __future__ import annotations

import os
import tracemalloc
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from overlay_runtime.cli import main
from overlay_runtime.notices import told
from overlay_runtime.paths import Paths, find_paths
from overlay_runtime.stages.host import LiveHost
from overlay_runtime.stages.limits import Limits
from overlay_runtime.stages.prepare import expect_all, prepare
from overlay_runtime.stages.process import Done
from overlay_runtime.stages.runner import run_stage
from overlay_runtime.stages.tree import Tree
from overlay_runtime.stages.units import after_early_stages, units_state
from overlay_runtime.userdata.stepnames import step_names

STAGE = "stages: {boot: [{commands: [x]}]}\n"
ALL = {"rootfs", "initramfs", "fs", "boot", "network", "reconcile"}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("oem", "run", "tmp", "etc"):
        (tmp_path / name).mkdir()
    (tmp_path / "oem/50.yaml").write_text(STAGE)
    return tmp_path


def paths(root: Path) -> Paths:
    return find_paths(str(root), str(root / "run/edge-overlay"), str(root / "var"))


def stages(root: Path) -> set[str]:
    return {path.name for path in paths(root).stages.iterdir()}


def problems(root: Path) -> list[str]:
    return [text for notice in told(paths(root).notices) for text in notice.problems]


@pytest.mark.timeout(20)
def test_a_pipe_and_a_device_in_the_place_of_a_file(root: Path) -> None:
    os.mkfifo(root / "oem/10.yaml")
    (root / "oem/20.yaml").symlink_to("/pipe")
    os.mkfifo(root / "pipe")
    prepare(str(root), paths(root))
    assert stages(root) == {"boot"}
    assert len([text for text in problems(root) if "is a device or a pipe" in text]) == 2


@pytest.mark.timeout(20)
def test_directories_without_end(root: Path) -> None:
    before = Path.cwd()
    os.chdir(root / "oem")
    try:
        for _ in range(200):
            Path("10").mkdir()
            os.chdir("10")
    finally:
        os.chdir(before)
    prepare(str(root), paths(root))
    assert stages(root) == {"boot"}
    [said] = problems(root)
    assert "more than 20 directories below each other" in said


def test_what_gather_may_not_read_the_stages_look_for_themselves(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """gather's unit has no CAP_DAC_OVERRIDE: a file of another owner with 0600 is closed to it. The
    user who runs the tests may be root, so the refusal is made."""
    (root / "oem/10.yaml").write_text(STAGE)
    read = Tree.read

    def refusing(tree: Tree, path: str) -> bytes:
        if path.endswith("10.yaml"):
            raise PermissionError(13, "Permission denied", path)
        return read(tree, path)

    monkeypatch.setattr(Tree, "read", refusing)
    prepare(str(root), paths(root))
    assert stages(root) == ALL


def test_a_gather_that_is_killed_leaves_all_stages(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time limit ends it while it looks for a volume; the stages must run all the same."""

    class Killed(BaseException):
        pass

    def killed(_: Path) -> None:
        raise Killed

    monkeypatch.setattr("overlay_runtime.config.sources.find_volume", killed)
    monkeypatch.setenv("EDGE_OVERLAY_RUN_DIR", str(root / "run/edge-overlay"))
    with pytest.raises(Killed):
        main(["gather", "--root", str(root), "--identity", "me"])
    assert stages(root) == ALL
    expect_all(paths(root))
    assert stages(root) == ALL
    prepare(str(root), paths(root))
    assert stages(root) == {"boot"}


@pytest.mark.parametrize(("mode", "owner", "followed"), [
    (0o1777, 1000, False), (0o1777, 0, True), (0o755, 1000, True), (0o777, 1000, True),
])  # fmt: skip
def test_links_that_others_laid_in_tmp(
    root: Path, monkeypatch: pytest.MonkeyPatch, mode: int, owner: int, followed: bool
) -> None:
    """As the kernel with fs.protected_symlinks: only in sticky directories of everybody's."""
    (root / "tmp").chmod(mode)
    (root / "tmp/x").symlink_to("/etc/passwd")
    if os.geteuid() == 0:
        os.lchown(root / "tmp/x", owner, -1)
    else:  # who is not root can't give a link away: another pair of owners that differ
        monkeypatch.setattr(os, "geteuid", lambda: 0)
        tmp, stat = root / "tmp", Path.stat
        monkeypatch.setattr(Path, "stat", lambda path, **how: os.stat_result(
            (*stat(path, **how)[:4], 0 if owner else os.getuid(), *stat(path, **how)[5:])
        ) if path == tmp else stat(path, **how))  # fmt: skip
    tree = Tree(root)
    if followed:
        tree.write("/tmp/x", b"content")
        assert (root / "etc/passwd").read_bytes() == b"content"
    else:
        with pytest.raises(PermissionError, match="somebody else's symbolic link"):
            tree.write("/tmp/x", b"content")
        assert not (root / "etc/passwd").exists()


@pytest.mark.timeout(10)
def test_names_of_very_many_steps() -> None:
    names = [f"n{number}" for number in range(60_000)]
    assert step_names(["a"], names, implied=True)[-1][0] == "a.n59999"


@pytest.mark.parametrize(("path", "told"), [
    ("etc/netplan/99.yaml", True), ("etc/systemd/system/x.service", True), ("etc/hosts", False),
])  # fmt: skip
def test_systemd_reads_again_what_an_early_stage_brought(root: Path, path: str, told: bool) -> None:
    """Also for netplan's files, of which a generator makes networkd's."""
    ran: list[Sequence[str]] = []

    class Host(LiveHost):
        def run(
            self, words: Sequence[str], limit: float, environment: Mapping[str, str] | None = None
        ) -> Done:
            assert limit > 0, environment
            ran.append(words)
            return Done(0)

    host = Host(root)
    before = units_state(host.tree)
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text("")
    after_early_stages(host, ["rootfs", "initramfs"], before)
    assert (["systemctl", "daemon-reload"] in ran) == told


def test_a_download_is_never_whole_in_memory(root: Path) -> None:
    """And comes to its place as a whole, with the old file's permissions."""
    (root / "big").touch()
    os.truncate(root / "big", 96 << 20)
    (root / "etc/got").write_text("old")
    (root / "etc/got").chmod(0o640)
    item = "{url: 'file:///big', path: /etc/got}"
    (root / "oem/50.yaml").write_text(f"stages: {{boot: [{{downloads: [{item}]}}]}}\n")
    tracemalloc.start()
    try:
        result = run_stage("boot", paths(root), LiveHost(root), Limits(30, 60))
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert result.sentences() == []
    about = (root / "etc/got").stat()
    assert (about.st_size, about.st_mode & 0o777) == (96 << 20, 0o640)
    assert most < 20 << 20
    assert sorted(path.name for path in (root / "etc").iterdir()) == ["got"]
