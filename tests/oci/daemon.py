"""A Docker daemon: the machine's own, or one started for the run and ended after it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import docker
import docker.errors

from tests.vm.harness.process import end, start, tail
from tests.vm.harness.waiting import WaitedInVainError, wait_until

_INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
_INSTANCES = 1024
"""Each systemd takes a dozen, and all containers are of one user. The kernel's 128 are enough for
ten hosts; the eleventh's PID 1 ends with "Too many open files"."""


@contextlib.contextmanager
def docker_daemon() -> Iterator[docker.DockerClient]:
    """A client of a daemon that answers; what answered before is left running.

    As long as that is used, the machine allows what systemd in many containers needs.
    """
    with _enough_inotify(), _client() as client:
        yield client


@contextlib.contextmanager
def _enough_inotify() -> Iterator[None]:
    before = int(_INOTIFY.read_text())
    if before >= _INSTANCES or not os.access(_INOTIFY, os.W_OK):
        yield
        return
    _INOTIFY.write_text(str(_INSTANCES))
    try:
        yield
    finally:
        _INOTIFY.write_text(str(before))


@contextlib.contextmanager
def _client() -> Iterator[docker.DockerClient]:
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
