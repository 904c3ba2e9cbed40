"""Bases that can't be used: one clear error each, before any work, and nothing half made left."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import socket
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from builder.kairos.python import read_pins
from tests.image.conftest import Outcome, edge_build
from tests.kairos import images
from tests.kairos.conftest import NOBODY, Miniature, as_nobody
from tests.vm.harness.process import end, free_port, start
from tests.vm.harness.waiting import WaitedInVainError, wait_until

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(600)]

_BCRYPT = "$2b$05$abcdefghijklmnopqrstuulTVvHkjiliFcDtMxtyVhrWZNFTunZ72"
"""Of the password `overlay`: the registry takes no other kind of hash."""

RELEASE = "KAIROS_ARCH={arch}\nKAIROS_FLAVOR={flavor}\nKAIROS_VERSION=v0\n"


def build(base: str, user_data: Path, output: Path, **env: str) -> Outcome:
    words: list[str | Path] = ["image", "--user-data", user_data, "--output", output]
    return edge_build(*words, "--base", base, "--format", "iso", "--format", "oci", env=env)


def nothing_left(output: Path) -> None:
    left = {path.name for path in output.iterdir()} if output.exists() else set()
    assert left <= {"edge-installer.log", ".edge-installer.lock"}, left


@dataclass
class Root:
    """A small root file system that passes every check; the tests take things away from it."""

    path: Path

    def write(self, name: str, content: str | bytes = "") -> None:
        path = self.path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def release(self, arch: str = "amd64", flavor: str = "debian") -> None:
        self.write("etc/kairos-release", RELEASE.format(arch=arch, flavor=flavor))

    def initrd(self, *names: str, packer: str = "cat") -> None:
        """By cpio(1), packed by another program."""
        tree = self.path.parent / "initrd-tree"
        for name in names:
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            (tree / name).write_text("x" * 5)
        words = f"find . | LC_ALL=C sort | cpio --quiet -o -H newc | {packer}"
        packed = subprocess.run(["sh", "-c", words], cwd=tree, check=True, capture_output=True)
        self.write("boot/initrd", packed.stdout)
        shutil.rmtree(tree)

    def python(self, minor: int) -> None:
        self.write(f"usr/bin/python3.{minor}")
        self.write(f"usr/lib/python3.{minor}/asyncio/__init__.py")


@pytest.fixture
def root(tmp_path: Path) -> Root:
    made = Root(tmp_path / "root")
    made.release()
    made.write("boot/vmlinuz", "kernel")
    made.initrd("usr/bin/immucore")
    made.write("usr/lib/systemd/systemd")
    made.python(13)
    return made


def refused(root: Root, user_data: Path, status: int = 65) -> str:
    """The error for this root file system, without line breaks."""
    output = root.path.parent / "out"
    outcome = build(f"dir:{root.path}", user_data, output)
    assert outcome.status == status, outcome.err
    nothing_left(output)
    assert "Traceback" not in outcome.err
    return " ".join(outcome.err.split())


def test_no_kairos_image_names_all_that_is_missing(root: Root, user_data: Path) -> None:
    (root.path / "etc/kairos-release").unlink()
    (root.path / "boot/vmlinuz").unlink()
    (root.path / "boot/initrd").unlink()
    said = refused(root, user_data)
    assert "is no Kairos image: it lacks /etc/kairos-release, a kernel (/boot/vmlinuz) and" in said
    assert "an initrd (/boot/initrd)" in said
    assert "what to do: name an image that kairos-init has made" in said


def test_a_plain_distribution_is_no_kairos_image(root: Root, user_data: Path) -> None:
    root.initrd("usr/bin/init")
    assert "it lacks immucore in its initrd (/boot/initrd)" in refused(root, user_data)


@pytest.mark.parametrize("packer", ["cat", "gzip", "xz --check=crc32", "zstd", "lz4 -l", "bzip2"])
def test_immucore_is_found_however_the_initrd_is_packed(
    root: Root, user_data: Path, packer: str
) -> None:
    """The next thing that is missing is told instead: so the initrd was read."""
    root.initrd("usr/bin/immucore", packer=packer)
    microcode = root.path.parent / "early"
    (microcode / "kernel").mkdir(parents=True)
    (microcode / "kernel/ucode.bin").write_bytes(b"m" * 1000)
    early = subprocess.run(
        ["sh", "-c", "find . | cpio --quiet -o -H newc"],
        cwd=microcode,
        check=True,
        capture_output=True,
    ).stdout
    initrd = root.path / "boot/initrd"
    initrd.write_bytes(early + b"\0" * 512 + initrd.read_bytes())
    (root.path / "usr/lib/systemd/systemd").unlink()
    assert "has neither systemd nor OpenRC" in refused(root, user_data)


def test_an_initrd_that_is_none(root: Root, user_data: Path) -> None:
    root.write("boot/initrd", b"something else" * 100)
    assert "is no initrd" in refused(root, user_data)


def test_another_architecture(root: Root, user_data: Path, tmp_path: Path) -> None:
    root.release(arch="arm64")
    assert "is not for amd64: KAIROS_ARCH in its kairos-release is arm64" in refused(
        root, user_data
    )
    base = images.layout(
        tmp_path / "arm", images.small_tar(tmp_path / "root.tar", root.path), architecture="arm64"
    )
    outcome = build(f"oci:{base}", user_data, tmp_path / "out")
    assert outcome.status == 65
    assert "is not for linux/amd64: it holds linux/arm64" in outcome.err


def test_a_python_to_bring_that_can_not_be_had(root: Root, user_data: Path, tmp_path: Path) -> None:
    """A mirror that has nothing, or something else under that name; nor does a proxy let us out."""
    shutil.rmtree(root.path / "usr/lib/python3.13")
    wrong = tmp_path / "mirror" / read_pins().packages[0].file
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(b"another package")
    output = tmp_path / "out"
    words: list[str | Path] = ["image", "--user-data", user_data, "--output", output]
    words += ["--base", f"dir:{root.path}", "--format", "oci", "--cache-dir", tmp_path / "cache"]
    words += ["--mirror", f"file://{tmp_path}/mirror"]
    env = {"https_proxy": "http://127.0.0.1:9"}
    outcome = edge_build(*words, env=env)
    said = " ".join(outcome.err.split())
    assert outcome.status == 69, said
    assert "not the package that was pinned" in said
    assert "snapshot.debian.org" in said
    assert "or add Python 3.11 or newer to the base" in said
    nothing_left(output)


def test_no_systemd(root: Root, user_data: Path) -> None:
    root.release(flavor="alpine")
    (root.path / "usr/lib/systemd/systemd").unlink()
    assert "has neither systemd nor OpenRC (flavour alpine)" in refused(root, user_data)


@pytest.mark.parametrize(
    ("base", "status", "said"),
    [
        ("oci-archive:{tmp}/nothing.tar", 66, "there is no {tmp}/nothing.tar"),
        ("dir:{tmp}/nothing", 66, "there is no {tmp}/nothing"),
        ("oci:{tmp}/empty", 66, "{tmp}/empty is no OCI layout"),
        ("oci-archive:{tmp}/empty", 66, "write oci:{tmp}/empty or dir:{tmp}/empty"),
        ("dir:{tmp}/text", 66, "write oci-archive:{tmp}/text"),
        ("oci-archive:{tmp}/text", 65, "{tmp}/text is no tar archive"),
        ("oci-archive:{tmp}/plain.tar", 65, "holds no image"),
        ("{tmp}/plain.tar", 65, "write oci-archive:{tmp}/plain.tar"),
        ("two words", 65, "names no base image"),
    ],
)
def test_references_that_name_nothing(
    tmp_path: Path, user_data: Path, base: str, status: int, said: str
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").write_text("no archive\n" * 100)
    with tarfile.open(tmp_path / "plain.tar", "w") as tar:
        tar.add(tmp_path / "text", "text")
    outcome = build(base.format(tmp=tmp_path), user_data, tmp_path / "out")
    assert outcome.status == status, outcome.err
    assert said.format(tmp=tmp_path) in outcome.err
    nothing_left(tmp_path / "out")


def test_damaged_archives(root: Root, user_data: Path, tmp_path: Path) -> None:
    layout = images.layout(tmp_path / "layout", images.small_tar(tmp_path / "root.tar", root.path))
    whole = images.archive(layout, tmp_path / "whole.tar").read_bytes()
    (tmp_path / "cut.tar").write_bytes(whole[: len(whole) // 2])
    outcome = build(f"oci-archive:{tmp_path}/cut.tar", user_data, tmp_path / "out")
    assert outcome.status == 65, outcome.err
    assert re.search("is cut off|lacks|is no tar archive|holds no image", outcome.err)
    index = json.loads((layout / "index.json").read_text())
    manifest = layout / "blobs" / index["manifests"][0]["digest"].replace(":", "/")
    digest = json.loads(manifest.read_text())["layers"][0]["digest"]
    blob = layout / "blobs" / digest.replace(":", "/")
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 0xFF
    blob.write_bytes(content)
    outcome = build(f"oci:{layout}", user_data, tmp_path / "out")
    assert outcome.status == 65, outcome.err
    assert "the base is damaged" in outcome.err
    blob.unlink()
    outcome = build(f"oci:{layout}", user_data, tmp_path / "out")
    assert outcome.status == 65 and f"lacks blobs/sha256/{blob.name}" in outcome.err
    nothing_left(tmp_path / "out")


def test_a_directory_that_may_not_be_read(root: Root, user_data: Path, tmp_path: Path) -> None:
    root.write("etc/shadow", "secret")
    (root.path / "etc/shadow").chmod(0o600)
    with tempfile.TemporaryDirectory(prefix="edge-test-nobody-") as directory:
        home = Path(directory)
        shutil.copytree(root.path, home / "root")
        shutil.copyfile(user_data, home / "user-data.yaml")
        for path in (home, *home.rglob("*")):
            if path.name != "shadow":
                os.chown(path, NOBODY, NOBODY)
        words: list[str | Path] = ["image", "--base", f"dir:{home}/root", "--output", home / "out"]
        words += ["--user-data", home / "user-data.yaml", "--cache-dir", home / "cache"]
        outcome = as_nobody(*words)
        assert outcome.status == 77, outcome.err
        assert f"can't read {home}/root/etc/shadow of the base" in outcome.err
        nothing_left(home / "out")
    assert not (tmp_path / "out").exists()


def test_keys_of_the_debian_base_do_not_go_with_it(root: Root, user_data: Path) -> None:
    words: list[str | Path] = ["image", "--user-data", user_data, "--base", f"dir:{root.path}"]
    outcome = edge_build(*words, "--package", "tcpdump", "--output", root.path.parent / "out")
    assert outcome.status == 65
    assert "base.packages is for the Debian base" in outcome.err


def test_no_daemon(user_data: Path, tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/no.sock"
    outcome = build("docker-daemon:kairos:1", user_data, tmp_path / "out", DOCKER_HOST=host)
    assert outcome.status == 69
    assert "no Docker daemon answers" in outcome.err
    assert "oci-archive:FILE" in outcome.err
    nothing_left(tmp_path / "out")


def test_an_image_that_the_daemon_has_not(
    daemon: docker.DockerClient, user_data: Path, tmp_path: Path
) -> None:
    assert daemon.ping()
    outcome = build("docker-daemon:edge-nobody/has-this:1", user_data, tmp_path / "out")
    assert outcome.status == 66, outcome.err
    assert "the Docker daemon has no image edge-nobody/has-this:1" in outcome.err
    nothing_left(tmp_path / "out")


@contextmanager
def registry(directory: Path) -> Iterator[str]:
    """Debian's docker-registry on the loopback, with one account: edge, password `overlay`."""
    htpasswd = directory / "htpasswd"
    htpasswd.write_text(f"edge:{_BCRYPT}\n")
    port = free_port()
    config = {
        "version": 0.1,
        "storage": {"filesystem": {"rootdirectory": str(directory / "blobs")}},
        "http": {"addr": f"127.0.0.1:{port}"},
        "auth": {"htpasswd": {"realm": "edge", "path": str(htpasswd)}},
    }
    (directory / "registry.json").write_text(json.dumps(config))
    words = ["docker-registry", "serve", str(directory / "registry.json")]
    process = start(words, directory / "registry.log")
    try:
        wait_until("the registry", lambda: _answers(port, process.poll()), 30)
        yield f"127.0.0.1:{port}"
    finally:
        end(process)


def _answers(port: int, ended: int | None) -> bool:
    if ended is not None:
        raise WaitedInVainError("the registry ended")
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_pull_and_push_with_the_users_credentials(
    daemon: docker.DockerClient, miniature: Miniature, user_data: Path, place: Path
) -> None:
    directory = place / "registry"
    directory.mkdir()
    with registry(directory) as host, miniature.archive.open("rb") as stream:
        [image] = daemon.images.load(stream)
        base, made = f"{host}/edge/base:1", f"{host}/edge/made:1"
        image.tag(base)
        try:
            _pull_and_push(daemon, host, base, made, user_data, directory)
        finally:
            for name in (base, made):
                if daemon.images.list(name):
                    daemon.images.remove(name, force=True)
    shutil.rmtree(directory)


def _pull_and_push(
    daemon: docker.DockerClient,
    host: str,
    base: str,
    made: str,
    user_data: Path,
    directory: Path,
) -> None:
    account = {"username": "edge", "password": "overlay"}
    list(daemon.api.push(base, stream=True, auth_config=account))
    daemon.images.remove(base, force=True)
    output = directory / "out"
    for login, status, said in (
        (None, 77, "the registry refuses"),
        ("edge:wrong", 77, "the registry refuses"),
        ("edge:overlay", 66, "the registry has no"),
    ):
        name = base if status == 77 else f"{host}/edge/unknown:1"
        outcome = build(name, user_data, output, DOCKER_CONFIG=_login(directory, host, login))
        assert outcome.status == status, outcome.err
        assert said in outcome.err
        assert "wrong" not in outcome.err
        nothing_left(output)
    config = _login(directory, host, "edge:overlay")
    words: list[str | Path] = [
        "image",
        "--user-data",
        user_data,
        "--base",
        base,
        "--output",
        output,
        "--push",
    ]
    outcome = edge_build(*words, "--format", "oci", "--tag", made, env={"DOCKER_CONFIG": config})
    assert outcome.status == 0, outcome.err
    assert f"Pushing {made}: done" in outcome.err and "pulled" in outcome.err
    _always_pulled(daemon, base, user_data, output, config)
    daemon.images.remove(made, force=True)
    again = daemon.images.pull(made, auth_config=account)
    assert again.id is not None and again.id.removeprefix("sha256:") in outcome.err


def _always_pulled(
    daemon: docker.DockerClient, base: str, user_data: Path, output: Path, config: str
) -> None:
    """`docker:REF` is the registry's image, whatever the daemon has by that name."""
    theirs = daemon.images.get(base)
    stale = daemon.api.import_image_from_data(b"\0" * 1024, repository=base.rpartition(":")[0],
                                              tag=base.rpartition(":")[2])  # fmt: skip
    assert "sha256" in stale and daemon.images.get(base).id != theirs.id
    outcome = build(f"docker-daemon:{base}", user_data, output, DOCKER_CONFIG=config)
    assert outcome.status == 65, "never pulled: what the daemon has is no Kairos image"
    words: list[str | Path] = ["image", "--user-data", user_data, "--base", f"docker:{base}"]
    words += ["--format", "oci", "--output", output]
    done = edge_build(*words, env={"DOCKER_CONFIG": config})
    assert done.status == 0, done.err
    assert "pulled" in done.err
    assert daemon.images.get(base).id == theirs.id


def _login(directory: Path, host: str, words: str | None) -> str:
    """A Docker configuration as `docker login` writes it."""
    config = directory / "docker"
    config.mkdir(exist_ok=True)
    auths = {host: {"auth": base64.b64encode(words.encode()).decode()}} if words else {}
    (config / "config.json").write_text(json.dumps({"auths": auths}))
    return str(config)


@pytest.mark.parametrize(
    ("option", "mebibytes", "said"),
    [
        ("--output", 40, "are free"),
        ("--output", 260, "no room|filled up|is full"),
        ("--cache-dir", 40, "are free"),
        ("--cache-dir", 260, "filled up"),
    ],
)
def test_a_disk_that_fills_up(
    miniature: Miniature, user_data: Path, tmp_path: Path, option: str, mebibytes: int, said: str
) -> None:
    """On a small tmpfs: too small from the start, and one that fills in the middle of the work."""
    small = tmp_path / "small"
    small.mkdir()
    words: list[str | Path] = ["image", "--user-data", user_data, "--format", "iso"]
    words += ["--base", f"oci-archive:{miniature.archive}", "--output", tmp_path / "out"]
    mount = (
        f'mount -t tmpfs -o size={mebibytes}m tmpfs {small} && "$@"; status=$?; '
        f"find {small} -type f; exit $status"
    )
    before = ["unshare", "--mount", "--", "sh", "-c", mount, "sh"]
    outcome = edge_build(*words, option, small, before=before)
    assert outcome.status == 74, outcome.err
    assert re.search(said, outcome.err), outcome.err
    left = {Path(line).name for line in outcome.out.splitlines() if "/vendor-" not in line}
    assert left <= {"edge-installer.log", ".edge-installer.lock", ".vendor.lock"}, left
    if (tmp_path / "out").exists():
        nothing_left(tmp_path / "out")
