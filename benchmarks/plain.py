"""The yardstick: the same image by hand, with each tool used as its manual shows it.

mmdebstrap with the same packages and excluded paths (no hooks: the packages make their own
initramfs), mksquashfs with its defaults, and a hybrid ISO by xorriso with the same boot files.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measured import Cost, measure
from builder.base.debian import KEYRING, DebianBase
from builder.squashfs import COMPRESSION

_EXCLUDED = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")
_MODULES = (
    "biosdisk iso9660 part_gpt part_msdos fat ext2 search search_fs_file search_label normal "
    "configfile linux echo test sleep serial terminal all_video gzio zstd reboot halt minicmd "
    "ls cat"
)
_EFI = {
    "BOOTX64.EFI": "usr/lib/shim/shimx64.efi.signed",
    "mmx64.efi": "usr/lib/shim/mmx64.efi.signed",
    "grubx64.efi": "usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",
}
_CONFIG = """set timeout=3
menuentry "live" {
    linux /live/vmlinuz boot=live
    initrd /live/initrd.img
}
"""


@dataclass(frozen=True)
class PlainBuild:
    """What the yardstick took, step by step, and what came out (sizes in bytes)."""

    mmdebstrap: Cost
    mksquashfs: Cost
    same_options: Cost
    """mksquashfs again, with the builder's compression: not part of the yardstick."""
    iso: Cost
    iso_bytes: int
    squashfs_bytes: int
    packages: str

    @property
    def total(self) -> Cost:
        """All steps together."""
        return self.mmdebstrap + self.mksquashfs + self.iso

    @property
    def total_with_same_options(self) -> Cost:
        """All steps, but with the builder's compression instead of mksquashfs's own."""
        return self.mmdebstrap + self.same_options + self.iso


def build_plainly(base: DebianBase, work: Path, log: Path) -> PlainBuild:
    """Build it in the empty directory `work`; raises RunFailedError."""
    root, tree, image = work / "root", work / "iso", work / "plain.iso"
    debootstrap = measure(_mmdebstrap(base, root), log)
    (tree / "live").mkdir(parents=True)
    layer = tree / "live" / "filesystem.squashfs"
    excluded = ["-no-progress", "-wildcards", "-e", "boot/*", "dev/*"]
    squash = measure(["mksquashfs", root, layer, *excluded], log)
    other = work / "same-options.squashfs"
    same_options = measure(["mksquashfs", root, other, *COMPRESSION, *excluded], log)
    other.unlink()
    iso = _iso(root, tree, image, log)
    listed = work / "packages.tsv"
    form = "${Package}\\t${Version}\\t${Architecture}\\n"
    measure(["chroot", root, "dpkg-query", "-W", "-f", form], listed)
    packages = listed.read_text().partition("\n")[2]  # the first line is the command
    return PlainBuild(
        debootstrap, squash, same_options, iso, image.stat().st_size, layer.stat().st_size, packages
    )


def _mmdebstrap(base: DebianBase, root: Path) -> list[str | Path]:
    return [
        "mmdebstrap",
        "--mode=root",
        "--variant=minbase",
        "--format=directory",
        f"--architectures={base.architecture}",
        f"--include={','.join(base.packages())}",
        '--aptopt=Apt::Install-Recommends "false"',
        f"--keyring={KEYRING}",
        *[f"--dpkgopt=path-exclude={pattern}" for pattern in _EXCLUDED],
        "--dpkgopt=path-include=/usr/share/doc/*/copyright",
        base.sources[0].suite,
        root,
        *[source.line for source in base.sources],
    ]


def _iso(root: Path, tree: Path, image: Path, log: Path) -> Cost:
    """Boot files from the root file system, an EFI partition by mtools, the ISO by xorriso."""
    for target, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd.img", "initrd.img-*")):
        shutil.copy(next((root / "boot").glob(pattern)), tree / "live" / target)
    grub, efi = tree / "boot" / "grub", tree / "EFI" / "BOOT"
    grub.mkdir(parents=True)
    efi.mkdir(parents=True)
    (grub / "grub.cfg").write_text(_CONFIG)
    words: list[str | Path] = ["chroot", root, "grub-mkimage", "-O", "i386-pc-eltorito"]
    words += ["-p", "/boot/grub", "-o", "/boot/eltorito.img", *_MODULES.split()]
    cost = measure(words, log)
    shutil.copy(root / "boot" / "eltorito.img", grub)
    for name, source in _EFI.items():
        shutil.copy(root / source, efi / name)
    partition = tree.with_name("efi.img")
    cost += measure(["mformat", "-C", "-i", partition, "-T", "16384", "::"], log)
    cost += measure(["mcopy", "-s", "-i", partition, tree / "EFI", "::/"], log)
    boot = root / "usr/lib/grub/i386-pc/boot_hybrid.img"
    words = ["xorriso", "-as", "mkisofs", "-quiet", "-iso-level", "3", "-rational-rock", "-joliet"]
    words += ["-volid", "PLAIN", "-output", image, "--grub2-mbr", boot, "-partition_offset", "16"]
    words += ["-append_partition", "2", "0xef", partition, "-appended_part_as_gpt"]
    words += ["-c", "boot/boot.cat", "-b", "boot/grub/eltorito.img", "-no-emul-boot"]
    words += ["-boot-load-size", "4", "-boot-info-table", "--grub2-boot-info"]
    words += ["-eltorito-alt-boot", "-e", "--interval:appended_partition_2:all::"]
    return cost + measure([*words, "-no-emul-boot", tree], log)
