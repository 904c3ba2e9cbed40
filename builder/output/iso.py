"""The hybrid ISO: boots by BIOS and by UEFI, from CD and from a USB stick or disk."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from builder import __version__, process
from builder.base.debian import BaseFiles
from builder.cache import file_digest
from builder.errors import BuildError
from builder.templates import TEMPLATES, render_tree
from builder.workspace import atomic_file

TOOLS = ("xorriso", "mksquashfs", "setpriv")
VOLUME_ID = "EDGE_LIVE"
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

    title: str
    kernel_arguments: tuple[str, ...] = ()
    timeout_s: int = 3


def write_iso(
    base: BaseFiles,
    edge_layer: Path,
    options: IsoOptions,
    final: Path,
    work: Path,
    epoch: int,
    log: Path,
) -> str:
    """Write the ISO and its `.sha256` beside it, whole or not at all; returns its SHA-256.

    `epoch` (seconds since 1970) becomes every time in it. Raises OutputError, DiskFullError or
    ToolFailedError; BuildError if the finished ISO lacks a boot entry.
    """
    tree = work / "iso"
    tree.mkdir()
    values = {
        "version": __version__,
        "title": options.title,
        "timeout_s": options.timeout_s,
        "kernel_arguments": options.kernel_arguments,
    }
    render_tree(TEMPLATES / "iso", tree, values)
    for path in (*tree.rglob("*"), tree):
        os.utime(path, (epoch, epoch))
    grafts = {
        "live/10-base.squashfs": base.layer,
        "live/20-edge.squashfs": edge_layer,
        "live/vmlinuz": base.kernel,
        "live/initrd.img": base.initrd,
        "boot/grub/eltorito.img": base.bios_image,
        **{f"EFI/BOOT/{name}": path for name, path in base.efi_programs.items()},
    }
    checksum = final.with_name(final.name + ".sha256")
    with atomic_file(final) as image:
        process.run(
            _xorriso_words(base, tree, grafts, image), log, env={"SOURCE_DATE_EPOCH": str(epoch)}
        )
        _check(image, log)
        digest = file_digest(image)
    with atomic_file(checksum) as text:
        text.write_text(f"{digest}  {final.name}\n")
    return digest


def _xorriso_words(
    base: BaseFiles, tree: Path, grafts: dict[str, Path], image: Path
) -> list[str | Path]:
    # written without syncs in between: the finished file is synced once, before its rename
    words: list[str | Path] = ["xorriso", "-stdio_sync", "off", "-as", "mkisofs", "-quiet"]
    words += [
        "-iso-level",
        "3",
        "-rational-rock",
        "-joliet",
        "-volid",
        VOLUME_ID,
        "-output",
        image,
        "-graft-points",
    ]
    # all times from SOURCE_DATE_EPOCH: the same input gives the same bytes
    words += ["--set_all_file_dates", "set_to_mtime"]
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


def _check(image: Path, log: Path) -> None:
    """Read the ISO back: remastering tools are known to drop boot entries in silence."""
    words = ["xorriso", "-indev", str(image), "-report_el_torito", "plain"]
    words += ["-report_system_area", "plain"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    with log.open("a") as record:
        record.write(answer.stdout + answer.stderr)
    for what, pattern in _EXPECTED.items():
        if not re.search(pattern, answer.stdout, re.MULTILINE):
            raise BuildError(
                f"the ISO written lacks {what}",
                "report this with the log: xorriso did not do what it was told",
                log=log,
            )
