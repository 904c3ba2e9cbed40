"""A plain root file system as a base: packed into one layer, as it lies there."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path

from builder.blob import Blob
from builder.cache import file_digest
from builder.errors import PrivilegeError
from builder.kairos.source import ARCHITECTURE, SourceImage, SourceLayer


def image_of_directory(root: Path, work: Path) -> SourceImage:
    """An image of one layer, whose tar is written into `work`.

    Owners, modes, extended attributes, device nodes and hard links are kept. Raises PrivilegeError
    if something can't be read.
    """
    tar = work / "base.tar"
    with tarfile.open(tar, "w", format=tarfile.PAX_FORMAT) as made:
        _add_all(made, root)
    digest = file_digest(tar)
    layer = SourceLayer(Blob(tar, 0, tar.stat().st_size), digest, digest)
    config = {
        "architecture": ARCHITECTURE,
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
        "history": [{"created_by": "a directory"}],
    }
    return SourceImage(config, (layer,), f"dir:{root}")


def _add_all(tar: tarfile.TarFile, root: Path) -> None:
    for folder, folders, files in os.walk(root, onerror=_refuse):
        folders.sort()
        for name in sorted([*folders, *files]):
            path = Path(folder) / name
            if stat.S_ISSOCK(path.lstat().st_mode):
                continue  # tar has no sockets; nothing of an image needs one
            info = tar.gettarinfo(path, str(path.relative_to(root)))
            info.uname = info.gname = ""
            info.mtime = int(info.mtime)
            _add_attributes(info, path)
            if not info.isreg():
                tar.addfile(info)
                continue
            try:
                with path.open("rb") as stream:
                    tar.addfile(info, stream)
            except PermissionError as error:
                _refuse(error)


def _add_attributes(info: tarfile.TarInfo, path: Path) -> None:
    names = sorted(os.listxattr(path, follow_symlinks=False))
    info.pax_headers = {
        f"SCHILY.xattr.{name}": os.getxattr(path, name, follow_symlinks=False).decode(
            "utf-8", "surrogateescape"
        )
        for name in names
    }


def _refuse(error: OSError) -> None:
    if isinstance(error, PermissionError):
        raise PrivilegeError(
            f"can't read {error.filename} of the base",
            "run it as root (a root file system belongs to root), or give the base as an image",
        ) from error
    raise error
