"""A base without Python, or with one that is too old: the builder brings its own."""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from builder.cache import Cache
from builder.config import KEYS
from builder.kairos.python import COMMAND, HOME, brought_python, read_pins
from tests.kairos import images
from tests.kairos.conftest import Miniature, build, remove

pytestmark = [pytest.mark.kairos, pytest.mark.timeout(600)]

_PYTHON = ("usr/bin/python3", "usr/bin/python3.13", "usr/lib/python3", "usr/lib/python3.13")
_MAPS = "print(*{line.split()[-1] for line in open('/proc/self/maps') if '.so' in line})"


def without_python(place: Path) -> Path:
    """A layer that takes the base's Python away, and leaves one that is too old."""
    tree = place / "without-python"
    for name in _PYTHON:
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.with_name(f".wh.{path.name}").touch()
    (tree / "usr/bin/python3.9").write_text("#!/bin/false\n")
    (tree / "usr/lib/python3.9/asyncio").mkdir(parents=True)
    (tree / "usr/lib/python3.9/asyncio/__init__.py").touch()
    return images.small_tar(place / "without-python.tar", tree)


def unpacked(oci: Path, path: Path) -> Path:
    """The image's root file system; whiteouts as containerd would act on them."""
    with tarfile.open(oci) as tar:

        def blob(digest: str) -> bytes:
            stream = tar.extractfile(f"blobs/{digest.replace(':', '/')}")
            assert stream
            return stream.read()

        index = tar.extractfile("index.json")
        assert index
        manifest = json.loads(blob(json.load(index)["manifests"][0]["digest"]))
        path.mkdir()
        for layer in manifest["layers"]:
            words = ["tar", "-xz", "--numeric-owner", "-C", str(path)]
            subprocess.run(words, input=blob(layer["digest"]), check=True, timeout=120)
            for mark in [*path.glob("usr/*/.wh.*")]:
                remove(mark.with_name(mark.name.removeprefix(".wh.")))
                mark.unlink()
    return path


def run(root: Path, *words: str) -> str:
    done = subprocess.run(
        ["chroot", str(root), *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_derived_image_runs_on_the_python_that_was_brought(
    miniature: Miniature, place: Path, user_data: Path
) -> None:
    base = images.layout(place / "no-python", miniature.tar, without_python(place))
    made = build(f"oci:{base}", user_data, place / "brought", "--format", "oci")
    said = made.outcome.err + made.outcome.out
    assert f"Python {read_pins().version} (the base has none that is new enough)" in said
    root = unpacked(made.oci, place / "brought-root")
    assert not list(root.glob("usr/bin/python3.1*"))
    first = (root / "usr/bin/edge-overlay").read_text().splitlines()[0]
    assert first == f"#!{COMMAND} -IS"
    assert run(root, "edge-overlay", "--version").startswith("edge-overlay ")
    subprocess.run(["mount", "--bind", "/proc", str(root / "proc")], check=True, timeout=30)
    try:
        check = run(root, "edge-overlay", "check")
        libraries = run(
            root, COMMAND, "-IS", "-c", f"import asyncio, ctypes, zlib; {_MAPS}"
        ).split()
    finally:
        subprocess.run(["umount", str(root / "proc")], check=True, timeout=30)
    assert check == ""
    assert len(libraries) > 4
    assert all(path.startswith(f"/{HOME}/") for path in libraries), "nothing of the base's"
    again = build(f"oci:{base}", user_data, place / "brought-again", "--format", "oci")
    assert again.oci.read_bytes() == made.oci.read_bytes()
    for path in (root, made.oci.parent, again.oci.parent, base):
        remove(path)


def test_it_is_the_same_whenever_it_is_fetched(place: Path) -> None:
    """Without the cache: from the mirror twice, every byte and mode the same."""
    seen = []
    for name in ("first", "second"):
        cache = place / name
        mirror = KEYS["base.mirror"].default
        tree = brought_python(Cache(cache), str(mirror), place / "python.log").path / "python"
        words = "find . -printf '%p %y %m %l\\n' | sort; find . -type f -exec sha256sum {} + | sort"
        done = subprocess.run(
            ["sh", "-c", words], cwd=tree, check=True, capture_output=True, timeout=60
        )
        seen.append(done.stdout)
        licences = {path.name for path in (tree / "copyright").iterdir()}
        packages = {package.name for package in read_pins().packages}
        assert packages - licences == {"libgcc-s1", "libpython3.13-stdlib"}, (
            "their sources' are there"
        )
        shutil.rmtree(cache)
    assert seen[0] == seen[1]
