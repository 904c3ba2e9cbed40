"""The hybrid ISO: boots by BIOS and by UEFI, from CD and from a USB stick or disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from builder.output.checksum import checksummed_file, read_checksum
from builder.output.iso_template import IsoTemplate

TOOLS = ("xorriso", "mksquashfs", "setpriv")


def write_iso(template: IsoTemplate, edge_layer: Path, final: Path) -> str:
    """Write the ISO and its `.sha256` beside it, whole or not at all; returns its SHA-256.

    The edge layer goes into the template's slot; squashfs ignores the zeros behind it. Raises
    OutputError or DiskFullError.
    """
    layer = edge_layer.read_bytes()
    assert len(layer) <= template.size
    with checksummed_file(final) as image:
        shutil.copyfile(template.image, image)
        with image.open("r+b") as stream:
            stream.seek(template.offset)
            stream.write(layer)
    return read_checksum(final)
