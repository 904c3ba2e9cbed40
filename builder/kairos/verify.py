"""Opens an ISO that was just written and looks whether all that was asked for is in it.

Remastering tools are known to drop boot entries and files in silence (kairos#2876): such a thing is
an error here, and not a surprise on site.
"""

from __future__ import annotations

import re
import stat
import tarfile
from dataclasses import dataclass
from pathlib import Path

from builder import process
from builder.errors import DroppedError
from builder.kairos.layer import USER_DATA
from builder.kairos.tree import Entry, Tree
from builder.output.structure import Extent, digest_of, read_extents, read_structure

_LISTED = re.compile(
    r"^([-dlcbpshwrxstST]{10}) (\d+)/(\d+) +(\d+(?:, *\d+)?) \d{4}-\d\d-\d\d \d\d:\d\d root(/.*)$"
)
_KINDS = {
    tarfile.DIRTYPE: stat.S_IFDIR,
    tarfile.SYMTYPE: stat.S_IFLNK,
    tarfile.CHRTYPE: stat.S_IFCHR,
    tarfile.BLKTYPE: stat.S_IFBLK,
    tarfile.FIFOTYPE: stat.S_IFIFO,
}


@dataclass(frozen=True)
class Wanted:
    """Files of the ISO by their places, the file system in it, and its user-data."""

    files: dict[str, Path]
    tree: Tree
    user_data: str | None


def check_iso(image: Path, wanted: Wanted, log: Path) -> None:
    """Raise DroppedError that names what is missing or differs."""
    problems = list(read_structure(image, log).missing())
    extents = read_extents(image, log)
    for name, path in wanted.files.items():
        if name not in extents:
            problems.append(f"/{name}")
        elif name == "boot/eltorito.img":
            if _size(extents[name]) != path.stat().st_size:  # xorriso writes places into it
                problems.append(f"/{name} whole")
        elif digest_of(image, extents[name]) != digest_of(path, [Extent(0, path.stat().st_size)]):
            problems.append(f"/{name} as it was made")
    if "rootfs.squashfs" in extents:
        problems += _missing_in_root(image, extents["rootfs.squashfs"][0].offset, wanted, log)
    if problems:
        raise DroppedError(
            f"the ISO written lacks {' and '.join(problems[:5])}",
            "report this with the log: a tool did not do what it was told",
            log=log,
        )


def _missing_in_root(image: Path, offset: int, wanted: Wanted, log: Path) -> list[str]:
    """Compare every name, mode, owner and size in the squashfs with what was to be in it."""
    words: list[str | Path] = ["unsquashfs", "-d", "root", "-o", str(offset), "-lln", image]
    found: dict[str, str] = {}
    with process.piped(words, log) as stream:
        for line in stream:
            if match := _LISTED.match(line.decode(errors="surrogateescape").rstrip("\n")):
                mode, owner, group, size, path = match.groups()
                name = path.lstrip("/").partition(" -> ")[0]
                found[name] = f"{mode} {owner}/{group} {size if mode[0] == '-' else ''}"
    problems = []
    for path, entry in wanted.tree.entries.items():
        expected = _as_listed(entry)
        name = path.partition(" -> ")[0]
        if name not in found:
            problems.append(f"/{path} in rootfs.squashfs")
        elif found[name] != expected:
            problems.append(f"/{path} in rootfs.squashfs as {expected} (it is {found[name]})")
    return problems + _wrong_user_data(image, offset, wanted, log)


def _as_listed(entry: Entry) -> str:
    """Mode, owner, and size of a file, as unsquashfs lists them."""
    info = entry.info
    kind = stat.S_IFREG if entry.content is not None else _KINDS[info.type]
    mode = 0o777 if info.issym() else info.mode
    size = info.size if entry.content is not None else ""
    return f"{stat.filemode(kind | mode)} {info.uid}/{info.gid} {size}"


def _wrong_user_data(image: Path, offset: int, wanted: Wanted, log: Path) -> list[str]:
    if wanted.user_data is None:
        return []
    words: list[str | Path] = ["unsquashfs", "-o", str(offset), "-cat", image, str(USER_DATA)]
    with process.piped(words, log) as stream:
        content = stream.read()
    return [] if content == wanted.user_data.encode() else [f"the user-data in /{USER_DATA}"]


def _size(extents: list[Extent]) -> int:
    return sum(extent.size for extent in extents)
