"""The tarball: the same files, with scripts that install and remove them without dpkg."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

from builder import __version__
from builder.agent.tree import EPOCH
from builder.templates import TEMPLATES

DIRECTORY = f"edge-overlay-agent-{__version__}"


def write_tarball(root: Path, made: Path) -> None:
    """Write the tree below `root` and the scripts to `made` (gzip). Raises OSError."""
    scripts = sorted((TEMPLATES / "agent" / "tar").iterdir())
    with (
        made.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=EPOCH) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        archive.addfile(_directory(DIRECTORY))
        for script in scripts:
            _add(archive, script, f"{DIRECTORY}/{script.name}", 0o755)
        archive.addfile(_directory(f"{DIRECTORY}/root"))
        for path in sorted(root.rglob("*")):
            _add(archive, path, f"{DIRECTORY}/root/{path.relative_to(root)}", None)


def _directory(name: str) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, EPOCH
    return info


def _add(archive: tarfile.TarFile, path: Path, name: str, mode: int | None) -> None:
    info = archive.gettarinfo(path, name)
    info.uid = info.gid = 0
    info.uname = info.gname = "root"
    info.mtime = EPOCH
    info.mode = info.mode if mode is None else mode
    if not info.isreg():
        archive.addfile(info)
        return
    if info.islnk():  # never as hard links, whatever the checkout's file system made of them
        info.type, info.size = tarfile.REGTYPE, path.stat().st_size
    with path.open("rb") as content:
        archive.addfile(info, content)
