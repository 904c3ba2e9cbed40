"""The edge layer of a Kairos image: one tar, the same bytes whichever way it is added."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from builder import __version__
from builder.bake.layer import RUNTIME_HOME, copy_runtime, set_modes
from builder.cache import file_digest
from builder.kairos.check import KairosBase
from builder.kairos.python import COMMAND as COMMAND_OF_PYTHON
from builder.kairos.python import HOME as PYTHON_HOME
from builder.kairos.tree import Tree
from builder.templates import TEMPLATES, render_tree

COMMAND = Path("usr/bin/edge-overlay")
USER_DATA = RUNTIME_HOME / "user-data"
DEBIAN_ONLY = TEMPLATES / "debian-only.txt"
_SYSTEMD = "usr/lib/systemd"
_SHEBANG = b"#!/usr/bin/python3 "
_GZIP_LEVEL = 6


@dataclass(frozen=True)
class EdgeLayer:
    """The layer as `tar` and as `packed` (gzip), and the digests (hex) of both."""

    tar: Path
    packed: Path
    diff_id: str
    digest: str

    @contextmanager
    def open_tar(self) -> Iterator[IO[bytes]]:
        """The tar as a stream."""
        with self.tar.open("rb") as stream:
            yield stream


@dataclass(frozen=True)
class Fit:
    """What of the layer depends on the base.

    `interpreter`: for the command's first line; `python`: a tree to bring, if the base has none;
    `service_manager`: `systemd` or `openrc`.
    """

    interpreter: str = "/usr/bin/python3"
    python: Path | None = None
    service_manager: str = "systemd"


def make_kairos_layer(
    user_data: str | None,
    vendor: Path,
    python: Path | None,
    base: KairosBase,
    below: Tree,
    work: Path,
) -> EdgeLayer:
    """Make the layer in `work`, for a base whose file system is `below`; `python` is a tree to
    bring (`builder.kairos.python`) where the base has none.

    Files have owner root, explicit modes and the base's time. Only directories that the base
    hasn't got are in it: its own keep their modes.
    """
    about = {"kairos": base.release}
    fit = Fit(base.python or COMMAND_OF_PYTHON, python, base.service_manager)
    tree = fill_tree(work / "edge", user_data, vendor, about, fit)
    return pack(tree, work, base.time, lambda folder: below.resolve(folder) is None)


def fill_tree(
    tree: Path,
    user_data: str | None,
    vendor: Path,
    about: dict[str, Any],
    fit: Fit,
) -> Path:
    """Lay all files of the layer out in `tree`, which is made; `about` becomes `image.json`."""
    tree.mkdir()
    edge_tree(tree, {"version": __version__}, fit.service_manager)
    home = tree / RUNTIME_HOME
    copy_runtime(home / "overlay_runtime")
    shutil.copytree(vendor, home / "vendor")
    if fit.python is not None:
        shutil.copytree(fit.python, tree / PYTHON_HOME, symlinks=True)
    record = {"edge-build": __version__, **about}
    (home / "image.json").write_text(json.dumps(record, indent=1, sort_keys=True) + "\n")
    _set_interpreter(tree / COMMAND, fit.interpreter)
    set_modes(tree)
    if user_data is not None:
        embedded = tree / USER_DATA
        embedded.write_text(user_data)
        embedded.chmod(0o600)
    return tree


def pack(tree: Path, work: Path, epoch: int, with_folder: Callable[[str], bool]) -> EdgeLayer:
    """Make tar and gzip of a tree in `work`, with the directories that `with_folder` wants."""
    tar = work / "edge-layer.tar"
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as made:
        for path in sorted(tree.rglob("*")):
            name = str(path.relative_to(tree))
            if path.is_symlink() or not path.is_dir() or with_folder(name):
                _add(made, path, name, epoch)
    packed = work / "edge-layer.tar.gz"
    with (
        tar.open("rb") as plain,
        packed.open("wb") as raw,
        gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as stream,
    ):
        shutil.copyfileobj(plain, stream)
    return EdgeLayer(tar, packed, file_digest(tar), file_digest(packed))


def debian_only() -> list[str]:
    """Patterns of what a Kairos image doesn't get."""
    lines = DEBIAN_ONLY.read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def edge_tree(target: Path, values: dict[str, Any], service_manager: str = "systemd") -> None:
    """What every base gets, without what is Debian's alone, and what is Kairos's alone."""
    render_tree(TEMPLATES / "edge", target, values)
    for pattern in debian_only():
        for path in list(target.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    for folder in sorted(target.rglob("*"), reverse=True):
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            folder.rmdir()
    render_tree(TEMPLATES / "edge-kairos", target, values)
    if service_manager == "openrc":
        shutil.rmtree(target / _SYSTEMD)
        render_tree(TEMPLATES / "edge-openrc", target, values)


def _set_interpreter(command: Path, python: str) -> None:
    text = command.read_bytes()
    assert text.startswith(_SHEBANG), f"{command} starts otherwise"
    command.write_bytes(text.replace(_SHEBANG, f"#!{python} ".encode(), 1))


def _add(tar: tarfile.TarFile, path: Path, name: str, epoch: int) -> None:
    info = tarfile.TarInfo(name)
    info.mtime = epoch
    if path.is_symlink():
        info.type, info.linkname, info.mode = tarfile.SYMTYPE, str(path.readlink()), 0o777
        tar.addfile(info)
        return
    info.mode = path.stat().st_mode & 0o7777
    if path.is_dir():
        info.type = tarfile.DIRTYPE
        tar.addfile(info)
        return
    content = path.read_bytes()
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))
