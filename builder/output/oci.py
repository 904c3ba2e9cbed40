"""The OCI image: the ISO's two layers as an OCI image archive, and loaded into Docker.

The archive is an OCI image layout (image-spec v1.1) with the `manifest.json` of `docker save`
beside it, so that Docker before 25, which doesn't read layouts, loads it too.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder import __version__, process
from builder.base.debian import BaseFiles
from builder.blob import Blob
from builder.cache import Cache, file_digest
from builder.errors import UnavailableError
from builder.output.checksum import checksummed_file, read_checksum

TOOLS = ("sqfs2tar", "mksquashfs", "setpriv")
_CHUNK = 1 << 20
_GZIP_LEVEL = 6

LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
"""Of a layer without compression; `+gzip` and `+zstd` behind it name one."""

_CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
_MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
_INDEX_TYPE = "application/vnd.oci.image.index.v1+json"


@dataclass(frozen=True)
class Layer:
    """A gzipped tar: its file, its digest and size, and the digest of what it unpacks to."""

    path: Path
    digest: str
    size: int
    diff_id: str

    @property
    def descriptor(self) -> dict[str, Any]:
        """As the manifest names it."""
        return {
            "mediaType": f"{LAYER_TYPE}+gzip",
            "digest": f"sha256:{self.digest}",
            "size": self.size,
        }


def base_layer(base: BaseFiles, cache: Cache, log: Path) -> tuple[Layer, bool]:
    """The base as a tar layer, and whether it was in the cache (made once a base)."""

    def make(directory: Path) -> None:
        layer = _convert(base.layer, directory / "layer.tar.gz", log)
        record = {"digest": layer.digest, "size": layer.size, "diff_id": layer.diff_id}
        (directory / "layer.json").write_text(json.dumps(record))

    inputs = {"base": base.directory.name, "code": file_digest(Path(__file__))}
    entry = cache.get("ocibase", inputs, make)
    record = json.loads((entry.path / "layer.json").read_text())
    return Layer(path=entry.path / "layer.tar.gz", **record), entry.was_cached


def edge_layer(squashfs: Path, work: Path, log: Path) -> Layer:
    """The edge layer as a tar layer."""
    return _convert(squashfs, work / "20-edge.tar.gz", log)


def _convert(squashfs: Path, target: Path, log: Path) -> Layer:
    """squashfs → tar → gzip without unpacking anything, so without needing to be root."""
    unpacked = hashlib.sha256()
    with (
        process.piped(["sqfs2tar", squashfs], log) as stream,
        target.open("wb") as raw,
        gzip.GzipFile("", "wb", _GZIP_LEVEL, raw, mtime=0) as packed,
    ):
        while chunk := stream.read(_CHUNK):
            unpacked.update(chunk)
            packed.write(chunk)
    with target.open("rb") as done:
        packed_digest = hashlib.file_digest(done, "sha256").hexdigest()
    return Layer(target, packed_digest, target.stat().st_size, unpacked.hexdigest())


def write_archive(layers: list[Layer], tag: str, final: Path, epoch: int) -> str:
    """Write the archive and its `.sha256`, whole or not at all; returns its SHA-256."""
    blobs = {layer.digest: Blob(layer.path, 0, layer.size) for layer in layers}
    descriptors = [layer.descriptor for layer in layers]
    return write_blobs(to_json(_image_config(layers, epoch)), descriptors, blobs, tag, final, epoch)


def write_blobs(
    config: bytes,
    layers: list[dict[str, Any]],
    blobs: Mapping[str, Blob],
    tag: str,
    final: Path,
    epoch: int,
) -> str:
    """Write an archive of `config` and the layers of these descriptors, whose bytes are `blobs`
    by their digests (hex). Returns the archive's SHA-256, which its `.sha256` holds too."""
    manifest = to_json(
        {
            "schemaVersion": 2,
            "mediaType": _MANIFEST_TYPE,
            "config": _descriptor(_CONFIG_TYPE, config),
            "layers": layers,
        }
    )
    named = {
        "io.containerd.image.name": tag,
        "org.opencontainers.image.ref.name": tag.rpartition(":")[2],
    }
    index = {
        "schemaVersion": 2,
        "mediaType": _INDEX_TYPE,
        "manifests": [{**_descriptor(_MANIFEST_TYPE, manifest), "annotations": named}],
    }
    names = [f"blobs/{layer['digest'].replace(':', '/')}" for layer in layers]
    docker_save = [{"Config": f"blobs/sha256/{sha256(config)}", "RepoTags": [tag], "Layers": names}]
    with (
        checksummed_file(final) as path,
        tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for directory in ("blobs", "blobs/sha256"):
            _add_directory(tar, directory, epoch)
        for content in (config, manifest):
            _add(tar, f"blobs/sha256/{sha256(content)}", content, epoch)
        for digest, blob in blobs.items():
            _add_blob(tar, f"blobs/sha256/{digest}", blob, epoch)
        _add(tar, "index.json", to_json(index), epoch)
        _add(tar, "manifest.json", to_json(docker_save), epoch)
        _add(tar, "oci-layout", to_json({"imageLayoutVersion": "1.0.0"}), epoch)
    return read_checksum(final)


def _image_config(layers: list[Layer], epoch: int) -> dict[str, Any]:
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Cmd": ["/sbin/init"],
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin", "container=docker"],
            "StopSignal": "SIGRTMIN+3",  # systemd(1): halt in order
            "Labels": {"org.opencontainers.image.version": __version__},
        },
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in layers]},
        "history": [
            {"created": created, "created_by": f"edge-build {__version__}: {name}"}
            for name in ("base", "edge")
        ],
    }


def check_daemon() -> None:
    """Raise UnavailableError unless a Docker daemon answers (before any work is done for it)."""
    import docker.errors

    try:
        with _docker_client() as client:
            client.ping()
    except (docker.errors.DockerException, OSError) as error:
        raise UnavailableError(
            f"no Docker daemon answers: {error}", "start it or set DOCKER_HOST, or leave --load out"
        ) from error


def load_into_docker(archive: Path, tag: str) -> str:
    """Load the archive into the Docker daemon that DOCKER_HOST names; returns the image's ID.

    Raises UnavailableError if no daemon answers or it refuses the image.
    """
    import docker
    import docker.errors

    try:
        with _docker_client() as client, archive.open("rb") as stream:
            client.images.load(stream)
            return str(client.images.get(tag).id)
    except (docker.errors.DockerException, OSError) as error:
        raise UnavailableError(
            f"the image could not be loaded into Docker: {error}",
            f"start the daemon or set DOCKER_HOST, then: docker load --input {archive}",
        ) from error


@contextlib.contextmanager
def _docker_client() -> Iterator[Any]:
    import docker

    client = docker.from_env(timeout=300)
    try:
        yield client
    finally:
        client.close()


def sha256(content: bytes) -> str:
    """SHA-256 (hex)."""
    return hashlib.sha256(content).hexdigest()


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{sha256(content)}", "size": len(content)}


def to_json(value: Any) -> bytes:
    """JSON without spaces, keys sorted: the same value gives the same digest."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True).encode()


def _info(name: str, epoch: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.mtime = epoch
    info.mode = 0o644
    return info


def _add_directory(tar: tarfile.TarFile, name: str, epoch: int) -> None:
    info = _info(name, epoch)
    info.type = tarfile.DIRTYPE
    info.mode = 0o755
    tar.addfile(info)


def _add(tar: tarfile.TarFile, name: str, content: bytes, epoch: int) -> None:
    info = _info(name, epoch)
    info.size = len(content)
    tar.addfile(info, io.BytesIO(content))


def _add_blob(tar: tarfile.TarFile, name: str, blob: Blob, epoch: int) -> None:
    info = _info(name, epoch)
    info.size = blob.size
    with blob.open() as stream:
        tar.addfile(info, stream)
