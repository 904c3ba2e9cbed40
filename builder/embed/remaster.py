"""Puts user-data into an existing ISO, and looks whether everything else is as before."""

from __future__ import annotations

import hashlib
import shutil
import struct
from enum import Enum
from pathlib import Path

from builder import process
from builder.errors import DroppedError, InputError, MissingFileError
from builder.kairos.iso import CONFIG, SQUASHFS
from builder.kairos.layer import USER_DATA
from builder.output.checksum import checksummed_file, read_checksum
from builder.output.iso_template import LAYER_NAME
from builder.output.structure import (
    Extent,
    Structure,
    digest_of,
    read_extents,
    read_file,
    read_structure,
)
from builder.squashfs import make_squashfs

TOOLS = ("xorriso", "unsquashfs", "mksquashfs", "setpriv")
_MAGIC = b"hsqs"
_BIOS_IMAGES = ("boot/eltorito.img", "boot/grub/eltorito.img")
"""xorriso writes places of the ISO into them."""


class IsoKind(Enum):
    """Whose ISO it is."""

    KAIROS = "a Kairos ISO"
    DEBIAN = "an ISO of edge-build's Debian base"


class Iso:
    """An ISO as it is read: its kind, how it boots, where its files lie."""

    def __init__(self, path: Path, log: Path | None = None) -> None:
        """Raises MissingFileError, or InputError if it is no ISO that can take user-data."""
        if not path.is_file():
            raise MissingFileError(f"there is no file {path}", "name an ISO image")
        try:
            with path.open("rb"):
                pass
        except OSError as error:
            raise MissingFileError(f"can't read {path}: {error.strerror}", "") from error
        self.path = path
        self.structure: Structure = read_structure(path, log)
        self.files = read_extents(path, log)
        self.kind = self._kind()

    def _kind(self) -> IsoKind:
        if LAYER_NAME in self.files:
            return IsoKind.DEBIAN
        if SQUASHFS in self.files and "boot/kernel" in self.files:
            return IsoKind.KAIROS
        raise InputError(
            f"{self.path} is neither a Kairos ISO nor one of edge-build's: it has neither "
            f"/{SQUASHFS} with /boot/kernel nor /{LAYER_NAME}",
            "name an ISO that AuroraBoot or edge-build has made",
        )

    @property
    def slot(self) -> Extent:
        """Where the edge layer of a Debian ISO lies."""
        return self.files[LAYER_NAME][0]

    def user_data(self, log: Path) -> bytes | None:
        """What is embedded, if anything is."""
        if self.kind is IsoKind.KAIROS:
            found = self.files.get(CONFIG)
            return read_file(self.path, found) if found else None
        offset = str(self.slot.offset)
        words: list[str | Path] = ["unsquashfs", "-o", offset, "-l", self.path, str(USER_DATA)]
        with process.piped(words, log) as stream:
            listed = stream.read().decode(errors="replace")
        if str(USER_DATA) not in listed:
            return None
        words = ["unsquashfs", "-o", offset, "-cat", self.path, str(USER_DATA)]
        with process.piped(words, log) as stream:
            return stream.read()


def embed(source: Iso, user_data: bytes, final: Path, work: Path, log: Path) -> str:
    """Write a copy of the ISO with this user-data to `final` (it may be the ISO itself), and its
    `.sha256`, whole or not at all; returns the SHA-256.

    Raises DroppedError if the copy boots otherwise, or another file of it changed.
    """
    config = work / CONFIG
    config.write_bytes(user_data)
    with checksummed_file(final) as image:
        if source.kind is IsoKind.KAIROS:
            _replace_config(source, config, image, log)
        else:
            _replace_layer(source, user_data, image, work, log)
        _compare(source, Iso(image, log), user_data, log)
    return read_checksum(final)


def _replace_config(source: Iso, config: Path, image: Path, log: Path) -> None:
    words: list[str | Path] = ["xorriso", "-indev", f"stdio:{source.path}"]
    words += ["-outdev", f"stdio:{image}", "-joliet", "on", "-padding", "0"]
    words += ["-map", config, f"/{CONFIG}", "-chown", "0", f"/{CONFIG}", "--"]
    words += ["-chgrp", "0", f"/{CONFIG}", "--", "-chmod", "0644", f"/{CONFIG}", "--"]
    words += ["-boot_image", "any", "replay"]
    process.run(words, log)


def _replace_layer(source: Iso, user_data: bytes, image: Path, work: Path, log: Path) -> None:
    """Make the edge layer anew and write it over the old one, in its slot."""
    slot = source.slot
    with source.path.open("rb") as stream:
        stream.seek(slot.offset)
        superblock = stream.read(96)
    if superblock[:4] != _MAGIC:
        raise InputError(f"{source.path} is damaged: /{LAYER_NAME} is no squashfs", "make it anew")
    epoch = int(struct.unpack_from("<I", superblock, 8)[0])
    tree = work / "edge"
    words: list[str | Path] = ["unsquashfs", "-no-progress", "-d", tree, "-o", str(slot.offset)]
    process.run([*words, source.path], log)
    target = tree / USER_DATA
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    target.write_bytes(user_data)
    target.chmod(0o600)
    layer = work / "20-edge.squashfs"
    make_squashfs(tree, layer, log, owned_by_root=True, all_times=epoch)
    content = layer.read_bytes()
    if len(content) > slot.size:
        raise InputError(
            f"the edge layer with this user-data takes {len(content)} bytes, and its place in "
            f"{source.path} has {slot.size}",
            "build the ISO with this user-data instead: edge-build image --user-data FILE",
        )
    shutil.copyfile(source.path, image)
    with image.open("r+b") as stream:
        stream.seek(slot.offset)
        stream.write(content.ljust(slot.size, b"\0"))


def _compare(before: Iso, after: Iso, user_data: bytes, log: Path) -> None:
    """Everything but the user-data must be as before."""
    problems = []
    if after.structure.shape() != before.structure.shape():
        problems.append("the boot entries and partition tables of the original")
    if after.structure.volume != before.structure.volume:
        problems.append(f"the volume name {before.structure.volume}")
    if _efi_digest(before) != _efi_digest(after):
        problems.append("the EFI partition as it was")
    replaced = {CONFIG, LAYER_NAME}
    for name, extents in before.files.items():
        if name in replaced:
            continue
        if name not in after.files:
            problems.append(f"/{name}")
        elif name in _BIOS_IMAGES:
            if sum(e.size for e in extents) != sum(e.size for e in after.files[name]):
                problems.append(f"/{name} whole")
        elif digest_of(before.path, extents) != digest_of(after.path, after.files[name]):
            problems.append(f"/{name} as it was")
    if after.user_data(log) != user_data:
        problems.append("the user-data")
    if problems:
        raise DroppedError(
            f"the ISO written lacks {' and '.join(problems[:5])}",
            "report this with the log; the original is untouched",
            log=log,
        )


def _efi_digest(iso: Iso) -> str:
    place = iso.structure.efi_partition()
    return digest_of(iso.path, [place]) if place else hashlib.sha256().hexdigest()
