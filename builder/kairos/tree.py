"""The file system that an image's layers make together, without unpacking them.

Layers are tar streams stacked as the OCI image specification says (image-spec, layer.md): a
`.wh.NAME` hides what lower layers have of that name, `.wh..wh..opq` all that they have in its
directory. What is left is written as one tar stream, with owners, modes, extended attributes,
device nodes and hard links as they were: nothing of it needs root.
"""

from __future__ import annotations

import copy
import hashlib
import posixpath
import tarfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from builder.errors import InputError

_WHITEOUT = ".wh."
_OPAQUE = ".wh..wh..opq"
_LINK_LIMIT = 40
_XATTR = "SCHILY.xattr."
_NEEDED = {"run": 0o755, "dev": 0o755, "boot": 0o755, "usr/local": 0o755, "oem": 0o755,
           "proc": 0o555, "sys": 0o555, "tmp": 0o1777}  # fmt: skip
"""Directories that Kairos's boot mounts something on; its ISO builder makes them too."""

OpenTar = Callable[[], AbstractContextManager[IO[bytes]]]


@dataclass(frozen=True)
class TarLayer:
    """A layer to stack: how its uncompressed tar is opened, and its SHA-256 (hex) if known."""

    name: str
    open_tar: OpenTar
    diff_id: str | None = None


@dataclass(frozen=True)
class Entry:
    """One name of the merged file system.

    `content` says where the bytes of a file are: number of the layer, number of the member in it.
    Names with the same content are hard links of each other.
    """

    info: tarfile.TarInfo
    content: tuple[int, int] | None = None


class Tree:
    """The merged file system: entries by path, without a leading slash."""

    def __init__(self, layers: Sequence[TarLayer]) -> None:
        """Read all layers once. Raises InputError if one is damaged."""
        self.layers = tuple(layers)
        self.entries: dict[str, Entry] = {}
        for number, layer in enumerate(self.layers):
            self._stack(number, layer)
        for path, mode in _NEEDED.items():
            if self.resolve(path) is None:
                info = tarfile.TarInfo(path)
                info.type, info.mode = tarfile.DIRTYPE, mode
                self.entries[path] = Entry(info)

    def with_layer(self, layer: TarLayer) -> Tree:
        """Another tree: this one with a layer on top."""
        made = copy.copy(self)
        made.entries = dict(self.entries)
        made.layers = (*self.layers, layer)
        made._stack(len(self.layers), layer)
        return made

    def _stack(self, number: int, layer: TarLayer) -> None:
        members: list[tuple[str, tarfile.TarInfo, int]] = []
        hidden: list[str] = []
        with _members(layer) as found:
            for position, info in enumerate(found):
                path = _clean(info.name)
                folder, name = posixpath.split(path)
                if name == _OPAQUE:
                    hidden.append(folder + "/")
                elif name.startswith(_WHITEOUT):
                    hidden.append(posixpath.join(folder, name.removeprefix(_WHITEOUT)))
                elif path:
                    members.append((path, info, position))
        self._hide(hidden)
        for path, info, position in members:
            self._add(path, info, (number, position))

    def _hide(self, hidden: list[str]) -> None:
        """Take away what whiteouts name: only what lower layers have."""
        if not hidden:
            return
        names = {path for path in hidden if not path.endswith("/")}
        folders = {path for path in hidden if path.endswith("/")}
        for path in list(self.entries):
            above = {path, *_parents(path)}
            if above & names or any(f"{p}/" in folders for p in _parents(path)):
                del self.entries[path]

    def _add(self, path: str, info: tarfile.TarInfo, place: tuple[int, int]) -> None:
        path = self._place(path)
        before = self.entries.get(path)
        if info.isdir():
            self.entries[path] = Entry(info)
            return
        if before is not None and before.info.isdir():
            self._remove_below(path)
        if info.islnk():
            linked = self.entries.get(self._place(_clean(info.linkname)))
            if linked is None:
                raise InputError(
                    f"the base is damaged: {path} is a hard link to {info.linkname}, which isn't "
                    "there",
                    "make or pull the base anew",
                )
            self.entries[path] = linked
        else:
            self.entries[path] = Entry(info, place if info.isreg() else None)

    def _remove_below(self, path: str) -> None:
        for other in [other for other in self.entries if other.startswith(path + "/")]:
            del self.entries[other]

    def _place(self, path: str) -> str:
        """Where a layer's name lands: links to directories above it are followed, as container
        engines do; the name itself is not."""
        folder, name = posixpath.split(path)
        return posixpath.join(self.resolve(folder) or folder, name) if folder else name

    def resolve(self, path: str) -> str | None:
        """The path with every symbolic link followed, or None if it leads nowhere."""
        done: list[str] = []
        rest = [part for part in path.split("/") if part]
        links = 0
        while rest:
            part = rest.pop(0)
            if part in (".", ".."):
                done = done[:-1] if part == ".." else done
                continue
            here = "/".join([*done, part])
            entry = self.entries.get(here)
            if entry is not None and entry.info.issym():
                links += 1
                if links > _LINK_LIMIT:
                    return None
                target = entry.info.linkname
                done = [] if target.startswith("/") else done
                rest = [p for p in target.split("/") if p] + rest
                continue
            done.append(part)
        found = "/".join(done)
        return found if not found or found in self.entries else None

    def file(self, path: str) -> Entry | None:
        """The regular file at `path`, links followed, if there is one."""
        found = self.resolve(path)
        entry = self.entries.get(found) if found else None
        return entry if entry is not None and entry.content is not None else None

    def names(self, folder: str) -> list[str]:
        """Names in a directory, sorted."""
        inside = self.resolve(folder)
        start = f"{inside}/" if inside else ""
        found = {p.removeprefix(start) for p in self.entries if p.startswith(start)}
        return sorted(name for name in found if name and "/" not in name)

    def read(self, paths: Sequence[str]) -> dict[str, bytes]:
        """The content of small files, of those that are there."""
        found: dict[str, bytes] = {}

        def keep(path: str, stream: IO[bytes]) -> None:
            found[path] = stream.read()

        self._visit(paths, keep)
        return found

    def extract(self, files: Mapping[str, Path]) -> None:
        """Copy files of the tree (links followed) to where the mapping says."""

        def copy(path: str, stream: IO[bytes]) -> None:
            with files[path].open("wb") as target:
                while chunk := stream.read(1 << 20):
                    target.write(chunk)

        self._visit(list(files), copy)

    def _visit(self, paths: Sequence[str], visit: Callable[[str, IO[bytes]], None]) -> None:
        wanted: dict[int, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        for path in paths:
            entry = self.file(path)
            if entry and entry.content:
                wanted[entry.content[0]][entry.content[1]].append(path)
        for number, places in wanted.items():
            last = max(places)
            with self.layers[number].open_tar() as raw, _reading(raw) as tar:
                for position, info in enumerate(tar):
                    if position in places:
                        stream = tar.extractfile(info)
                        assert stream is not None
                        [path, *others] = places[position]
                        visit(path, stream)
                        for other in others:
                            self._visit([other], visit)
                    if position == last:
                        break

    def write_tar(self, target: IO[bytes]) -> None:
        """Write the whole tree as one tar stream: directories and nodes, then files as the layers
        have them. The same layers give the same bytes."""
        with tarfile.open(fileobj=target, mode="w|", format=tarfile.PAX_FORMAT) as tar:
            for path in sorted(self.entries):
                entry = self.entries[path]
                if entry.content is None:
                    tar.addfile(_header(entry.info, path))
            for number, names in sorted(self._names_by_content().items()):
                self._copy_files(number, names, tar)

    def _names_by_content(self) -> dict[int, dict[int, list[str]]]:
        names: dict[int, dict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
        for path in sorted(self.entries):
            if content := self.entries[path].content:
                names[content[0]][content[1]].append(path)
        return names

    def _copy_files(self, number: int, names: dict[int, list[str]], tar: tarfile.TarFile) -> None:
        with self.layers[number].open_tar() as raw, _reading(raw) as source:
            for position, info in enumerate(source):
                if position not in names:
                    continue
                first, *others = names[position]
                tar.addfile(_header(info, first), source.extractfile(info))
                for other in others:
                    link = _header(info, other)
                    link.type, link.linkname, link.size = tarfile.LNKTYPE, first, 0
                    tar.addfile(link)


def _header(info: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
    """The member under another name, with its extended attributes and nothing else of PAX.

    squashfs has no place for POSIX ACLs; the modes stay.
    """
    made = copy.copy(info)
    made.name, made.mtime = path, int(info.mtime)
    made.pax_headers = {
        key: value
        for key, value in info.pax_headers.items()
        if key.startswith(_XATTR) and not key.startswith(f"{_XATTR}system.")
    }
    if made.isreg():
        made.type = tarfile.REGTYPE
    made.uname = made.gname = ""
    return made


@contextmanager
def _members(layer: TarLayer) -> Iterator[Iterator[tarfile.TarInfo]]:
    """All members of a layer; at the end its digest is compared."""
    with layer.open_tar() as raw:
        stream = _Hashing(raw)
        with _reading(stream) as tar:
            yield iter(tar)
        while stream.read(1 << 20):
            pass
    if layer.diff_id is not None and stream.digest() != layer.diff_id:
        raise InputError(
            f"the base is damaged: {layer.name} is not what its digest says",
            "copy or pull the base anew",
        )


@contextmanager
def _reading(stream: IO[bytes] | _Hashing) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(fileobj=stream, mode="r|", errorlevel=2) as tar:  # type: ignore[call-overload]
            yield tar
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(
            f"the base is damaged: a layer can't be read: {error}", "copy or pull the base anew"
        ) from error


class _Hashing:
    """Reads through and hashes what was read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._hash.update(data)
        return data

    def digest(self) -> str:
        return self._hash.hexdigest()


def _clean(name: str) -> str:
    return posixpath.normpath("/" + name).lstrip("/")


def _parents(path: str) -> Iterator[str]:
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path
    yield ""
