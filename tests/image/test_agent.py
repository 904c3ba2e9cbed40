"""`edge-build agent`: the real command, dpkg-deb, tar and lintian."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.image.conftest import COMMAND, REPOSITORY, USER_DATA, edge_build

pytestmark = pytest.mark.image

MADE = ("edge-overlay.deb", "edge-overlay.tar.gz")
# All but /usr/lib/edge-overlay: what acts on a host by lying there is of the overlay's links alone.
ACTING = {
    "/usr/bin/edge-overlay",
    "/usr/lib/NetworkManager/conf.d/10-edge-overlay.conf",
    "/usr/lib/sysctl.d/90-edge-overlay.conf",
    "/usr/lib/systemd/network/05-edge-overlay.link",
    "/usr/lib/systemd/network/05-edge-overlay.network",
    "/usr/lib/systemd/networkd.conf.d/10-edge-overlay.conf",
    "/usr/lib/systemd/system/edge-overlay-gather.service",
    "/usr/lib/systemd/system/edge-overlay-gather.service.d/10-agent.conf",
    "/usr/lib/systemd/system/edge-overlay-host.service",
    "/usr/lib/systemd/system/edge-overlay-kubernetes.path",
    "/usr/lib/systemd/system/edge-overlay-kubernetes.service",
    "/usr/lib/systemd/system/edge-overlay-kubernetes.timer",
    "/usr/lib/systemd/system/edge-overlay-vip.path",
    "/usr/lib/systemd/system/edge-overlay-vip.service",
    "/usr/lib/systemd/system/edge-overlay.service",
    "/usr/lib/systemd/system/k3s-agent.service.d/50-edge-overlay.conf",
    "/usr/lib/systemd/system/k3s.service.d/50-edge-overlay.conf",
    "/usr/lib/systemd/system/kubelet.service.d/50-edge-overlay.conf",
    "/usr/lib/systemd/system/multi-user.target.wants/edge-overlay-host.service",
    "/usr/lib/systemd/system/paths.target.wants/edge-overlay-kubernetes.path",
    "/usr/lib/systemd/system/paths.target.wants/edge-overlay-vip.path",
    "/usr/lib/systemd/system/rke2-agent.service.d/50-edge-overlay.conf",
    "/usr/lib/systemd/system/rke2-server.service.d/50-edge-overlay.conf",
    "/usr/lib/systemd/system/timers.target.wants/edge-overlay-kubernetes.timer",
    "/usr/lib/udev/rules.d/70-edge-overlay-offload.rules",
    "/usr/share/bash-completion/completions/edge-overlay",
    "/usr/share/doc/edge-overlay/changelog.gz",
    "/usr/share/doc/edge-overlay/copyright",
    "/usr/share/doc/edge-overlay/user-data.example",
    "/usr/share/man/man8/edge-overlay.8.gz",
}


def _unpacked(deb: Path, target: Path) -> Path:
    subprocess.run(["dpkg-deb", "--extract", deb, target], check=True, timeout=60)
    return target


def _files(root: Path) -> set[str]:
    return {f"/{p.relative_to(root)}" for p in root.rglob("*") if p.is_symlink() or p.is_file()}


def _digests(directory: Path) -> list[str]:
    return [hashlib.sha256((directory / name).read_bytes()).hexdigest() for name in MADE]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where both formats lie."""
    directory = tmp_path_factory.mktemp("agent")
    outcome = edge_build("agent", "--output", directory)
    assert outcome.status == 0, outcome.err
    return directory


def test_the_same_inputs_give_the_same_bytes(made: Path, tmp_path: Path) -> None:
    copy, out = tmp_path / "another clone", tmp_path / "out"
    for name in ("builder", "overlay_runtime", "image-templates"):
        shutil.copytree(REPOSITORY / name, copy / name, symlinks=True,
                        copy_function=shutil.copyfile,
                        ignore=shutil.ignore_patterns("__pycache__"))  # fmt: skip
        for path in copy.joinpath(name).rglob("*"):
            if path.is_symlink():
                continue
            executable = (REPOSITORY / path.relative_to(copy)).stat().st_mode & 0o100
            path.chmod(0o700 if executable else 0o600)
            os.utime(path, (1_000_000_000, 1_000_000_000))
    done = subprocess.run(
        ["sh", "-c", 'umask 077; exec "$@"', "sh", *COMMAND, "agent", "--output", out],
        cwd=copy, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert _digests(out) == _digests(made)
    for name in MADE:
        text = (made / f"{name}.sha256").read_text()
        assert text == f"{hashlib.sha256((made / name).read_bytes()).hexdigest()}  {name}\n"


def test_what_is_in_it(made: Path, tmp_path: Path) -> None:
    root = _unpacked(made / "edge-overlay.deb", tmp_path / "deb")
    files = _files(root)
    beside = {name for name in files if not name.startswith("/usr/lib/edge-overlay/")}
    assert beside == ACTING
    assert "/usr/lib/edge-overlay/overlay_runtime/__init__.py" in files
    assert "/usr/lib/edge-overlay/vendor/yaml/__init__.py" in files
    assert not [name for name in files if name.endswith((".pyc", ".so", "user-data"))]
    # What networkd gets is about the overlay's links alone.
    for path in (root / "usr/lib/systemd/network").iterdir():
        names = [line for line in path.read_text().splitlines() if line.startswith(
            ("Name=", "OriginalName="))]  # fmt: skip
        assert names == [f"{names[0].partition('=')[0]}=scbr-100 edge-vx4 edge-vx6"], path

    with tarfile.open(made / "edge-overlay.tar.gz") as archive:
        archive.extractall(tmp_path, filter="tar")
    [top] = tmp_path.glob("edge-overlay-agent-*")
    assert {path.name for path in top.iterdir()} == {"install.sh", "uninstall.sh", "root"}
    assert _files(top / "root") == files
    for name in files:
        one, other = (tree / name.lstrip("/") for tree in (root, top / "root"))
        assert one.lstat().st_mode == other.lstat().st_mode, name
        assert one.is_symlink() or one.read_bytes() == other.read_bytes(), name


def test_lintian_finds_nothing(made: Path) -> None:
    words: list[str | Path] = ["lintian", "--allow-root", "--fail-on", "error,warning"]
    words.append(made / "edge-overlay.deb")
    done = subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_user_data_in_it(tmp_path: Path, user_data: Path) -> None:
    out = tmp_path / "out"
    outcome = edge_build("agent", "--user-data", user_data, "--output", out)
    assert outcome.status == 0, outcome.err
    for name in MADE:  # it holds the secret
        assert (out / name).stat().st_mode & 0o777 == 0o600
    inside = (
        _unpacked(out / "edge-overlay.deb", tmp_path / "deb") / "usr/lib/edge-overlay/user-data"
    )
    assert inside.read_text() == USER_DATA
    assert inside.stat().st_mode & 0o777 == 0o600
    with tarfile.open(out / "edge-overlay.tar.gz") as archive:
        [member] = [m for m in archive if m.name.endswith("/usr/lib/edge-overlay/user-data")]
        assert (member.mode, member.uid) == (0o600, 0)
        content = archive.extractfile(member)
        assert content is not None and content.read().decode() == USER_DATA


@pytest.mark.parametrize(
    ("text", "word"),
    [
        (USER_DATA.replace("cidr:", "cdir:"), "cidr"),
        (USER_DATA.replace("10.77.0.0/24", "10.77.0.0/99"), "10.77.0.0/99"),
        ("overlay: [", "YAML"),
    ],
)
def test_wrong_user_data_is_refused_before_any_work(tmp_path: Path, text: str, word: str) -> None:
    path, out, cache = tmp_path / "user-data", tmp_path / "out", tmp_path / "cache"
    path.write_text(text)
    words: list[str | Path] = ["agent", "--user-data", path, "--output", out, "--cache-dir", cache]
    outcome = edge_build(*words)
    assert outcome.status == 65, outcome.err
    assert word in outcome.err
    assert "Traceback" not in outcome.err
    assert "a secret of the image tests" not in outcome.err
    assert not out.exists() and not cache.exists()
