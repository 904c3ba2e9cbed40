"""The OCI archive itself, by the specification, and against the ISO of the same user-data."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.oci.conftest import OciImage

pytestmark = [pytest.mark.oci, pytest.mark.timeout(300, func_only=True)]


class Layout:
    """An OCI image layout in a tar (image-spec v1.1, image-layout.md)."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar

    def read(self, name: str) -> bytes:
        """A member's content."""
        stream = self._tar.extractfile(name)
        assert stream, name
        with stream:
            return stream.read()

    def blob(self, descriptor: dict[str, Any]) -> bytes:
        """The blob that a descriptor names; its digest and size must be right."""
        algorithm, digest = descriptor["digest"].split(":")
        assert algorithm == "sha256"
        content = self.read(f"blobs/sha256/{digest}")
        assert hashlib.sha256(content).hexdigest() == digest
        assert len(content) == descriptor["size"]
        return content

    def manifest(self) -> dict[str, Any]:
        """The only image's manifest."""
        [descriptor] = json.loads(self.read("index.json"))["manifests"]
        found = json.loads(self.blob(descriptor))
        assert isinstance(found, dict)
        return found


@pytest.fixture
def layout(oci_image: OciImage) -> Iterator[Layout]:
    with tarfile.open(oci_image.archive) as tar:
        yield Layout(tar)


def test_layout_is_what_the_specification_asks_for(layout: Layout, oci_image: OciImage) -> None:
    assert json.loads(layout.read("oci-layout")) == {"imageLayoutVersion": "1.0.0"}
    [entry] = json.loads(layout.read("index.json"))["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == oci_image.tag
    manifest = layout.manifest()
    config = json.loads(layout.blob(manifest["config"]))
    assert (config["os"], config["architecture"]) == ("linux", "amd64")
    assert len(manifest["layers"]) == len(config["rootfs"]["diff_ids"]) == 2
    for layer, diff_id in zip(manifest["layers"], config["rootfs"]["diff_ids"], strict=True):
        unpacked = gzip.decompress(layout.blob(layer))
        assert f"sha256:{hashlib.sha256(unpacked).hexdigest()}" == diff_id


def test_layers_are_those_of_the_iso(layout: Layout, iso_image: Path, tmp_path: Path) -> None:
    config = json.loads(layout.blob(layout.manifest()["config"]))
    names = ("10-base.squashfs", "20-edge.squashfs")
    for name, diff_id in zip(names, config["rootfs"]["diff_ids"], strict=True):
        squashfs = tmp_path / name
        words = ["xorriso", "-osirrox", "on", "-indev", str(iso_image)]
        words += ["-extract", f"/live/{name}", str(squashfs)]
        subprocess.run(words, check=True, capture_output=True, timeout=120)
        words = ["sqfs2tar", str(squashfs)]
        with subprocess.Popen(words, stdout=subprocess.PIPE) as process:
            assert process.stdout
            digest = hashlib.sha256()
            while chunk := process.stdout.read(1 << 20):
                digest.update(chunk)
        assert f"sha256:{digest.hexdigest()}" == diff_id, f"{name}: other content than in the ISO"
        squashfs.unlink()


def test_docker_has_the_same_image(
    layout: Layout, oci_image: OciImage, daemon: docker.DockerClient
) -> None:
    loaded = daemon.images.get(oci_image.tag)
    config = json.loads(layout.blob(layout.manifest()["config"]))
    assert loaded.attrs["RootFS"]["Layers"] == config["rootfs"]["diff_ids"]
    assert loaded.attrs["Config"]["Cmd"] == ["/sbin/init"]
