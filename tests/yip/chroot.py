"""The Debian base as a root for one case; what is done to it lies in an upper directory."""

from __future__ import annotations

import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

YIP = "/yip-run"
_LIMIT_S = 60.0
_NOT_COMPARED = re.compile(
    r"/(etc/\.pwd\.lock|run(/.*)?|dev(/.*)?|var/lib/cloud(/.*)?|var/cache(/.*)?|var/lib/dbus/machine-id|proc|proc/sys|yip-run"
    r"|etc/.*\.lock)"
)


@dataclass(frozen=True)
class Entry:
    """A file, directory or link as it lies in a tree."""

    kind: str
    mode: int
    owner: int
    group: int
    content: str = ""

    def __str__(self) -> str:
        text = f"{self.kind} {self.mode:04o} {self.owner}:{self.group}"
        return f"{text} {self.content!r}" if self.kind != "directory" else text


Effect = dict[str, Entry | None]
"""By path: what is there now and was not, or was another; None: it is gone."""


def mount(*words: str | Path) -> None:
    """mount(8)."""
    subprocess.run(["mount", *words], check=True, timeout=_LIMIT_S)


def unmount(place: Path) -> None:
    """umount(8), whatever is still open there."""
    subprocess.run(["umount", "--lazy", "--recursive", place], check=False, timeout=_LIMIT_S)


@contextmanager
def root(base: Path, work: Path, files: Mapping[str, str], yip: Path) -> Iterator[Path]:
    """The base with these files in it, mounted writable; gone at the block's end."""
    if work.exists():
        shutil.rmtree(work)
    for name in ("given", "upper", "work", "merged"):
        (work / name).mkdir(parents=True)
    for path, content in files.items():
        place = work / "given" / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        if content.startswith("-> "):
            place.symlink_to(content[3:])
        elif content == "directory":
            place.mkdir(exist_ok=True)
        else:
            place.write_bytes(content.encode(errors="surrogateescape"))
            place.chmod(0o755 if content.startswith("#!") else 0o644)
    (work / "base").symlink_to(base)
    shutil.copy(yip, work / "given" / YIP.lstrip("/"))
    merged = work / "merged"
    where = f"lowerdir={work}/given:{base},upperdir={work}/upper,workdir={work}/work"
    mount("-t", "overlay", "overlay", "-o", where, merged)
    try:
        for name in ("null", "zero", "urandom"):
            place = merged / "dev" / name
            place.parent.mkdir(exist_ok=True)
            place.touch()
            mount("--bind", f"/dev/{name}", place)
        yield merged
    finally:
        unmount(merged)


def effect(work: Path, merged: Path) -> Effect:
    """What was changed, from the upper directory."""
    found: Effect = {}
    for place in sorted((work / "upper").rglob("*")):
        path = "/" + str(place.relative_to(work / "upper"))
        if not _NOT_COMPARED.fullmatch(path):
            found[path] = _entry(merged / path.lstrip("/"))
    # A directory that was only passed through is no change.
    return {
        path: entry
        for path, entry in found.items()
        if entry is None or entry.kind != "directory" or not _same_below(work, path, entry)
    }


def _same_below(work: Path, path: str, entry: Entry) -> bool:
    options = (work / "given" / path.lstrip("/"), work / "base" / path.lstrip("/"))
    lower = next((one for one in options if one.exists()), None)
    return lower is not None and _entry(lower) == entry


def _entry(place: Path) -> Entry | None:
    try:
        about = place.lstat()
    except FileNotFoundError:
        return None
    mode, ids = stat.S_IMODE(about.st_mode), (about.st_uid, about.st_gid)
    if stat.S_ISLNK(about.st_mode):
        return Entry("link", 0, *ids, str(place.readlink()))
    if stat.S_ISDIR(about.st_mode):
        return Entry("directory", mode, *ids)
    text = place.read_bytes().decode(errors="surrogateescape")
    return Entry("file", mode, *ids, re.sub(r"\$6\$[^:\s]+", "$6$…", text))


def run_yip(merged: Path, stage: str) -> subprocess.CompletedProcess[str]:
    """Run the real yip in the root, over Kairos's directories; it may change only its own host
    name."""
    words: list[str | Path] = ["unshare", "--uts", "chroot", merged, YIP, stage]
    words += ["/system/oem", "/oem/", "/usr/local/cloud-config/"]
    return subprocess.run(words, capture_output=True, text=True, timeout=_LIMIT_S, check=False,
                          stdin=subprocess.DEVNULL, umask=0o022)  # fmt: skip
