"""What starts an ISO of a Kairos base: GRUB for BIOS of this machine, shim and GRUB of the base.

Kairos's own ISO builder carries ready-made GRUB images for BIOS; here this machine's GRUB makes
them. For UEFI the base's shim and GRUB are taken as they are: they are signed.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from builder import process
from builder.errors import MissingToolError
from builder.kairos.check import KairosBase
from builder.kairos.tree import Tree

TOOLS = ("grub-mkimage", "mformat", "mmd", "mcopy")
EFI_LABEL = "EFI_LIVE"
_BIOS_MODULES = (
    "biosdisk iso9660 part_gpt part_msdos ext2 fat search search_label search_fs_file "
    "search_fs_uuid normal configfile linux chain boot echo test true ls loadenv gzio zstd "
    "all_video vga vbe font gettext gfxterm gfxmenu serial terminal sleep minicmd"
).split()
_EFI_MODULES = (
    "iso9660 part_gpt part_msdos ext2 fat search search_label search_fs_file search_fs_uuid "
    "normal configfile linux chain boot echo test true ls loadenv gzio zstd all_video font "
    "gettext gfxterm gfxmenu serial terminal sleep minicmd efifwsetup reboot halt"
).split()
_GRUB = Path("/usr/lib/grub")
_SLOT = 4 << 20
_SUFFIXES = (".latest", ".signed", ".dualsigned")


@dataclass(frozen=True)
class BootFiles:
    """Files to put into the ISO, by their place in it, and GRUB's boot sector."""

    grafts: dict[str, Path]
    boot_sector: Path
    efi_image: Path


def check_grub(*, efi: bool) -> None:
    """Raise MissingToolError unless this machine has the GRUB that is needed."""
    wanted = {_GRUB / "i386-pc" / "boot_hybrid.img": "grub-pc-bin"}
    if efi:
        wanted[_GRUB / "x86_64-efi" / "moddep.lst"] = "grub-efi-amd64-bin"
    missing = sorted(package for path, package in wanted.items() if not path.exists())
    if missing:
        raise MissingToolError(
            f"GRUB's files are not installed: {', '.join(missing)}",
            f"apt-get install {' '.join(missing)}   (or `make setup`, or use the container)",
        )


def make_boot_files(
    tree: Tree, base: KairosBase, configs: Path, work: Path, log: Path
) -> BootFiles:
    """Make them in `work`; `configs` has the rendered `boot/grub2/grub.cfg` and
    `EFI/BOOT/grub.cfg`. Raises ToolFailedError or DiskFullError."""
    check_grub(efi=base.grub is None)
    made = work / "boot"
    made.mkdir()
    bios, sector = made / "eltorito.img", made / "boot_hybrid.img"
    _mkimage("i386-pc-eltorito", "i386-pc", _BIOS_MODULES, "/boot/grub2", bios, log)
    shutil.copyfile(_GRUB / "i386-pc" / "boot_hybrid.img", sector)
    files = {path: made / path for path in ("kernel", "initrd")}
    tree.extract({base.kernel: files["kernel"], base.initrd: files["initrd"]})
    chain = configs / "EFI/BOOT/grub.cfg"
    efi = {"EFI/BOOT/grub.cfg": chain, "boot/grub/grub.cfg": chain}
    if "ubuntu" in base.flavor.lower():
        efi["EFI/ubuntu/grub.cfg"] = chain  # Ubuntu's GRUB has that prefix
    programs = _efi_programs(tree, base, made, log)
    image = made / "uefi.img"
    _make_efi_image({**programs, **efi}, image, base.time, log)
    grafts = {
        "boot/kernel": files["kernel"],
        "boot/initrd": files["initrd"],
        "boot/uefi.img": image,
        "boot/eltorito.img": bios,
        "boot/boot_hybrid.img": sector,
        "boot/grub2/grub.cfg": configs / "boot/grub2/grub.cfg",
        **efi,
    }
    return BootFiles(grafts, sector, image)


def _efi_programs(tree: Tree, base: KairosBase, made: Path, log: Path) -> dict[str, Path]:
    """Shim as the firmware's default, GRUB beside it by the name that shim looks for; without shim
    GRUB itself."""
    grub = made / "grub.efi"
    if base.grub is None:
        _mkimage("x86_64-efi", "x86_64-efi", _EFI_MODULES, "/boot/grub2", grub, log, chained=True)
        return {"EFI/BOOT/bootx64.efi": grub}
    wanted = {base.grub: grub}
    if base.shim:
        wanted[base.shim] = made / "shim.efi"
    tree.extract(wanted)
    if base.shim is None:
        return {"EFI/BOOT/bootx64.efi": grub}
    name = Path(base.grub).name
    for suffix in _SUFFIXES:
        name = name.removesuffix(suffix)
    name = "grubx64.efi" if name == "gcdx64.efi" else name
    return {"EFI/BOOT/bootx64.efi": made / "shim.efi", f"EFI/BOOT/{name}": grub}


def _mkimage(
    target: str,
    folder: str,
    modules: list[str],
    prefix: str,
    output: Path,
    log: Path,
    *,
    chained: bool = False,
) -> None:
    early = output.with_suffix(".cfg")
    early.write_text(
        f"search --no-floppy --file --set=root /boot/kernel\nset prefix=($root){prefix}\n"
    )
    words: list[str | Path] = ["grub-mkimage", "-O", target, "-d", _GRUB / folder, "-p", prefix]
    words += ["-c", early, "-o", output]
    process.run([*words, *modules], log)
    early.unlink()
    assert not chained or output.exists()


def _make_efi_image(files: dict[str, Path], image: Path, epoch: int, log: Path) -> None:
    """A FAT file system with these files, its size the next 4 MiB above theirs."""
    total = sum(path.stat().st_size for path in files.values())
    size = total // _SLOT * _SLOT + _SLOT
    environment = {"SOURCE_DATE_EPOCH": str(epoch), "MTOOLS_SKIP_CHECK": "1"}
    words: list[str | Path] = ["mformat", "-C", "-i", image, "-T", str(size // 512)]
    words += ["-h", "64", "-s", "32", "-N", "0ed6eb11", "-v", EFI_LABEL, "::"]
    process.run(words, log, env=environment)
    folders = sorted({str(p) for name in files for p in Path(name).parents if str(p) != "."})
    process.run(["mmd", "-i", image, *[f"::/{folder}" for folder in folders]], log, env=environment)
    for name, path in sorted(files.items()):
        process.run(["mcopy", "-i", image, path, f"::/{name}"], log, env=environment)
