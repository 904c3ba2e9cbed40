"""Fixtures of this tier: one image, one site, one build of the agent; and its tests, some at once.

A host mostly waits: for its boot, its lease, the operator. So with the tier's first test all of
them are started, `_AT_ONCE` at a time, each in a thread with hosts of its own; each test then
tells how its own went.
"""

from __future__ import annotations

import inspect
import itertools
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import docker
import pytest

from tests.host.base import base_image
from tests.host.lab import Machine, Site, machine, site
from tests.host.managers import Manager
from tests.oci.daemon import docker_daemon
from tests.site import REPOSITORY

SECRET = "a secret of the host tier, used nowhere else"
USER_DATA = f"#cloud-config\noverlay:\n  cidr: 100.65.9.0/24\n  secret: {SECRET}\n"
_AT_ONCE = 5
_LIMIT_S = 1200.0
"""From when a test is asked for: the first one waits for the base image, too."""

_numbers = itertools.count(1)


@dataclass(frozen=True)
class Lab:
    """What all hosts of the run share. `agent`: a directory with the package and the tarball."""

    docker: docker.DockerClient
    site: Site
    agent: Path


@dataclass(frozen=True)
class Make:
    """Makes hosts with a manager in charge and the agent installed; gone after the test."""

    lab: Lab
    stack: ExitStack

    def __call__(
        self,
        manager: Manager | None,
        suite: str = "trixie",
        package: bool = True,
        nics: int = 1,
    ) -> Machine:
        """A host that has booted, and is on the network if a manager brings it there."""
        image = base_image(self.lab.docker, suite)
        made = machine(self.lab.docker, image, self.lab.site, next(_numbers), nics)
        host = self.stack.enter_context(made)
        if manager is not None:
            manager.set_up(host)
            host.reboot()
            host.wait_for_network()
        if package:
            self.install(host)
        return host

    def install(self, host: Machine) -> None:
        """Install the package."""
        copy(self.lab.agent / "edge-overlay.deb", host, "/root/edge-overlay.deb")
        host.run("dpkg --force-depends -i /root/edge-overlay.deb 2>&1")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """All of this directory is of the tier `host`."""
    for item in items:
        if _here(item):
            item.add_marker(pytest.mark.host)


def _here(item: pytest.Item) -> bool:
    return Path(__file__).parent in item.path.parents


class _Started:
    """The tests of the tier that have been started, by their node id."""

    def __init__(self) -> None:
        self.pool: ThreadPoolExecutor | None = None
        self.running: dict[str, Future[None]] = {}

    def result_of(self, item: pytest.Function) -> None:
        if self.pool is None:
            self.pool = ThreadPoolExecutor(_AT_ONCE)
            lab = item.funcargs["make"]
            assert isinstance(lab, Lab)
            for one in item.session.items:
                if _here(one) and isinstance(one, pytest.Function):
                    self.running[one.nodeid] = self.pool.submit(_case, lab, one)
        self.running[item.nodeid].result(_LIMIT_S)

    def end(self) -> None:
        if self.pool is not None:
            self.pool.shutdown(cancel_futures=True)


_started = _Started()


def _case(lab: Lab, item: pytest.Function) -> None:
    wanted = inspect.signature(item.obj).parameters
    params: dict[str, Any] = item.callspec.params if hasattr(item, "callspec") else {}
    with ExitStack() as stack:
        item.obj(**{n: Make(lab, stack) if n == "make" else params[n] for n in wanted})


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Tell how the test went in its thread, rather than run it here."""
    if not _here(pyfuncitem):
        return None
    _started.result_of(pyfuncitem)
    return True


@pytest.fixture(scope="session")
def make() -> Iterator[Lab]:
    """What becomes each test's own `Make` (`_case`); gone when the last one has ended."""
    with (
        docker_daemon() as client,
        site() as found,
        tempfile.TemporaryDirectory(prefix="edge-test-agent-") as directory,
    ):
        words = [sys.executable, "-m", "builder.cli", "agent", "--output", directory, "--quiet"]
        done = subprocess.run(words, cwd=REPOSITORY, capture_output=True, text=True, timeout=300,
                              check=False)  # fmt: skip
        assert done.returncode == 0, done.stderr
        try:
            yield Lab(client, found, Path(directory))
        finally:
            _started.end()


def copy(path: Path, host: Machine, target: str) -> None:
    """Copy a file into a host."""
    words = ["docker", "cp", "--quiet", str(path), f"{host.container.id}:{target}"]
    subprocess.run(words, check=True, timeout=60)
