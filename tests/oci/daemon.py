"""A Docker daemon: the machine's own, or one started for the run and ended after it."""

from __future__ import annotations

import contextlib
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors

from tests.vm.harness.process import end, start, tail
from tests.vm.harness.waiting import WaitedInVainError, wait_until


@contextlib.contextmanager
def docker_daemon() -> Iterator[docker.DockerClient]:
    """A client of a daemon that answers; what answered before is left running."""
    if (client := _answering()) is not None:
        yield client
        client.close()
        return
    with tempfile.TemporaryDirectory(prefix="edge-test-dockerd-") as directory:
        log = Path(directory) / "dockerd.log"
        process = start(["dockerd"], log)
        try:
            client = wait_until("dockerd to answer", lambda: _alive(process, log), 60)
            yield client
            client.close()
        finally:
            end(process, grace_s=30)  # it ends its containerd first


def _alive(process: subprocess.Popen[bytes], log: Path) -> docker.DockerClient | None:
    if process.poll() is not None:
        raise WaitedInVainError(f"dockerd did not start\n{tail(log)}")
    return _answering()


def _answering() -> docker.DockerClient | None:
    client = None
    try:
        client = docker.from_env(timeout=300)
        client.ping()
    except docker.errors.DockerException:
        if client:
            client.close()
        return None
    return client
