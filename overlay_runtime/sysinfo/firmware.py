"""What the firmware says (DMI): product, board, chassis, BIOS and memory."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from overlay_runtime.sysinfo.reading import kept, number, slurp

_DMI = "sys/class/dmi/id"
_UUID = re.compile(
    r"(?:urn:uuid:)?([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})",
    re.IGNORECASE,
)
_NO_UUID = "00000000-0000-0000-0000-000000000000"
_MEMORY = (
    "Other Unknown DRAM EDRAM VRAM SRAM RAM ROM FLASH EEPROM FEPROM EPROM CDRAM 3DRAM SDRAM SGRAM "
    "RDRAM DDR DDR2 DDR2_FB-DIMM Reserved Reserved Reserved DDR3 FBD2 DDR4 LPDDR LPDDR2 LPDDR3 "
    "LPDDR4"
).split()
"""SMBIOS Reference Specification 3.0.0, page 92."""


def product(root: Path) -> dict[str, Any]:
    """Return `.Values.product`. On ARM boards name and serial come from the device tree."""
    dmi, tree = root / _DMI, root / "proc/device-tree"
    found = _UUID.fullmatch(slurp(dmi / "product_uuid"))
    return kept(
        name=slurp(dmi / "product_name") or slurp(tree / "model"),
        vendor=slurp(dmi / "sys_vendor"),
        version=slurp(dmi / "product_version"),
        serial=slurp(dmi / "product_serial") or slurp(tree / "serial-number"),
        uuid="-".join(found.groups()).lower() if found else _NO_UUID,
        sku=slurp(dmi / "product_sku"),
    )


def board(root: Path) -> dict[str, Any]:
    """Return `.Values.board`."""
    return kept(
        name=slurp(root / _DMI / "board_name"),
        vendor=slurp(root / _DMI / "board_vendor"),
        version=slurp(root / _DMI / "board_version"),
        serial=slurp(root / _DMI / "board_serial"),
        assettag=slurp(root / _DMI / "board_asset_tag"),
    )


def chassis(root: Path) -> dict[str, Any]:
    """Return `.Values.chassis`."""
    return kept(
        type=number(slurp(root / _DMI / "chassis_type")),
        vendor=slurp(root / _DMI / "chassis_vendor"),
        version=slurp(root / _DMI / "chassis_version"),
        serial=slurp(root / _DMI / "chassis_serial"),
        assettag=slurp(root / _DMI / "chassis_asset_tag"),
    )


def bios(root: Path) -> dict[str, Any]:
    """Return `.Values.bios`."""
    return kept(
        vendor=slurp(root / _DMI / "bios_vendor"),
        version=slurp(root / _DMI / "bios_version"),
        date=slurp(root / _DMI / "bios_date"),
    )


def memory(root: Path) -> tuple[dict[str, Any], int]:
    """Return `.Values.memory` (size in MB, speed in MT/s) and the CPU's speed in MHz (0: unknown).

    Without SMBIOS tables (containers, ARM boards) both are unknown, as in yip.
    """
    try:
        tables = (root / "sys/firmware/dmi/tables/DMI").read_bytes()
    except OSError:
        xen = slurp(root / "sys/devices/system/xen_memory/xen_memory0/target_kb")
        return (kept(type="DRAM", size=number(xen) // 1024) if xen else {}), 0
    kind, speed, size, mapped, cpu = "", 0, 0, 0, 0
    for record in _records(tables):
        if record[0] == 4:
            cpu = cpu or _whole(record, 0x16, 2)
        elif record[0] == 17 and (one := _device_size(record)):
            size += one
            number_of = record[0x12] if len(record) > 0x12 else 0
            if not kind and 1 <= number_of <= len(_MEMORY):
                kind = _MEMORY[number_of - 1].replace("_", " ")
            if not speed and record[1] >= 0x17:
                speed = _whole(record, 0x15, 2)
        elif record[0] == 19:
            mapped += _mapped(record)
    if not size and mapped:
        kind, size = "DRAM", mapped
    return kept(type=kind, speed=speed, size=size), cpu


def _records(tables: bytes) -> Iterator[bytes]:
    """Yield SMBIOS's structures: each has its length, and text after it up to two zeros."""
    at = 0
    while at < len(tables) - 1 and tables[at] != 127:
        yield tables[at:]
        end = tables.find(b"\0\0", at + max(tables[at + 1], 1))
        if end < 0:
            return
        at = end + 2


def _device_size(record: bytes) -> int:
    """MB of a memory device; 0: none there, unknown, or less than one."""
    size = _whole(record, 0x0C, 2)
    if size == 0xFFFF or size & 0x8000:
        return 0
    if size == 0x7FFF:
        return _whole(record, 0x1C, 4) if record[1] >= 0x20 else 0
    return size


def _mapped(record: bytes) -> int:
    """MB of a mapped range of memory."""
    start, end = _whole(record, 0x04, 4), _whole(record, 0x08, 4)
    if start == end == 0xFFFF_FFFF:
        if record[1] < 0x1F:
            return 0
        return (_whole(record, 0x17, 8) - _whole(record, 0x0F, 8) + 1) // 1048576
    return (end - start + 1) // 1024


def _whole(record: bytes, at: int, size: int) -> int:
    return int.from_bytes(record[at : at + size], "little")
