"""Fixtures of this tier: one image, one site, one build of the agent."""

from __future__ import annotations

import itertools
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import docker
import pytest

from tests.host.base import base_image
from tests.host.lab import Machine, Site, machine, site
from tests.host.managers import Manager
from tests.oci.daemon import docker_daemon
from tests.site import REPOSITORY

SECRET = "a secret of the host tier, used nowhere else"
USER_DATA = f"#cloud-config\noverlay:\n  cidr: 100.65.9.0/24\n  secret: {SECRET}\n"
_numbers = itertools.count(1)

Make = Callable[..., Machine]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this directory is of the tier `host`."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.host)


@pytest.fixture(scope="session")
def daemon() -> Iterator[docker.DockerClient]:
    """A client of the machine's Docker daemon, or of one started for this run."""
    with docker_daemon() as client:
        yield client


@pytest.fixture(scope="session")
def the_site() -> Iterator[Site]:
    """The router that all hosts of the run share."""
    with site() as found:
        yield found


@pytest.fixture(scope="session")
def agent() -> Iterator[Path]:
    """A directory with the package and the tarball, made by the real command."""
    with tempfile.TemporaryDirectory(prefix="edge-test-agent-") as directory:
        words = [sys.executable, "-m", "builder.cli", "agent", "--output", directory, "--quiet"]
        done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=300,
                              check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        yield Path(directory)


@pytest.fixture
def make(daemon: docker.DockerClient, the_site: Site, agent: Path) -> Iterator[Make]:
    """Makes hosts with a manager in charge and the agent installed; gone after the test."""
    with ExitStack() as stack:

        def made(manager: Manager | None, suite: str = "trixie", package: bool = True) -> Machine:
            image = base_image(daemon, suite)
            host = stack.enter_context(machine(daemon, image, the_site, next(_numbers)))
            if manager is not None:
                manager.set_up(host)
                host.reboot()
                host.wait_for_network()
            if package:
                copy(agent / "edge-overlay.deb", host, "/root/edge-overlay.deb")
                host.run("dpkg --force-depends -i /root/edge-overlay.deb 2>&1")
            return host

        yield made


def copy(path: Path, host: Machine, target: str) -> None:
    """Copy a file into a host."""
    words = ["docker", "cp", "--quiet", str(path), f"{host.container.id}:{target}"]
    subprocess.run(words, check=True, timeout=60)
