"""Whether a base is what it has to be: what would otherwise show on site, at the boot."""

from __future__ import annotations

import posixpath
import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from builder.errors import NotKairosError, UnfitBaseError
from builder.kairos.initrd import initrd_names
from builder.kairos.source import ARCHITECTURE
from builder.kairos.tree import Tree

OLDEST_PYTHON = 11
"""The runtime runs on Python 3.11 and newer."""

_SERVICE_MANAGERS = {
    "systemd": ("usr/lib/systemd/systemd", "lib/systemd/systemd"),
    "openrc": ("sbin/openrc-run", "usr/sbin/openrc-run", "usr/bin/openrc-run"),
}
_KERNELS = ("uImage", "Image", "zImage", "vmlinuz", "image")
_INITRDS = ("initrd", "initramfs")
_SHIMS = (
    "usr/share/efi/x86_64/shim.efi",
    "usr/lib/shim/shimx64.efi.dualsigned",
    "usr/lib/shim/shimx64.efi.signed.latest",
    "usr/lib/shim/shimx64.efi.signed",
    "boot/efi/EFI/fedora/shim.efi",
    "boot/efi/EFI/rocky/shim.efi",
    "boot/efi/EFI/redhat/shim.efi",
    "boot/efi/EFI/redhat/shimx64.efi",
    "boot/efi/EFI/almalinux/shim.efi",
)
_GRUBS = (
    "usr/lib/grub/x86_64-efi-signed/gcdx64.efi.signed",  # made for CDs: reads ISO 9660
    "usr/share/efi/x86_64/grub.efi",
    "usr/lib/grub/x86_64-efi-signed/grubx64.efi.signed",
    "boot/efi/EFI/fedora/grubx64.efi",
    "boot/efi/EFI/rocky/grubx64.efi",
    "boot/efi/EFI/redhat/grubx64.efi",
    "boot/efi/EFI/almalinux/grubx64.efi",
    "usr/lib/grub/x86_64-efi/grubx64.efi",
)
"""Where the flavours keep shim and GRUB, in the order in which Kairos's ISO builder looks."""


@dataclass(frozen=True)
class KairosBase:
    """A base that passed: the paths in it that count, and what its kairos-release says.

    `python` is the interpreter for the runtime, None if the base has none that is new enough.
    `shim` is None if UEFI starts GRUB without Secure Boot, `grub` if the base has none for UEFI.
    """

    release: dict[str, str]
    kernel: str
    initrd: str
    python: str | None
    shim: str | None
    grub: str | None
    warnings: tuple[str, ...]
    service_manager: str
    time: int
    """Of kairos-release, in seconds since 1970: every time in what is made from this base."""

    @property
    def flavor(self) -> str:
        """As kairos-release names it, for instance `ubuntu`."""
        return self.release.get("KAIROS_FLAVOR", self.release.get("FLAVOR", ""))


def check_base(tree: Tree, name: str, work: Path) -> KairosBase:
    """Look at the base; `work` is for the initrd while its names are read.

    Raises NotKairosError that names all that is missing, or UnfitBaseError.
    """
    wanted = "etc/kairos-release"
    text = tree.read([wanted]).get(wanted)
    kernel, initrd = _first(tree, _KERNELS), _first(tree, _INITRDS)
    missing = [] if text is not None else ["/etc/kairos-release"]
    missing += [] if kernel else ["a kernel (/boot/vmlinuz)"]
    if initrd is None:
        missing += ["an initrd (/boot/initrd)"]
    elif not _has_immucore(tree, initrd, work):
        missing += [f"immucore in its initrd (/{initrd})"]
    if missing or text is None or kernel is None or initrd is None:
        raise NotKairosError(
            f"{name} is no Kairos image: it lacks {_and(missing)}",
            "name an image that kairos-init has made, such as those of quay.io/kairos",
        )
    release = _release(text.decode(errors="replace"))
    _check_architecture(release, name)
    manager = _service_manager(tree, release, name)
    shim, grub = _boot_chain(tree)
    entry = tree.file(wanted)
    assert entry is not None
    return KairosBase(
        release,
        kernel,
        initrd,
        _python(tree),
        shim,
        grub,
        _warnings(tree, shim, grub),
        manager,
        int(entry.info.mtime),
    )


def _first(tree: Tree, prefixes: tuple[str, ...]) -> str | None:
    """As Kairos chooses: the first regular file below /boot whose name starts so."""
    for name in tree.names("boot"):
        if name.startswith(prefixes) and tree.file(f"boot/{name}"):
            return tree.resolve(f"boot/{name}")
    return None


def _has_immucore(tree: Tree, initrd: str, work: Path) -> bool:
    copy = work / "initrd"
    tree.extract({initrd: copy})
    try:
        return any(posixpath.basename(path) == "immucore" for path in initrd_names(copy))
    finally:
        copy.unlink()


def _release(text: str) -> dict[str, str]:
    """KEY=value lines, quoted as a shell would (os-release(5))."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        key, sign, value = line.partition("=")
        if sign and not key.startswith("#"):
            try:
                found[key.strip()] = "".join(shlex.split(value))
            except ValueError:
                found[key.strip()] = value.strip()
    return found


def _check_architecture(release: dict[str, str], name: str) -> None:
    found = release.get("KAIROS_ARCH") or release.get("KAIROS_TARGETARCH") or ARCHITECTURE
    if found not in (ARCHITECTURE, "x86_64"):
        raise UnfitBaseError(
            f"{name} is not for {ARCHITECTURE}: KAIROS_ARCH in its kairos-release is {found}",
            f"name an image for {ARCHITECTURE} (the only architecture that edge-build makes)",
        )


def _service_manager(tree: Tree, release: dict[str, str], name: str) -> str:
    """What starts services there: `systemd` or `openrc`."""
    for manager, programs in _SERVICE_MANAGERS.items():
        if any(tree.file(program) for program in programs):
            return manager
    flavor = release.get("KAIROS_FLAVOR", "unknown")
    raise UnfitBaseError(
        f"{name} has neither systemd nor OpenRC (flavour {flavor}), and one of them has to start "
        "the overlay",
        "take a flavour of Kairos as it comes: Ubuntu, Debian, openSUSE, Fedora, Rocky, Alpine",
    )


def _python(tree: Tree) -> str | None:
    """The newest interpreter with its whole standard library; /usr/local is masked on a host."""
    found: dict[int, str] = {}
    for binary in tree.names("usr/bin"):
        if match := re.fullmatch(r"python3\.(\d+)", binary):
            minor = int(match[1])
            home = f"python3.{minor}/asyncio/__init__.py"
            whole = tree.file(f"usr/lib/{home}") or tree.file(f"usr/lib64/{home}")
            if whole and tree.file(f"usr/bin/{binary}"):
                found[minor] = f"/usr/bin/{binary}"
    usable = {minor: path for minor, path in found.items() if minor >= OLDEST_PYTHON}
    if not usable:
        return None
    usual = tree.resolve("usr/bin/python3")
    if usual and f"/{usual}" in usable.values():
        return "/usr/bin/python3"
    return usable[max(usable)]


def _boot_chain(tree: Tree) -> tuple[str | None, str | None]:
    shim = next((path for path in _SHIMS if tree.file(path)), None)
    grub = next((path for path in _GRUBS if tree.file(path)), None)
    return (shim if grub else None), grub


def _warnings(tree: Tree, shim: str | None, grub: str | None) -> tuple[str, ...]:
    found = []
    if grub is None:
        found.append("the base has no GRUB for UEFI: this machine's is taken, without Secure Boot")
    elif shim is None:
        found.append("the base has no shim: the ISO boots by UEFI, but not with Secure Boot")
    if not any(tree.file(f"{folder}/nft") for folder in ("usr/sbin", "usr/bin", "sbin")):
        found.append("the base has no nft: the overlay comes up without its firewall")
    return tuple(found)


def _and(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
