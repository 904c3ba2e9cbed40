"""The builder as a container, with no rights but Docker's defaults: no --privileged, no cap_add.

The Dockerfile's base comes from mmdebstrap: the test needs a Debian mirror and PyPI, but no
registry.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import docker
import docker.errors
import pytest

from tests.site import REPOSITORY, Site

pytestmark = [pytest.mark.oci, pytest.mark.timeout(900)]

_MACHINES_OWN_CAS = Path("/usr/local/share/ca-certificates")
"""A company's network may have its own certificates: what this machine trusts, the image must."""


@pytest.fixture(scope="module")
def debian(daemon: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The tag of a minimal Debian trixie, as debian:trixie-slim is."""
    archive = tmp_path_factory.mktemp("debian") / "trixie.tar"
    words = ["mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates"]
    if _MACHINES_OWN_CAS.is_dir():
        words += [f"--essential-hook=copy-in {_MACHINES_OWN_CAS} /usr/local/share"]
    words += ["trixie", str(archive), "http://deb.debian.org/debian"]
    answer = subprocess.run(words, capture_output=True, text=True, timeout=300, check=False)
    assert answer.returncode == 0, answer.stderr
    repository, tag = "edge-build-test-debian", str(os.getpid())
    daemon.api.import_image_from_file(str(archive), repository=repository, tag=tag)
    archive.unlink()
    yield f"{repository}:{tag}"
    daemon.images.remove(f"{repository}:{tag}", force=True)


@pytest.fixture(scope="module")
def builder(daemon: docker.DockerClient, debian: str) -> Iterator[str]:
    """The tag of the image made from the Dockerfile."""
    tag = f"edge-build-test-builder:{os.getpid()}"
    try:
        daemon.images.build(
            path=str(REPOSITORY), tag=tag, buildargs={"BASE": debian}, network_mode="host", rm=True
        )
        yield tag
    except docker.errors.BuildError as error:
        said = "".join(line.get("stream", "") for line in error.build_log)
        pytest.fail(f"the Dockerfile can't be built: {error}\n{said[-4000:]}", pytrace=False)
    finally:
        with suppress(docker.errors.ImageNotFound):
            daemon.images.remove(tag, force=True)


def test_it_builds_an_iso_without_privileges(
    daemon: docker.DockerClient, builder: str, site: Site, tmp_path: Path
) -> None:
    (tmp_path / "user-data.yaml").write_text(site.user_data())
    container = daemon.containers.run(
        builder,
        ["image", "--user-data", "user-data.yaml", "--output", "out"],
        detach=True,
        network_mode="host",  # only for package downloads from behind whatever this machine is
        volumes={str(tmp_path): {"bind": "/work", "mode": "rw"}},
    )
    try:
        status = container.wait(timeout=600)["StatusCode"]
        said = container.logs().decode(errors="replace")
        assert status == 0, said
        assert container.attrs["HostConfig"]["Privileged"] is False
        assert not container.attrs["HostConfig"]["CapAdd"]
    finally:
        container.remove(force=True, v=True)
    report = subprocess.run(
        ["xorriso", "-indev", tmp_path / "out/edge-installer.iso", "-report_el_torito", "plain"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "BIOS  y" in report and "UEFI  y" in report
    assert sorted(p.name for p in (tmp_path / "out").iterdir() if p.suffix == ".iso") == [
        "edge-installer.iso"
    ]
