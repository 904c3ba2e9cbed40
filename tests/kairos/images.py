"""Images of the miniature base as the sources that `--base` takes."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

_INDEX = "application/vnd.oci.image.index.v1+json"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


class Layout:
    """Writes an OCI layout, with other tools than the ones under test."""

    def __init__(self, path: Path, architecture: str = "amd64") -> None:
        self.path = path
        self._architecture = architecture
        self._layers: list[dict[str, Any]] = []
        self._diff_ids: list[str] = []
        (path / "blobs/sha256").mkdir(parents=True)

    def add_layer(self, tar: Path) -> None:
        """A layer from an uncompressed tar."""
        packed = self.path / "packed"
        whole = hashlib.sha256()
        with (
            tar.open("rb") as plain,
            packed.open("wb") as raw,
            gzip.GzipFile("", "wb", 1, raw, mtime=0) as stream,
        ):
            while chunk := plain.read(1 << 20):
                whole.update(chunk)
                stream.write(chunk)
        with packed.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
        size = packed.stat().st_size
        packed.rename(self.path / "blobs/sha256" / digest)
        self._layers.append({"mediaType": _LAYER, "digest": f"sha256:{digest}", "size": size})
        self._diff_ids.append(f"sha256:{whole.hexdigest()}")

    def finish(self) -> Path:
        """Write what names the layers."""
        config = {
            "architecture": self._architecture,
            "os": "linux",
            "created": "2026-01-01T00:00:00Z",
            "config": {"Env": ["PATH=/usr/bin"], "Labels": {"made.by": "the tests"}},
            "rootfs": {"type": "layers", "diff_ids": self._diff_ids},
            "history": [{"created_by": "tests"} for _ in self._diff_ids],
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": _MANIFEST,
            "config": self._blob(_CONFIG, config),
            "layers": self._layers,
        }
        descriptor = self._blob(_MANIFEST, manifest)
        descriptor["platform"] = {"os": "linux", "architecture": self._architecture}
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": [descriptor]}
        (self.path / "index.json").write_text(json.dumps(index))
        (self.path / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
        return self.path

    def _blob(self, media_type: str, value: Any) -> dict[str, Any]:
        content = json.dumps(value).encode()
        digest = hashlib.sha256(content).hexdigest()
        (self.path / "blobs/sha256" / digest).write_bytes(content)
        return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": len(content)}


def layout(path: Path, *layers: Path, architecture: str = "amd64") -> Path:
    """An OCI layout of these tars, lowest first."""
    made = Layout(path, architecture)
    for tar in layers:
        made.add_layer(tar)
    return made.finish()


def archive(layout_path: Path, path: Path) -> Path:
    """An OCI archive of a layout, with the list that `docker load` goes by."""
    index = json.loads((layout_path / "index.json").read_text())
    name = _blob_name(index["manifests"][0]["digest"])
    manifest = json.loads((layout_path / name).read_text())
    layers = [_blob_name(layer["digest"]) for layer in manifest["layers"]]
    config = _blob_name(manifest["config"]["digest"])
    listed = path.with_suffix(".json")
    listed.write_text(json.dumps([{"Config": config, "RepoTags": None, "Layers": layers}]))
    with tarfile.open(path, "w") as tar:
        for item in sorted(layout_path.iterdir()):
            tar.add(item, item.name)
        tar.add(listed, "manifest.json")
    return path


def _blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def directory(tar: Path, path: Path) -> Path:
    """A root file system, unpacked by tar(1)."""
    path.mkdir()
    words = ["tar", "--extract", "--numeric-owner", "--xattrs", "--xattrs-include=*"]
    subprocess.run([*words, "--file", tar, "--directory", path], check=True, timeout=120)
    return path


def small_tar(path: Path, source: Path) -> Path:
    """A tar of a directory of the test's own."""
    with tarfile.open(path, "w") as tar:
        for item in sorted(source.rglob("*")):
            tar.add(item, str(item.relative_to(source)), recursive=False)
    return path


def remove(path: Path) -> None:
    """A file or a tree."""
    shutil.rmtree(path) if path.is_dir() else path.unlink()
