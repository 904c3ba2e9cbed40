"""What a build has made."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Artifact:
    """A finished output: its file, size in bytes, SHA-256; `image` is an OCI image's ID."""

    kind: str
    where: str
    size: int
    sha256: str
    image: str = ""

    @classmethod
    def of(cls, kind: str, path: Path, sha256: str) -> Artifact:
        """The file at `path`."""
        return cls(kind, str(path), path.stat().st_size, sha256)
