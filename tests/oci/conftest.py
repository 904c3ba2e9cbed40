"""Fixtures of the Docker tier."""

from __future__ import annotations

import os

os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # needs a registry; we clean up ourselves

import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.oci.daemon import docker_daemon
from tests.site import Site, build_images


@dataclass(frozen=True)
class OciImage:
    """The image, as a file and in the daemon."""

    archive: Path
    tag: str


@pytest.fixture(scope="session")
def daemon() -> Iterator[docker.DockerClient]:
    """A client of the machine's Docker daemon, or of one started for this run."""
    with docker_daemon() as client:
        yield client


@pytest.fixture(scope="session")
def oci_image(site: Site, daemon: docker.DockerClient) -> Iterator[OciImage]:
    """The OCI image, built now and loaded into Docker; gone after the run."""
    tag = f"edge-build-test:{os.getpid()}"
    words = ["--format", "oci", "--load", "--tag", tag]
    with tempfile.TemporaryDirectory(prefix="edge-test-oci-") as directory:
        try:
            [made] = build_images(site, Path(directory), *words)
            yield OciImage(Path(made["where"]), tag)
        finally:
            with suppress(docker.errors.ImageNotFound):
                daemon.images.remove(tag, force=True)
