"""Builds that fail: one clear sentence, the right exit code, nothing left, nothing lost."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder.workspace import temporary_tree
from tests.image.conftest import COMMAND, REPOSITORY, Outcome, edge_build

pytestmark = pytest.mark.image


def assert_one_error(outcome: Outcome, status: int, *words: str) -> None:
    assert outcome.status == status, outcome.err
    assert outcome.err.count("edge-build: error: ") == 1
    assert "Traceback" not in outcome.err
    for word in words:
        assert word in outcome.err


def leftovers(directory: Path) -> list[Path]:
    """Temporary trees, half files, and mounts below a directory."""
    mounts = [Path(line.split()[1]) for line in Path("/proc/self/mounts").read_text().splitlines()]
    found = [mount for mount in mounts if mount.is_relative_to(directory)]
    return [*found, *directory.rglob("work-*"), *directory.rglob(".*.part-*")]


@pytest.fixture
def place(tmp_path: Path, user_data: Path) -> Iterator[tuple[Path, list[str | Path]]]:
    """An output directory with an earlier good ISO in it, and the words of a build into it."""
    out, cache = tmp_path / "out", tmp_path / "cache"
    out.mkdir()
    (out / "edge-installer.iso").write_text("the good one")
    words: list[str | Path] = ["image", "--user-data", user_data, "--output", out]
    yield tmp_path, [*words, "--cache-dir", cache]
    assert (out / "edge-installer.iso").read_text() == "the good one"
    assert leftovers(tmp_path) == []


Place = tuple[Path, list[str | Path]]


def test_unreachable_mirror(place: Place) -> None:
    started = time.monotonic()
    failed = edge_build(*place[1], "--mirror", "http://127.0.0.1:9/debian")
    assert_one_error(failed, 69, "http://127.0.0.1:9/debian", "Connection refused", "--mirror")
    assert time.monotonic() - started < 10


def test_mirror_that_is_none(place: Place) -> None:
    (place[0] / "dists" / "trixie").mkdir(parents=True)
    (place[0] / "dists" / "trixie" / "InRelease").write_text("<html>log in to the hotel</html>")
    failed = edge_build(*place[1], "--mirror", f"file://{place[0]}")
    assert_one_error(failed, 69, "is not a Debian release index")


def test_no_root(place: Place) -> None:
    """Found before anything is fetched or written."""
    place[0].chmod(0o777)
    for path in (place[0], *place[0].parents[:2]):
        path.chmod(path.stat().st_mode | 0o011)
    home = place[0] / "home"
    for directory in (home, place[0] / "out"):
        directory.mkdir(exist_ok=True)
        directory.chmod(0o777)
    user_data = home / "user-data.yaml"
    shutil.copy(str(place[1][2]), user_data)
    user_data.chmod(0o644)
    words = [user_data if word == place[1][2] else word for word in place[1]]
    before = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    failed = edge_build(*words, before=before, env={"HOME": str(home)})
    assert_one_error(failed, 77, "needs root", "sudo")


def test_missing_tools_are_named_with_their_packages(place: Place) -> None:
    tools = place[0] / "bin"
    tools.mkdir()
    failed = edge_build(*place[1], env={"PATH": str(tools)})
    assert_one_error(failed, 69, "xorriso", "mksquashfs", "apt-get install", "squashfs-tools")


def test_unknown_package_shows_what_apt_said(place: Place) -> None:
    failed = edge_build(*place[1], "--package", "no-such-package-anywhere")
    assert_one_error(failed, 70, "mmdebstrap failed", "no-such-package-anywhere", "whole log: ")
    log = Path(failed.err.rsplit("whole log: ", 1)[1].strip())
    assert "mmdebstrap" in log.read_text()


def test_no_room_is_said_before_work(place: Place) -> None:
    small = place[0] / "small"
    small.mkdir()
    mount = f"mount -t tmpfs -o size=64M tmpfs {small} && exec "
    words = [*place[1][:-1], small]
    before = ["unshare", "--mount", "sh", "-c", mount + '"$@"', "sh"]
    assert_one_error(edge_build(*words, before=before), 74, "MiB", "free")


def test_disk_that_fills_up_under_way(place: Place) -> None:
    """Room enough at the start, none in the middle: another process takes it."""
    small = place[0] / "small"
    small.mkdir()
    script = (
        f"mount -t tmpfs -o size=1600M tmpfs {small} && mkdir {small}/cache && "
        f"(while [ ! -d {small}/cache/work ]; do sleep 0.1; done; sleep 3; "
        f"free=$(df --output=avail -B1M {small} | tail -n 1); "
        # The build goes on writing: where it was quicker, whatever is left is taken.
        f"fallocate -l $((free - 9))M {small}/taken || head -c $((free))M /dev/zero "
        f">> {small}/taken) 2>/dev/null & "
        f'sleep 0.5; "$@"; status=$?; echo left: $(ls -A {small}/cache/work) >&2; exit $status'
    )
    words = [*place[1][:-1], small / "cache"]
    failed = edge_build(*words, before=["unshare", "--mount", "sh", "-c", script, "sh"])
    assert failed.status == 74, failed.err
    assert "the disk filled up" in failed.err
    assert failed.err.endswith("left:\n")


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_in_the_middle(place: Place, how: signal.Signals) -> None:
    words = [*COMMAND, *map(str, place[1])]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, cwd=REPOSITORY) as build:
        deadline = time.monotonic() + 60
        while not list(place[0].glob("cache/work/work-*/root/var/lib/dpkg")):
            assert time.monotonic() < deadline, "mmdebstrap did not start"
            assert build.poll() is None
            time.sleep(0.1)
        build.send_signal(how)
        _, said = build.communicate(timeout=60)
    assert build.returncode == 130
    assert "interrupted" in said
    assert "Traceback" not in said
    running = subprocess.run(["pgrep", "-f", str(place[0])], check=False, capture_output=True)
    assert running.stdout == b"", "tools are still running"


def test_two_builds_of_one_output(place: Place) -> None:
    lock = place[0] / "out" / ".edge-installer.lock"
    # A group of its own: the one that sleeps has the lock as well.
    with subprocess.Popen(["flock", lock, "sleep", "60"], start_new_session=True) as holder:
        while not lock.exists():
            time.sleep(0.05)
        try:
            failed = edge_build(*place[1], env={"EDGE_BUILD_CACHE_DIR": ""})
        finally:
            os.killpg(holder.pid, signal.SIGTERM)
    assert_one_error(failed, 75, "another build")


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_ended_while_packages_are_installed(user_data: Path, tmp_path: Path, how: int) -> None:
    """dpkg at work, /proc and /dev mounted; the cache named by a relative path."""
    words = [*COMMAND, "image", "--user-data", str(user_data), "--cache-dir", "a cache"]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    log = tmp_path / "build" / "edge-installer.log"
    with subprocess.Popen(
        words, stderr=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    ) as build:
        deadline = time.monotonic() + 120
        while not (log.exists() and "I: installing remaining" in log.read_text()):
            assert time.monotonic() < deadline, "mmdebstrap did not come so far"
            assert build.poll() is None
            time.sleep(0.1)
        time.sleep(1)
        build.send_signal(how)
        _, said = build.communicate(timeout=60)
    assert build.returncode == (130 if how == signal.SIGTERM else -signal.SIGKILL)
    assert "Traceback" not in said
    deadline = time.monotonic() + 10
    while at_work := running_below(tmp_path):
        assert time.monotonic() < deadline, f"still running: {at_work}"
        time.sleep(0.1)
    if how == signal.SIGKILL:  # nobody could clean up; the next build does
        with temporary_tree(tmp_path / "a cache" / "work"):
            pass
    assert leftovers(tmp_path) == []


def running_below(directory: Path) -> list[str]:
    """Command lines of processes that work in or on `directory`."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            root = (process / "root").readlink()
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if root.is_relative_to(directory) or f"{directory}" in command:
            found.append(command)
    return found


def test_refresh_needs_the_mirror(output: Path, user_data: Path, tmp_path: Path) -> None:
    """CI that asks for the security updates of today doesn't get yesterday's base."""
    assert (output / "edge-installer.iso").exists()
    words: list[str | Path] = ["image", "--user-data", user_data, "--output", tmp_path]
    failed = edge_build(*words, "--refresh", env={"http_proxy": "http://127.0.0.1:9"})
    assert_one_error(failed, 69, "can't be reached")
    assert not (tmp_path / "edge-installer.iso").exists()


def test_no_docker_is_said_before_work(place: Place) -> None:
    failed = edge_build(*place[1], "--load", env={"DOCKER_HOST": "unix:///nonexistent"})
    assert_one_error(failed, 69, "no Docker daemon answers")
    assert not (place[0] / "cache" / "work").exists()


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (["--user-data", "/nonexistent"], 66, "No such file"),
        (["--user-data", "/"], 66, "directory"),
        (["--user-data", "/dev/zero"], 65, "longer than"),
        (["--user-data", "/dev/null"], 65, "#cloud-config"),
        (["--config", "/nonexistent"], 66, "No such file"),
        (["--name", "../x"], 65, "file name"),
        (["--name", "x" * 300], 65, "file name"),
        (["--cidr", "10.1.0.1/24"], 65, "10.1.0.0/24"),
        (["--hostname", "a\nb"], 65, "RFC 1123"),
        (["--tag", "foo:1:2/"], 65, "image reference"),
        (["--mirror", "http://localhost:abc/"], 69, "mirror"),
        (["--output", "/dev/null"], 73, "/dev/null"),
        (["--format", "qcow2"], 2, "qcow2"),
        (["--cache-dir", ""], 2, "cache-dir"),
    ],
)
def test_clumsy_words(place: Place, words: list[str], status: int, said: str) -> None:
    failed = edge_build(*place[1], *words)
    assert failed.status == status, failed.err
    assert said in failed.err
    assert "Traceback" not in failed.err
