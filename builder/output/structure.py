"""How an ISO boots, as xorriso reads it: El Torito entries, system area, partition tables."""

from __future__ import annotations

import hashlib
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from builder.errors import InputError

_CHUNK = 1 << 20
_EFI_GUID = "28732ac11ff8d211ba4b00a0c93ec93b"
"""EFI system partition, in the mixed-endian spelling of xorriso."""

_EXPECTED = {
    "a BIOS boot entry": r"^El Torito boot img\s*:\s*\d+\s+BIOS\s+y\s+none",
    "a UEFI boot entry": r"^El Torito boot img\s*:\s*\d+\s+UEFI\s+y\s+none",
    "GRUB's boot sector": r"^System area summary\s*:.*MBR.*grub2-mbr.*GPT",
    "an EFI system partition": rf"^GPT type GUID\s*:\s*2\s+{_EFI_GUID}",
    "an active entry in the MBR": r"^MBR partition\s*:\s*\d+\s+0x80",
}


@dataclass(frozen=True)
class Extent:
    """A piece of a file of an ISO, in bytes."""

    offset: int
    size: int


@dataclass(frozen=True)
class Structure:
    """What xorriso reports. `volume` is the volume's name, `lines` the report without places."""

    volume: str
    report: str

    def missing(self) -> list[str]:
        """What it takes to boot from CD and USB, by BIOS and UEFI, and isn't there."""
        return [what for what, sign in _EXPECTED.items() if not re.search(sign, self.report, re.M)]

    def shape(self) -> list[str]:
        """The report without sizes and places: equal before and after a file was replaced."""
        kept = []
        for line in self.report.splitlines():
            key, _, value = line.partition(":")
            if key.strip() in ("System area options", "System area summary", "Partition offset",
                               "El Torito hdsiz/512", "MBR head/sec/cyl"):  # fmt: skip
                kept.append(line)
            elif key.strip() == "El Torito boot img":
                kept.append(" ".join(value.split()[:5]))
            elif key.strip() == "MBR partition":
                kept.append(" ".join(value.split()[:3]))
            elif key.strip() == "GPT type GUID" and _EFI_GUID in value:
                kept.append(f"EFI partition {value.split()[0]}")
        return kept

    def efi_partition(self) -> Extent | None:
        """Where the EFI system partition lies, by the GPT or else by the MBR."""
        if found := re.search(rf"^GPT type GUID\s*:\s*(\d+)\s+{_EFI_GUID}", self.report, re.M):
            pattern = rf"^GPT start and size\s*:\s*{found[1]}\s+(\d+)\s+(\d+)"
        else:
            pattern = r"^MBR partition\s*:\s*\d+\s+0x\w+\s+0xef\s+(\d+)\s+(\d+)"
        place = re.search(pattern, self.report, re.M)
        return Extent(int(place[1]) * 512, int(place[2]) * 512) if place else None


def read_structure(image: Path, log: Path | None = None) -> Structure:
    """Read an ISO; raises InputError if it is none."""
    words = ["xorriso", "-indev", f"stdio:{image}", "-report_el_torito", "plain"]
    text = _asked([*words, "-report_system_area", "plain"], log)
    with image.open("rb") as stream:
        stream.seek(16 * 2048 + 1)
        known = stream.read(5) == b"CD001"  # ECMA-119, 8.4.2
    volume = known and re.search(r"^Volume id\s*: '([^']*)'", text, re.M)
    if not volume:
        raise InputError(f"{image} is no ISO image", "name an ISO that edge-build or Kairos made")
    return Structure(volume[1], text)


def read_extents(image: Path, log: Path | None = None) -> dict[str, list[Extent]]:
    """Where each file lies: path without a leading slash → its pieces."""
    words = ["xorriso", "-indev", f"stdio:{image}", "-find", "/", "-type", "f"]
    text = _asked([*words, "-exec", "report_lba"], log)
    found: dict[str, list[Extent]] = {}
    pattern = r"^File data lba:\s*\d+ ,\s*(\d+) ,\s*\d+ ,\s*(\d+) , '/(.*)'$"
    for lba, size, name in re.findall(pattern, text, re.M):
        found.setdefault(name.replace("'\"'\"'", "'"), []).append(
            Extent(int(lba) * 2048, int(size))
        )
    return found


def read_file(image: Path, extents: list[Extent]) -> bytes:
    """The content of a small file of an ISO."""
    with image.open("rb") as stream:
        pieces = []
        for extent in extents:
            stream.seek(extent.offset)
            pieces.append(stream.read(extent.size))
    return b"".join(pieces)


def digest_of(path: Path, extents: list[Extent]) -> str:
    """SHA-256 (hex) of what lies there."""
    total = hashlib.sha256()
    with path.open("rb") as stream:
        for extent in extents:
            stream.seek(extent.offset)
            left = extent.size
            while left and (chunk := stream.read(min(left, _CHUNK))):
                total.update(chunk)
                left -= len(chunk)
    return total.hexdigest()


def _asked(words: list[str], log: Path | None) -> str:
    answer = subprocess.run(words, capture_output=True, text=True, check=False, errors="replace")
    if log is not None:
        with log.open("a") as record:
            record.write(answer.stdout + answer.stderr)
    return answer.stdout + answer.stderr
