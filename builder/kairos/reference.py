"""What `--base` names: the grammar of containers-transports(5), as far as it makes sense here."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from builder.errors import InputError, MissingFileError


class Kind(Enum):
    """Where a base is taken from; the value is its prefix in `--base`."""

    ARCHIVE = "oci-archive"
    LAYOUT = "oci"
    DIRECTORY = "dir"
    DAEMON = "docker-daemon"
    REGISTRY = "docker"


GRAMMAR = (
    "REF (the Docker daemon's image, else pulled from its registry), docker:REF (always pulled), "
    "docker-daemon:REF (never pulled), oci-archive:FILE.tar, oci:LAYOUT-DIR, dir:ROOT-FILE-SYSTEM"
)


@dataclass(frozen=True)
class BaseReference:
    """A base image by its place: a path, or a reference for the Docker daemon.

    `may_pull`: whether the daemon may fetch it, `must_pull`: even if it has it.
    """

    kind: Kind
    name: str
    may_pull: bool = False

    @property
    def path(self) -> Path:
        """The file or directory; only for kinds that have one."""
        return Path(self.name)

    @property
    def needs_daemon(self) -> bool:
        """Whether a Docker daemon is asked for it."""
        return self.kind in (Kind.DAEMON, Kind.REGISTRY)

    @property
    def must_pull(self) -> bool:
        """Whether the registry is asked even if the daemon has the image."""
        return self.kind is Kind.REGISTRY

    def __str__(self) -> str:
        return f"{self.kind.value}:{self.name}"


def parse_base(text: str) -> BaseReference:
    """Text of `--base` → reference; raises InputError, or MissingFileError for a path that isn't
    there or is of another kind."""
    prefix, colon, rest = text.partition(":")
    known = {kind.value: kind for kind in Kind}
    if colon and prefix in known and rest:
        kind = known[prefix]
        if kind in (Kind.DAEMON, Kind.REGISTRY):
            name = rest.removeprefix("//")
            return BaseReference(kind, name, kind is Kind.REGISTRY)
        _check_path(kind, Path(rest))
        return BaseReference(kind, rest)
    if not text or any(c.isspace() for c in text):
        raise InputError(f"{text!r} names no base image", f"expected: {GRAMMAR}")
    if Path(text).exists() and ("/" in text or Path(text).is_file()):
        prefix = "oci-archive" if Path(text).is_file() else "oci"
        raise InputError(
            f"--base {text} is a path, and a word without prefix is taken for an image's name",
            f"write {prefix}:{text}" + ("" if prefix != "oci" else f", or dir:{text}"),
        )
    if text.startswith((".", "/")):
        raise MissingFileError(f"there is no {text}", "check the path; " + f"expected: {GRAMMAR}")
    return BaseReference(Kind.DAEMON, text, may_pull=True)


def _check_path(kind: Kind, path: Path) -> None:
    if kind is Kind.ARCHIVE and path.is_dir():
        raise MissingFileError(f"{path} is a directory", f"write oci:{path} or dir:{path}")
    if kind is not Kind.ARCHIVE and path.is_file():
        raise MissingFileError(f"{path} is a file", f"write oci-archive:{path}")
    if not path.exists():
        raise MissingFileError(f"there is no {path}", "check the path given with --base")
    if kind is Kind.LAYOUT and not (path / "index.json").is_file():
        raise MissingFileError(
            f"{path} is no OCI layout: it has no index.json",
            f"for a plain root file system write dir:{path}",
        )
