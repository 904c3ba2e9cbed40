"""A Python for a base that has none that is new enough: Debian's, pinned, beside the runtime.

It comes with its own C library and is started through that one's loader (ld.so(8)), so it runs
whatever the base's C library is. Nothing of the base is changed, and no other program finds it.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import lzma
import shutil
import tarfile
import tomllib
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from builder import process
from builder.bake.layer import RUNTIME_HOME
from builder.base.archive import FETCH_TIMEOUT_S
from builder.cache import Cache, Entry, file_digest
from builder.errors import ToolFailedError, UnavailableError
from builder.templates import TEMPLATES

HOME = RUNTIME_HOME / "python"
COMMAND = f"/{HOME}/bin/python3"
"""The interpreter, for a first line (#!)."""

PINS = Path(__file__).with_name("python.toml")
_RECIPE = 1
_LOADER = "ld-linux-x86-64.so.2"
_AR_MAGIC, _AR_HEADER = b"!<arch>\n", 60
_SMOKE = (
    "import asyncio, ctypes, hashlib, json, select, socket, sys, zlib; "
    "sys.exit(sys.version_info[:2] != (3, {minor}) or not sys.prefix)"
)


@dataclass(frozen=True)
class Package:
    """One package of Debian: where it lies in the archive, and what it has to be."""

    name: str
    version: str
    file: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Pins:
    """What `python.toml` says."""

    version: str
    snapshot: str
    leave_out: tuple[str, ...]
    packages: tuple[Package, ...]

    @property
    def library(self) -> str:
        """The name of the standard library's directory."""
        return "python" + ".".join(self.version.split(".")[:2])


def read_pins(path: Path = PINS) -> Pins:
    """Read the pins."""
    with path.open("rb") as stream:
        found: dict[str, Any] = tomllib.load(stream)
    packages = tuple(Package(**each) for each in found["package"])
    return Pins(found["version"], found["snapshot"], tuple(found["leave-out"]), packages)


def brought_python(cache: Cache, mirror: str, log: Path) -> Entry:
    """A directory with the tree for `HOME`: `bin`, `lib`, `copyright`; from the cache if there.

    Raises UnavailableError if a package can't be fetched, ToolFailedError if what was put together
    doesn't run on this machine.
    """
    pins = read_pins()

    def make(directory: Path) -> None:
        home = directory / "python"
        for package in pins.packages:
            _unpack(_fetch(package, (mirror, pins.snapshot)), package, home, pins)
        _settle(home, pins)
        _try(home, pins, log)

    wrapper = TEMPLATES / "python" / HOME / "bin/python3"
    inputs = {"recipe": _RECIPE, "pins": file_digest(PINS), "wrapper": file_digest(wrapper)}
    return cache.get("python", inputs, make)


def _fetch(package: Package, archives: tuple[str, ...]) -> bytes:
    """The package's bytes, from the first archive that has them as they have to be."""
    told = []
    for archive in archives:
        url = f"{archive.rstrip('/')}/{package.file}"
        try:
            with urllib.request.urlopen(url, timeout=FETCH_TIMEOUT_S) as answer:
                content: bytes = answer.read(package.size + 1)
        except urllib.error.HTTPError as error:
            told.append(f"{url}: HTTP {error.code}")
            continue
        except (OSError, ValueError, http.client.HTTPException) as error:
            told.append(f"{url}: {getattr(error, 'reason', error)}")
            continue
        if hashlib.sha256(content).hexdigest() == package.sha256:
            return content
        told.append(f"{url}: not the package that was pinned")
    raise UnavailableError(
        f"{package.name} {package.version} for a base without Python can't be fetched: "
        + "; ".join(told),
        "check the network or a proxy (http_proxy), or add Python 3.11 or newer to the base",
    )


def _unpack(deb: bytes, package: Package, home: Path, pins: Pins) -> None:
    """Take what is needed out of a package (deb(5))."""
    with tarfile.open(fileobj=io.BytesIO(_data(deb)), mode="r:") as tar:
        for member in tar:
            target = _place(PurePosixPath(member.name), package, pins)
            if target is None or not (member.isfile() or member.issym()):
                continue
            path = home / target
            path.parent.mkdir(parents=True, exist_ok=True)
            if member.issym():
                path.symlink_to(member.linkname)
                continue
            content = tar.extractfile(member)
            assert content is not None
            with path.open("wb") as stream:
                shutil.copyfileobj(content, stream)
            path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _data(deb: bytes) -> bytes:
    """The tar of a package's files, out of its ar(5)."""
    for name, content in _members(deb):
        if name == "data.tar.xz":
            return lzma.decompress(content)
    raise UnavailableError("a package of Debian has no data.tar.xz", "report this: a wrong pin")


def _members(archive: bytes) -> Iterator[tuple[str, bytes]]:
    at = len(_AR_MAGIC)
    while at + _AR_HEADER <= len(archive):
        header = archive[at : at + _AR_HEADER]
        size = int(header[48:58])
        at += _AR_HEADER
        yield header[:16].decode().rstrip(" /"), archive[at : at + size]
        at += size + size % 2


def _place(path: PurePosixPath, package: Package, pins: Pins) -> PurePosixPath | None:
    """Where a package's file goes below the home, or None."""
    parts = [part for part in path.parts if part != "."]
    if parts[:2] == ["usr", "bin"] and parts[2:] == [pins.library]:
        return PurePosixPath("bin/python")
    if parts[:3] == ["usr", "lib", pins.library]:
        stem = parts[-1].partition(".")[0]
        out = "lib-dynload" in parts and stem in pins.leave_out
        return None if out else PurePosixPath("lib", *parts[2:])
    if parts[:4] == ["usr", "share", "doc", package.name] and parts[-1] == "copyright":
        return PurePosixPath("copyright", package.name)
    in_library = parts[:-1] in (["usr", "lib", "x86_64-linux-gnu"], ["lib", "x86_64-linux-gnu"])
    return PurePosixPath("lib", parts[-1]) if in_library and ".so" in parts[-1] else None


def _settle(home: Path, pins: Pins) -> None:
    """Drop links into the base (configuration of /etc), and make the rest whole."""
    for path in sorted(home.rglob("*")):
        if path.is_symlink() and not (path.exists() and path.resolve().is_relative_to(home)):
            path.unlink()
    (home / "lib" / _LOADER).chmod(0o755)
    (home / "bin").mkdir(exist_ok=True)
    shutil.copy(TEMPLATES / "python" / HOME / "bin/python3", home / "bin/python3")
    assert (home / "lib" / pins.library / "asyncio").is_dir()


def _try(home: Path, pins: Pins, log: Path) -> None:
    """Run it as it will be run, save for its place."""
    words: list[str | Path] = [home / "lib" / _LOADER, "--inhibit-cache", "--library-path"]
    words += [home / "lib", home / "bin/python", "-IBS", "-c"]
    words += [_SMOKE.format(minor=pins.version.split(".")[1])]
    try:
        process.run(words, log)
    except OSError as error:
        raise ToolFailedError(f"the Python to bring doesn't run here: {error}", "") from error
