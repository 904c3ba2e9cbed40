"""`git` with the real program, on this machine's own root: all paths are the test's."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from overlay_runtime.paths import find_paths
from overlay_runtime.stages.host import LiveHost
from overlay_runtime.stages.limits import Limits
from overlay_runtime.stages.runner import Result, run_stage
from overlay_runtime.stages.tree import Tree

_WHO = ["-c", "user.name=t", "-c", "user.email=t@example.org"]


def git(place: Path, *words: str) -> None:
    subprocess.run(["git", "-C", place, *_WHO, *words], check=True, timeout=30, capture_output=True)


@pytest.fixture
def origin(tmp_path: Path) -> Path:
    place = tmp_path / "origin"
    place.mkdir()
    git(place, "init", "--initial-branch", "master")
    commit(place, "one")
    return place


def commit(place: Path, text: str) -> None:
    (place / "file").write_text(text)
    git(place, "add", "file")
    git(place, "commit", "-m", text)


def run(tmp_path: Path, keys: str) -> Result:
    """Run the step from user-data of the test's."""
    user_data = tmp_path / "user-data"
    user_data.write_text(f"#cloud-config\nstages: {{git-test: [{{git: {{{keys}}}}}]}}\n")
    paths = replace(find_paths("/", str(tmp_path / "run"), str(tmp_path)), embedded=user_data)
    host = LiveHost(Path("/"))
    host.tree = Tree(Path("/"), scratch=str(tmp_path / "scratch"))
    return run_stage("git-test", paths, host, Limits(20, 30))


def test_cloned_and_brought_up_to_date(tmp_path: Path, origin: Path) -> None:
    keys = f"url: '{origin}', path: '{tmp_path}/a/clone', branch_only: true"
    assert run(tmp_path, keys).sentences() == []
    file = tmp_path / "a/clone/file"
    assert file.read_text() == "one"
    commit(origin, "two")
    file.write_text("changed here")
    assert run(tmp_path, keys).sentences() == []
    assert file.read_text() == "two"


def test_another_branch(tmp_path: Path, origin: Path) -> None:
    git(origin, "checkout", "-b", "next")
    commit(origin, "three")
    assert run(tmp_path, f"url: '{origin}', path: '{tmp_path}/c', branch: next").sentences() == []
    assert (tmp_path / "c/file").read_text() == "three"


def test_no_repository_and_no_secret_is_told(tmp_path: Path) -> None:
    said = run(
        tmp_path,
        f"url: 'http://you:geheim@127.0.0.1:9/x', path: '{tmp_path}/c', "
        "auth: {username: me, password: geheim}",
    ).sentences()
    assert "`git` failed: git clone failed with exit code 128" in said[0]
    assert "geheim" not in said[0]
    assert list((tmp_path / "scratch").iterdir()) == [], "the program that answers is gone"
