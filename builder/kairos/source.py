"""Container images as files: OCI archives, OCI layouts, and what `docker save` writes."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import json
import lzma
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from builder import process
from builder.blob import Blob
from builder.errors import InputError, MissingFileError
from builder.kairos.reference import BaseReference, Kind

ARCHITECTURE = "amd64"
_TOOLS = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"\x02\x21\x4c\x18": "lz4"}
"""Programs that unpack, by the first bytes of what they take."""
_JSON_LIMIT = 4 << 20
_INDEX_TYPES = ("image.index.v1+json", "manifest.list.v2+json")


@dataclass(frozen=True)
class SourceLayer:
    """One layer: its blob, its media type, and the digest (hex) of the tar in it."""

    blob: Blob
    digest: str
    diff_id: str

    @contextlib.contextmanager
    def open_tar(self) -> Iterator[IO[bytes]]:
        """The layer's tar, uncompressed, as a stream."""
        with self.blob.open() as stored, decompressed(stored, self.blob) as stream:
            yield stream


@dataclass(frozen=True)
class SourceImage:
    """An image: its configuration (image-spec v1.1) and its layers, lowest first."""

    config: dict[str, Any]
    layers: tuple[SourceLayer, ...]
    name: str


@contextlib.contextmanager
def decompressed(stored: IO[bytes], blob: Blob) -> Iterator[IO[bytes]]:
    """A stream without its compression, which is told by its first bytes."""
    magic = stored.peek(6)[:6] if isinstance(stored, io.BufferedReader) else b""
    if magic.startswith(b"\x1f\x8b"):
        with gzip.open(stored) as unpacked:
            yield cast(IO[bytes], unpacked)
    elif magic.startswith(b"\xfd7zXZ"):
        with lzma.open(stored) as unpacked_xz:
            yield unpacked_xz
    elif magic.startswith(b"BZh"):
        with bz2.open(stored) as unpacked_bz2:
            yield cast(IO[bytes], unpacked_bz2)
    elif tool := next((t for sign, t in _TOOLS.items() if magic.startswith(sign)), None):
        with _through(tool, blob) as unpacked_otherwise:
            yield unpacked_otherwise
    else:
        yield stored


@contextlib.contextmanager
def _through(tool: str, blob: Blob) -> Iterator[IO[bytes]]:
    """Unpack with a program what Python 3.11 can't."""
    process.require_tools([tool])
    words = f'tail -c +{blob.offset + 1} -- "$1" | head -c {blob.size} | {tool} -dcq'
    unpacker = subprocess.Popen(
        ["sh", "-c", words, "sh", str(blob.path)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert unpacker.stdout is not None
    try:
        yield unpacker.stdout
    finally:
        unpacker.stdout.close()
        unpacker.wait()


def open_image(reference: BaseReference) -> SourceImage:
    """The image in an archive or a layout; raises InputError or MissingFileError.

    Of an image for several platforms, the one for linux/amd64 is taken.
    """
    try:
        if reference.kind is Kind.LAYOUT:
            return _Store(reference, _layout_blobs(reference.path)).image()
        return _Store(reference, _archive_blobs(reference.path)).image()
    except tarfile.TarError as error:
        raise InputError(
            f"{reference.path} is no tar archive: {error}",
            "name an OCI archive (or the output of `docker save`), not compressed",
        ) from error
    except PermissionError as error:
        raise MissingFileError(
            f"can't read {error.filename or reference.path}: {error.strerror}", "check permissions"
        ) from error
    except (KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        raise InputError(
            f"{reference} is no OCI image: {type(error).__name__} {error}",
            "make it anew, for instance with: skopeo copy docker://REF oci-archive:FILE.tar",
        ) from error


def _layout_blobs(layout: Path) -> dict[str, Blob]:
    files = [p for p in layout.rglob("*") if p.is_file()]
    return {str(p.relative_to(layout)): Blob(p, 0, p.stat().st_size) for p in files}


def _archive_blobs(path: Path) -> dict[str, Blob]:
    blobs: dict[str, Blob] = {}
    links: dict[str, str] = {}
    with tarfile.open(path, "r:") as tar:
        for member in tar:
            name = member.name.removeprefix("./")
            if member.issym():  # `docker save` before 25 links a layer that comes twice
                links[name] = str(Path(name).parent / member.linkname)
            elif member.isfile():
                blobs[name] = Blob(path, member.offset_data, member.size)
    size = path.stat().st_size
    for name, target in links.items():
        parts: list[str] = []
        for part in Path(target).parts:
            parts = parts[:-1] if part == ".." else [*parts, part]
        if found := blobs.get("/".join(parts)):
            blobs[name] = found
    if any(blob.offset + blob.size > size for blob in blobs.values()):
        raise InputError(f"{path} is cut off", "copy it again: its end is missing")
    return blobs


class _Store:
    """Blobs by their names, and how an image is put together from them."""

    def __init__(self, reference: BaseReference, blobs: dict[str, Blob]) -> None:
        self._reference = reference
        self._blobs = blobs

    def image(self) -> SourceImage:
        if "index.json" in self._blobs:
            return self._from_manifest(self._choose(self._json("index.json")["manifests"]))
        if "manifest.json" in self._blobs:
            return self._from_docker_save()
        raise InputError(
            f"{self._reference} holds no image: neither index.json nor manifest.json is in it",
            "a tar of a root file system is no image: unpack it and write dir:DIRECTORY",
        )

    def _choose(self, descriptors: list[dict[str, Any]]) -> dict[str, Any]:
        """The manifest for linux/amd64, through nested indexes."""
        others: list[str] = []
        for descriptor in descriptors:
            platform = descriptor.get("platform", {})
            word = f"{platform.get('os')}/{platform.get('architecture')}"
            if descriptor["mediaType"].endswith(_INDEX_TYPES):
                return self._choose(self._json(_blob_name(descriptor["digest"]))["manifests"])
            if not platform or word == f"linux/{ARCHITECTURE}":
                manifest: dict[str, Any] = self._json(_blob_name(descriptor["digest"]))
                return manifest
            others.append(word)
        what = ", ".join(others) or "nothing"
        raise InputError(
            f"{self._reference} is not for linux/{ARCHITECTURE}: it holds {what}",
            f"name an image for {ARCHITECTURE} (the only architecture that edge-build makes)",
        )

    def _from_manifest(self, manifest: dict[str, Any]) -> SourceImage:
        config = self._config(_blob_name(manifest["config"]["digest"]))
        pairs = zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True)
        layers = [
            SourceLayer(
                self._blob(_blob_name(descriptor["digest"])),
                descriptor["digest"].removeprefix("sha256:"),
                diff_id.removeprefix("sha256:"),
            )
            for descriptor, diff_id in pairs
        ]
        return SourceImage(config, tuple(layers), str(self._reference))

    def _from_docker_save(self) -> SourceImage:
        entries = self._json("manifest.json")
        if len(entries) != 1:
            raise InputError(
                f"{self._reference} holds {len(entries)} images", "save one image into it"
            )
        config = self._config(entries[0]["Config"])
        pairs = zip(entries[0]["Layers"], config["rootfs"]["diff_ids"], strict=True)
        layers = []
        for name, diff_id in pairs:
            blob = self._blob(name)
            layers.append(SourceLayer(blob, blob.digest(), diff_id.removeprefix("sha256:")))
        return SourceImage(config, tuple(layers), str(self._reference))

    def _config(self, name: str) -> dict[str, Any]:
        config: dict[str, Any] = self._json(name)
        found = f"{config.get('os')}/{config.get('architecture')}"
        if found != f"linux/{ARCHITECTURE}":
            raise InputError(
                f"{self._reference} is not for linux/{ARCHITECTURE}: it is for {found}",
                f"name an image for {ARCHITECTURE} (the only architecture that edge-build makes)",
            )
        return config

    def _json(self, name: str) -> Any:
        blob = self._blob(name)
        if blob.size > _JSON_LIMIT:
            raise ValueError(f"{name} is too long")
        with blob.open() as stream:
            return json.loads(stream.read())

    def _blob(self, name: str) -> Blob:
        blob = self._blobs.get(name)
        if blob is None:
            raise InputError(
                f"{self._reference} lacks {name}", "it was not copied whole: copy it again"
            )
        return blob


def _blob_name(digest: str) -> str:
    algorithm, _, value = digest.partition(":")
    return f"blobs/{algorithm}/{value}"
