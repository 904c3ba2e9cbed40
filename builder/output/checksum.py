"""An image and its `.sha256` (as sha256sum(1) writes and checks it), never of different builds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from builder.cache import file_digest
from builder.workspace import atomic_file


@contextmanager
def checksummed_file(final: Path) -> Iterator[Path]:
    """A path to write an image to; at the block's end it becomes `final`, with its checksum beside.

    The old checksum goes before the old image does: a power cut in between leaves an image without
    a checksum rather than one with a wrong one. Raises OutputError or DiskFullError.
    """
    checksum = checksum_path(final)
    with atomic_file(checksum) as text, atomic_file(final) as image:
        yield image
        text.write_text(f"{file_digest(image)}  {final.name}\n")
        checksum.unlink(missing_ok=True)


def checksum_path(image: Path) -> Path:
    """Where the checksum of an image lies."""
    return image.with_name(image.name + ".sha256")


def read_checksum(image: Path) -> str:
    """The SHA-256 (hex) that was written for an image."""
    return checksum_path(image).read_text().split()[0]
