"""The ISO without its edge layer: made by xorriso once a base, then only copied and filled.

Everything in an ISO but the edge layer depends on the base alone. The template has a slot of fixed
size where `live/20-edge.squashfs` lies, so that another user-data costs a copy and a write in
place instead of a run of xorriso (coreos-installer's embed area is the model).
"""

from __future__ import annotations

import json
import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from builder import __version__, process
from builder.base.debian import BaseFiles
from builder.cache import Cache, Entry, file_digest
from builder.errors import BuildError
from builder.templates import TEMPLATES, render_tree

VOLUME_ID = "EDGE_LIVE"
LAYER_NAME = "live/20-edge.squashfs"
SLOT_BYTES = 4 << 20
"""Smallest slot; a larger edge layer gets the next power of two."""

_BLOCK = 2048
_EFI_PARTITION = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"

_EXPECTED = {
    "a BIOS boot entry": r"^El Torito boot img\s*:\s*1\s+BIOS\s+y\s+none",
    "a UEFI boot entry": r"^El Torito boot img\s*:\s*2\s+UEFI\s+y\s+none",
    "GRUB's boot sector": r"^System area summary\s*:.*MBR.*grub2-mbr.*GPT",
    "an EFI system partition": r"^GPT type GUID\s*:\s*2\s+28732ac11ff8d211ba4b00a0c93ec93b",
}
"""What xorriso must report of a finished ISO (GUIDs in its mixed-endian spelling)."""


@dataclass(frozen=True)
class IsoOptions:
    """What a user may say about the ISO; `timeout_s` is the boot menu's, in seconds."""

    kernel_arguments: tuple[str, ...] = ()
    timeout_s: int = 3


@dataclass(frozen=True)
class IsoTemplate:
    """A template in the cache, and the place of its slot in bytes."""

    image: Path
    offset: int
    size: int
    was_cached: bool


def iso_template(
    base: BaseFiles,
    options: IsoOptions,
    layer_bytes: int,
    cache: Cache,
    work: Path,
    epoch: int,
    log: Path,
) -> IsoTemplate:
    """The template for this base, from the cache or made now, with room for `layer_bytes`.

    `epoch` (seconds since 1970) becomes every time in it. Raises ToolFailedError or DiskFullError;
    BuildError if what xorriso wrote lacks a boot entry.
    """
    tree = _boot_tree(options, work, epoch)
    slot = max(SLOT_BYTES, 1 << (layer_bytes - 1).bit_length())
    files = sorted(path for path in tree.rglob("*") if path.is_file())
    inputs = {
        "base": base.directory.name,
        "code": file_digest(Path(__file__)),
        "tree": {str(path.relative_to(tree)): file_digest(path) for path in files},
        "slot": slot,
        "epoch": epoch,
    }

    def make(directory: Path) -> None:
        placeholder = directory.parent / "20-edge.squashfs"
        with placeholder.open("wb") as stream:
            stream.truncate(slot)
        os.utime(placeholder, (epoch, epoch))
        image = directory / "template.iso"
        environment = {"SOURCE_DATE_EPOCH": str(epoch)}
        process.run(_xorriso_words(base, tree, placeholder, image, epoch), log, env=environment)
        record = {"offset": _inspected(image, slot, log), "size": slot}
        (directory / "slot.json").write_text(json.dumps(record))

    return _opened(cache.get("iso", inputs, make, keep=2))


def _opened(entry: Entry) -> IsoTemplate:
    record = json.loads((entry.path / "slot.json").read_text())
    return IsoTemplate(entry.path / "template.iso", **record, was_cached=entry.was_cached)


def _boot_tree(options: IsoOptions, work: Path, epoch: int) -> Path:
    """The small files of the ISO, rendered."""
    tree = work / "iso"
    tree.mkdir()
    values = {
        "version": __version__,
        "timeout_s": options.timeout_s,
        "kernel_arguments": options.kernel_arguments,
    }
    render_tree(TEMPLATES / "iso", tree, values)
    for path in (*tree.rglob("*"), tree):
        os.utime(path, (epoch, epoch))
    return tree


def _xorriso_words(
    base: BaseFiles, tree: Path, placeholder: Path, image: Path, epoch: int
) -> list[str | Path]:
    grafts = {
        "live/10-base.squashfs": base.layer,
        LAYER_NAME: placeholder,
        "live/vmlinuz": base.kernel,
        "live/initrd.img": base.initrd,
        "boot/grub/eltorito.img": base.bios_image,
        **{f"EFI/BOOT/{name}": path for name, path in base.efi_programs.items()},
    }
    words: list[str | Path] = ["xorriso", "-as", "mkisofs", "-quiet", "-iso-level", "3"]
    words += ["-rational-rock", "-joliet", "-volid", VOLUME_ID, "-output", image, "-graft-points"]
    # The same input gives the same bytes: not the files' own times, nor, for directories that
    # xorriso makes by itself, the present one.
    words += ["--set_all_file_dates", f"={epoch}"]
    # from a stick or disk: GRUB's boot sector, and a GPT with the EFI partition; some BIOSes
    # boot only from a partition table with an active entry
    words += ["--grub2-mbr", base.bios_mbr, "-partition_offset", "16", "--mbr-force-bootable"]
    words += ["-append_partition", "2", _EFI_PARTITION, base.efi_image, "-appended_part_as_gpt"]
    # from CD by BIOS
    words += ["-c", "boot/boot.cat", "-b", "boot/grub/eltorito.img", "-no-emul-boot"]
    words += ["-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]
    # from CD by UEFI: the same partition
    words += ["-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::"]
    words += ["-no-emul-boot"]
    return [*words, *[f"{name}={path}" for name, path in grafts.items()], f"/={tree}"]


def _inspected(image: Path, slot: int, log: Path) -> int:
    """Read the ISO back (remastering tools are known to drop boot entries in silence) and
    return where the slot starts, in bytes."""
    words = ["xorriso", "-indev", str(image), "-report_el_torito", "plain"]
    words += ["-report_system_area", "plain", "-find", f"/{LAYER_NAME}", "-exec", "report_lba"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    with log.open("a") as record:
        record.write(answer.stdout + answer.stderr)
    missing = [
        what for what, sign in _EXPECTED.items() if not re.search(sign, answer.stdout, re.MULTILINE)
    ]
    place = re.search(rf"^File data lba:\s*0 ,\s*(\d+) ,\s*\d+ ,\s*{slot} ,", answer.stdout, re.M)
    if missing or not place:
        what = " and ".join(missing) or f"{LAYER_NAME} in one piece"
        raise BuildError(
            f"the ISO written lacks {what}",
            "report this with the log: xorriso did not do what it was told",
            log=log,
        )
    return int(place[1]) * _BLOCK
