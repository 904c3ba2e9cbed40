"""A base out of the Docker daemon, and the derived image into it and on to a registry.

The edge layer is never made by the daemon: it would write a tar of its own, with another digest.
So the base is saved, gets its layer here, and is loaded. Whatever credentials `docker login` has
stored are used (docker-py reads the user's Docker configuration).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import docker.errors

from builder.errors import (
    BuildError,
    CredentialsError,
    DiskFullError,
    UnavailableError,
    UnfitBaseError,
    UnknownImageError,
)
from builder.kairos.reference import BaseReference
from builder.kairos.source import ARCHITECTURE
from builder.progress import Step

_LIMIT_S = 600
_REFUSED = ("unauthorized", "denied", "no basic auth credentials", "authentication required", "401")
_UNKNOWN = ("manifest unknown", "not found", "repository name not known", "does not exist")
_FULL = "no space left on device"


@contextlib.contextmanager
def daemon_client() -> Iterator[docker.DockerClient]:
    """A client of the daemon that DOCKER_HOST names; raises UnavailableError if none answers."""
    client = None
    try:
        client = docker.from_env(timeout=_LIMIT_S)
        client.ping()
    except (docker.errors.DockerException, OSError) as error:
        if client is not None:
            client.close()
        raise UnavailableError(
            f"no Docker daemon answers: {error}",
            "start it or set DOCKER_HOST; or give the base as oci-archive:FILE, oci:DIR or dir:DIR",
        ) from error
    try:
        yield client
    finally:
        client.close()


def save_image(reference: BaseReference, target: Path, step: Step) -> None:
    """Write the image as `docker save` does, pulled first where that is wanted.

    Raises UnavailableError, UnknownImageError, CredentialsError or DiskFullError.
    """
    with daemon_client() as client:
        if reference.must_pull or (reference.may_pull and not _has(client, reference.name)):
            _pull(client, reference.name, step)
        try:
            image = client.images.get(reference.name)
        except docker.errors.ImageNotFound as error:
            raise UnknownImageError(
                f"the Docker daemon has no image {reference.name}",
                f"look with: docker images; or let it be pulled: --base docker:{reference.name}",
            ) from error
        except docker.errors.APIError as error:
            raise _told(error, reference.name) from error
        done = 0
        with target.open("wb") as stream:
            try:
                for chunk in image.save(named=False):
                    stream.write(chunk)
                    done += len(chunk)
                    step.detail(f"{done >> 20} MiB out of the daemon")
            except docker.errors.DockerException as error:
                raise _told(error, reference.name) from error


def load_image(archive: Path, tag: str, step: Step) -> str:
    """Load an archive into the daemon; returns the image's ID."""
    with daemon_client() as client:
        try:
            with archive.open("rb") as stream:
                client.images.load(stream)
            step.note = str(client.images.get(tag).id)
            return step.note
        except (docker.errors.DockerException, OSError) as error:
            raise _told(error, tag) from error


def push_image(tag: str, step: Step) -> None:
    """Push what was loaded as `tag`. Raises CredentialsError or UnavailableError."""
    name, _, version = tag.rpartition(":")
    with daemon_client() as client:
        try:
            for line in client.api.push(name, version, stream=True, decode=True):
                _heed(line, tag, step)
        except docker.errors.DockerException as error:
            raise _told(error, tag) from error


def _has(client: docker.DockerClient, name: str) -> bool:
    try:
        client.images.get(name)
    except docker.errors.ImageNotFound:
        return False
    except docker.errors.APIError as error:
        raise _told(error, name) from error
    return True


def _pull(client: docker.DockerClient, name: str, step: Step) -> None:
    repository, tag = _split(name)
    platform = f"linux/{ARCHITECTURE}"
    try:
        lines = client.api.pull(repository, tag, stream=True, decode=True, platform=platform)
        for line in lines:
            _heed(line, name, step)
    except docker.errors.DockerException as error:
        raise _told(error, name) from error
    step.note = "pulled"


def _split(name: str) -> tuple[str, str]:
    """Repository, and tag or digest, as the daemon's API wants them."""
    if "@" in name:
        repository, _, digest = name.partition("@")
        return repository, digest
    repository, colon, tag = name.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (name, "latest")


def _heed(line: dict[str, Any], name: str, step: Step) -> None:
    """One line of the daemon's progress; an error comes as one of them."""
    if "error" in line:
        raise _told(str(line["error"]), name)
    if layer := line.get("id"):
        progress: Callable[[str], Any] = step.detail
        progress(f"{layer} {line.get('status', '')} {line.get('progress', '')}")


def _told(error: Exception | str, name: str) -> BuildError:
    """The daemon's words as the error that they mean."""
    text = str(getattr(error, "explanation", None) or error)
    words = text.lower()
    first = name.partition("/")[0]
    host = first if "/" in name and ("." in first or ":" in first) else "docker.io"
    if _FULL in words:
        return DiskFullError(f"the Docker daemon's disk is full: {text}", "docker system prune")
    if "pull access denied" in words and "does not exist" in words:
        return UnknownImageError(
            f"{name} does not exist in its registry, or it wants a login: {text}",
            f"check the name; for a private one: docker login {host}",
        )
    if "no matching manifest" in words:
        return UnfitBaseError(
            f"{name} is not for linux/{ARCHITECTURE}: {text}",
            f"name an image for {ARCHITECTURE} (the only architecture that edge-build makes)",
        )
    if any(sign in words for sign in _REFUSED):
        return CredentialsError(
            f"the registry refuses {name}: {text}",
            f"docker login {host}, as the user who runs edge-build",
        )
    if any(sign in words for sign in _UNKNOWN):
        return UnknownImageError(
            f"the registry has no {name}: {text}", "check the name and its tag"
        )
    return UnavailableError(f"Docker could not get {name}: {text}", "see the daemon's journal")
