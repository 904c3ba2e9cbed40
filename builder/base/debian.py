"""The embedded default base: Debian by mmdebstrap, as a squashfs layer and its boot files."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder import process
from builder.base.archive import ArchiveState, Source
from builder.cache import Cache, Entry, file_digest
from builder.errors import PrivilegeError
from builder.squashfs import make_squashfs
from builder.templates import TEMPLATES
from builder.workspace import require_space

TOOLS = ("mmdebstrap", "mksquashfs", "mformat", "mmd", "mcopy", "setpriv")
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
WORK_BYTES = 1536 << 20
"""Room that making the base takes at its peak (root file system, packages, squashfs)."""

_CODE = (Path(__file__), Path(make_squashfs.__code__.co_filename))
"""The code that makes a base is one of the base's inputs."""

_EFI_KIB = 8192
_EFI_FILES = {"bootx64.efi": "BOOTX64.EFI", "grubx64.efi": "grubx64.efi", "mmx64.efi": "mmx64.efi"}
_EXCLUDED = ("/usr/share/man/*", "/usr/share/locale/*", "/usr/share/doc/*", "/usr/share/info/*")


@dataclass(frozen=True)
class DebianBase:
    """What a Debian base is made of."""

    sources: tuple[Source, ...]
    extra_packages: tuple[str, ...]
    architecture: str = "amd64"

    def packages(self) -> list[str]:
        """All packages asked for, sorted: those of `packages.txt` and the user's own."""
        lines = (TEMPLATES / "base" / "packages.txt").read_text().splitlines()
        listed = {line.strip() for line in lines if line.strip() and not line.startswith("#")}
        return sorted(listed | set(self.extra_packages))

    def inputs(self, archive: ArchiveState) -> dict[str, Any]:
        """The cache key's content: all that the result depends on."""
        hooks = sorted((TEMPLATES / "base" / "hooks").iterdir())
        return {
            "code": [file_digest(path) for path in _CODE],
            "architecture": self.architecture,
            "sources": [source.line for source in self.sources],
            "releases": dict(archive.releases),
            "packages": self.packages(),
            "hooks": {hook.name: file_digest(hook) for hook in hooks},
        }


@dataclass(frozen=True)
class BaseFiles:
    """A finished base: the layer and what boots it (paths into the cache)."""

    directory: Path

    @property
    def layer(self) -> Path:
        """The root file system without /boot, squashfs."""
        return self.directory / "10-base.squashfs"

    @property
    def kernel(self) -> Path:
        """Linux, signed by Debian."""
        return self.directory / "vmlinuz"

    @property
    def initrd(self) -> Path:
        """Initramfs with live-boot."""
        return self.directory / "initrd.img"

    @property
    def bios_image(self) -> Path:
        """GRUB for BIOS as an El Torito boot image."""
        return self.directory / "eltorito.img"

    @property
    def bios_mbr(self) -> Path:
        """GRUB's boot sector for a hybrid ISO on a USB stick or disk."""
        return self.directory / "boot_hybrid.img"

    @property
    def efi_image(self) -> Path:
        """EFI system partition (FAT): shim, GRUB, MokManager."""
        return self.directory / "efi.img"

    @property
    def efi_programs(self) -> dict[str, Path]:
        """The same three programs, by their name in `EFI/BOOT/`."""
        return {name: self.directory / ours for ours, name in _EFI_FILES.items()}


def check_able_to_build(cache: Cache) -> None:
    """Raise what would stop the base after minutes of work: rights, tools, room."""
    if os.geteuid() != 0:
        raise PrivilegeError(
            "making the Debian base needs root (dpkg changes owners and makes device nodes)",
            "run it with sudo, or as a container: see 'In a container' in the README",
        )
    process.require_tools(TOOLS)
    cache.root.mkdir(parents=True, exist_ok=True)
    require_space(cache.root, WORK_BYTES, "making the Debian base")


def make_base(
    base: DebianBase,
    archive: ArchiveState,
    cache: Cache,
    log: Path,
    heard: Callable[[str], None] | None = None,
) -> Entry:
    """The base for these inputs, from the cache or made now (about a minute).

    `heard` is told each line of mmdebstrap's, `log` gets all of them. Raises ToolFailedError or
    DiskFullError.
    """

    def make(directory: Path) -> None:
        environment = {"SOURCE_DATE_EPOCH": str(archive.date)}
        root = directory.parent / "root"
        process.run(_mmdebstrap_words(base, root), log, env=environment, heard=heard, apart=True)
        for made in sorted((root / "boot" / "edge").iterdir()):
            made.rename(directory / made.name)
        make_squashfs(root, directory / "10-base.squashfs", log, excluded=("boot/*", "dev/*"))
        _make_efi_image(directory, log, environment)

    return cache.get("base", base.inputs(archive), make)


def _mmdebstrap_words(base: DebianBase, root: Path) -> list[str | Path]:
    hooks = TEMPLATES / "base" / "hooks"
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
        f"--essential-hook={hooks / 'essential.sh'}",
        f"--customize-hook={hooks / 'customize.sh'}",
        base.sources[0].suite,
        root,
        *[source.line for source in base.sources],
    ]


def _make_efi_image(directory: Path, log: Path, environment: dict[str, str]) -> None:
    image = directory / "efi.img"
    words: list[str | Path] = ["mformat", "-C", "-i", image, "-T", str(_EFI_KIB * 2)]
    words += ["-h", "64", "-s", "32", "-N", "0ed6eb11", "-v", "EDGE_EFI", "::"]
    process.run(words, log, env=environment)
    process.run(["mmd", "-i", image, "::/EFI", "::/EFI/BOOT"], log, env=environment)
    for ours, name in _EFI_FILES.items():
        words = ["mcopy", "-m", "-i", image, directory / ours, f"::/EFI/BOOT/{name}"]
        process.run(words, log, env=environment)
