"""The derived OCI image: the base's layers as they are, the edge layer on top."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from builder import __version__
from builder.blob import Blob
from builder.kairos.layer import EdgeLayer
from builder.kairos.source import SourceImage
from builder.output import oci

_TYPES = {
    b"\x1f\x8b": f"{oci.LAYER_TYPE}+gzip",
    b"\x28\xb5": f"{oci.LAYER_TYPE}+zstd",
}


@dataclass(frozen=True)
class DerivedImage:
    """The image to write: its configuration, and its layers' blobs."""

    config: dict[str, Any]
    layers: tuple[tuple[str, Blob], ...]
    """Digest (hex) and bytes of each, lowest first."""

    @property
    def image_id(self) -> str:
        """SHA-256 (hex) of the configuration: what Docker calls the image's ID. The same whichever
        way the base came."""
        return oci.sha256(oci.to_json(self.config))


def derive(base: SourceImage, edge: EdgeLayer, epoch: int) -> DerivedImage:
    """The base's image with one layer more; what else the base says of itself stays."""
    config = copy.deepcopy(base.config)
    created = datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    config["created"] = created
    config["rootfs"]["diff_ids"].append(f"sha256:{edge.diff_id}")
    line = {"created": created, "created_by": f"edge-build {__version__}: edge"}
    config["history"] = [*config.get("history", []), line]
    ours = (edge.digest, Blob(edge.packed, 0, edge.packed.stat().st_size))
    return DerivedImage(config, (*[(layer.digest, layer.blob) for layer in base.layers], ours))


def write_archive(image: DerivedImage, tag: str, final: Path, epoch: int) -> str:
    """Write it as an OCI archive that `docker load` takes too, whole or not at all; returns the
    archive's SHA-256. Raises OutputError or DiskFullError."""
    blobs = dict(image.layers)
    descriptors = [
        {"mediaType": _media_type(blob), "digest": f"sha256:{digest}", "size": blob.size}
        for digest, blob in image.layers
    ]
    return oci.write_blobs(oci.to_json(image.config), descriptors, blobs, tag, final, epoch)


def _media_type(blob: Blob) -> str:
    with blob.open() as stream:
        return _TYPES.get(stream.read(2), oci.LAYER_TYPE)


def tags_of(names: Sequence[str]) -> list[str]:
    """Names with a version each, as the daemon keeps them."""
    return [name if ":" in name.rpartition("/")[2] else f"{name}:latest" for name in names]
