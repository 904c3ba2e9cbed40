"""A piece of a file: what OCI layouts keep as a file of its own, and archives as a member."""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

_CHUNK = 1 << 20


@dataclass(frozen=True)
class Blob:
    """`size` bytes of a file, from `offset` on."""

    path: Path
    offset: int
    size: int

    @contextlib.contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes as they are stored."""
        with self.path.open("rb") as stream:
            stream.seek(self.offset)
            yield io.BufferedReader(_Piece(stream, self.size), _CHUNK)

    def digest(self) -> str:
        """SHA-256 (hex) of the bytes as they are stored."""
        with self.open() as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()  # type: ignore[arg-type]


class _Piece(io.RawIOBase):
    """Reads `size` bytes of a stream from where it stands."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream = stream
        self._left = size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._stream.read(min(len(buffer), self._left))
        buffer[: len(data)] = data
        self._left -= len(data)
        return len(data)
