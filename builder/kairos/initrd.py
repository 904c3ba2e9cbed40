"""Names in an initrd: cpio archives, one after another, the last of them compressed.

The format is the kernel's (Documentation/driver-api/early-userspace/buffer-format.rst): plain
`newc` archives (microcode) may stand before the compressed one, zeros between them.
"""

from __future__ import annotations

import io
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import IO

from builder.blob import Blob
from builder.errors import InputError
from builder.kairos.source import decompressed

_MAGIC = (b"070701", b"070702")
_HEADER = 110
_TRAILER = "TRAILER!!!"


def initrd_names(initrd: Path) -> Iterator[str]:
    """Every path in the initrd, without a leading slash, in its order.

    Raises InputError if it is no initrd.
    """
    offset, size = 0, initrd.stat().st_size
    while offset < size:
        blob = Blob(initrd, offset, size - offset)
        with blob.open() as stored:
            assert isinstance(stored, io.BufferedReader)
            zeros = _skip_zeros(stored)
            if not stored.peek(1)[:1]:
                return
            if zeros == 0 and stored.peek(6)[:6] not in _MAGIC:
                break
            if stored.peek(6)[:6] not in _MAGIC:
                offset += zeros
                break
            length = yield from _archive(stored, initrd)
            offset += zeros + length
    if offset < size:
        blob = Blob(initrd, offset, size - offset)
        with blob.open() as stored, decompressed(stored, blob) as stream:
            packed = io.BufferedReader(_Raw(stream), 1 << 20)
            if packed.peek(6)[:6] not in _MAGIC:
                raise InputError(
                    f"{initrd.name} of the base is no initrd: neither a cpio archive nor a "
                    "compressed one that can be read",
                    "is zstd(1) installed? else make the base's initrd anew",
                )
            yield from _archive(packed, initrd)


def _archive(stream: IO[bytes], initrd: Path) -> Generator[str, None, int]:
    """Names of one archive; the generator's value is its length in bytes."""
    length = 0
    while True:
        header = stream.read(_HEADER)
        if len(header) < _HEADER or header[:6] not in _MAGIC:
            raise InputError(f"the initrd {initrd.name} is cut off", "make or copy the base anew")
        fields = [int(header[at : at + 8], 16) for at in range(6, _HEADER, 8)]
        size, name_size = fields[6], fields[11]
        name_room = -(_HEADER + name_size) % 4 + name_size
        name = stream.read(name_room)[: name_size - 1].decode(errors="surrogateescape")
        room = size + -size % 4
        left = room
        while left:
            chunk = stream.read(min(left, 1 << 20))
            if not chunk:
                raise InputError(f"the initrd {initrd.name} is cut off", "make the base anew")
            left -= len(chunk)
        length += _HEADER + name_room + room
        if name == _TRAILER:
            return length
        yield name.removeprefix("./").lstrip("/")


def _skip_zeros(stream: io.BufferedReader) -> int:
    zeros = 0
    while stream.peek(1)[:1] == b"\0":
        stream.read(1)
        zeros += 1
    return zeros


class _Raw(io.RawIOBase):
    """A raw stream for BufferedReader, whatever the stream below can do."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)
