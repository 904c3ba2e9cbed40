"""The ISO of a Kairos base, laid out as Kairos's own ISO builder does, made without root."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from builder import __version__, process
from builder.kairos.bootfiles import TOOLS as BOOT_TOOLS
from builder.kairos.bootfiles import BootFiles, make_boot_files
from builder.kairos.check import KairosBase
from builder.kairos.tree import Tree
from builder.kairos.verify import Wanted, check_iso
from builder.output.checksum import checksummed_file, read_checksum
from builder.output.iso_template import IsoOptions
from builder.templates import TEMPLATES, render_tree

TOOLS = ("xorriso", "tar2sqfs", "unsquashfs", "setpriv", *BOOT_TOOLS)
VOLUME_ID = "COS_LIVE"
SQUASHFS = "rootfs.squashfs"
CONFIG = "config.yaml"
"""Where Kairos's live system looks for its user-data."""

_CONSOLES = "console=ttyS0 console=tty1"


@dataclass(frozen=True)
class Content:
    """What the ISO is to hold: the merged file system, and the user-data for /config.yaml."""

    tree: Tree
    base: KairosBase
    user_data: str | None


def write_iso(content: Content, options: IsoOptions, final: Path, work: Path, log: Path) -> str:
    """Write the ISO and its `.sha256`, whole or not at all, and check it by reading it back.

    Returns its SHA-256. Raises ToolFailedError, DiskFullError, OutputError, or DroppedError if
    something that was asked for isn't in it.
    """
    epoch = content.base.time
    configs = _configs(options, work)
    squashfs = work / SQUASHFS
    make_root(content.tree, squashfs, epoch, log)
    boot = make_boot_files(content.tree, content.base, configs, work, log)
    grafts = {SQUASHFS: squashfs, **boot.grafts}
    if content.user_data is not None:
        config = work / CONFIG
        config.write_text(content.user_data)
        grafts[CONFIG] = config
    tree = _lay_out(grafts, work, epoch)
    with checksummed_file(final) as image:
        environment = {"SOURCE_DATE_EPOCH": str(epoch)}
        process.run(_words(boot, tree, image), log, env=environment)
        check_iso(image, Wanted(grafts, content.tree, content.user_data), log)
    return read_checksum(final)


def make_root(tree: Tree, squashfs: Path, epoch: int, log: Path) -> None:
    """The merged file system as a squashfs, without unpacking anything, so without being root."""
    words: list[str | Path] = ["tar2sqfs", "--quiet", "--no-skip", "-c", "zstd", "-X", "level=6"]
    words += ["-b", "1M", "-d", f"mtime={epoch}", squashfs]
    with process.fed(words, log) as stream:
        tree.write_tar(stream)


def _configs(options: IsoOptions, work: Path) -> Path:
    configs = work / "iso"
    configs.mkdir()
    further = "".join(f" {word}" for word in options.kernel_arguments)
    values = {
        "version": __version__,
        "timeout_s": options.timeout_s,
        "consoles": _CONSOLES,
        "further": further,
    }
    render_tree(TEMPLATES / "kairos-iso", configs, values)
    return configs


def _lay_out(grafts: dict[str, Path], work: Path, epoch: int) -> Path:
    """The ISO's files in one tree, as links: of directories on disk alone does xorriso take the
    time, and so the same input gives the same bytes."""
    tree = work / "tree"
    for name, path in grafts.items():
        target = tree / name
        target.parent.mkdir(parents=True, exist_ok=True)
        path.chmod(0o644)
        target.hardlink_to(path)
    for path in (*tree.rglob("*"), tree):
        os.utime(path, (epoch, epoch))
    return tree


def _words(boot: BootFiles, tree: Path, image: Path) -> list[str | Path]:
    words: list[str | Path] = ["xorriso", "-as", "mkisofs", "-quiet", "-iso-level", "3"]
    words += ["-rational-rock", "-joliet", "-joliet-long", "-volid", VOLUME_ID, "-output", image]
    words += ["-graft-points", "--set_all_file_dates", "set_to_mtime"]
    # from a stick or disk: GRUB's boot sector, and a GPT with the EFI partition; some BIOSes
    # boot only from a partition table with an active entry
    words += ["--grub2-mbr", boot.boot_sector, "-partition_offset", "16", "--mbr-force-bootable"]
    words += ["-append_partition", "2", "0xef", boot.efi_image, "-appended_part_as_gpt"]
    # from CD by BIOS
    words += ["-c", "boot/boot.catalog", "-b", "boot/eltorito.img", "-no-emul-boot"]
    words += ["-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]
    # from CD by UEFI: the same partition
    words += ["-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::"]
    words += ["-no-emul-boot"]
    return [*words, f"/={tree}"]
