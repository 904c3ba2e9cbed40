"""`.Values` of hosts that are directories: firmware, disks and NICs that this machine lacks."""

from __future__ import annotations

import os
import re
import struct
import time
from pathlib import Path
from typing import Any

import pytest

from overlay_runtime.gotemplate.render import TemplateError, render
from overlay_runtime.sysinfo import cpuid, hostname_values, values

FILES = {
    "sys/class/dmi/id/product_name": "PowerEdge R640\n",
    "sys/class/dmi/id/sys_vendor": "Dell Inc.\n",
    "sys/class/dmi/id/product_serial": " ABC123 \n",
    "sys/class/dmi/id/product_uuid": "4C4C4544-0042-3510-8052-B4C04F4D4D32\n",
    "sys/class/dmi/id/chassis_type": "23\n",
    "sys/class/dmi/id/bios_vendor": "Dell Inc.\n",
    "sys/class/dmi/id/bios_date": "04/01/2024\n",
    "sys/class/dmi/id/board_name": "0H28RR\n",
    "proc/sys/kernel/hostname": "edge-7\n",
    "proc/sys/kernel/osrelease": "6.12.0-amd64\n",
    "etc/machine-id": "0123456789abcdef0123456789abcdef\n",
    "etc/os-release": 'PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n',
    "etc/debian_version": "13.1\n",
    "proc/cpuinfo": (
        "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Intel(R)  Xeon(R) CPU  @ 2.4GHz\n"
        "cache size\t: 30720 KB\nphysical id\t: 0\ncore id\t\t: 0\n\n"
        "processor\t: 1\nphysical id\t: 0\ncore id\t\t: 1\n\n"
        "processor\t: 2\nphysical id\t: 1\ncore id\t\t: 0\n"
    ),
    "sys/devices/pci0/sda/size": "1953525168\n",
    "sys/devices/pci0/sda/dev": "8:0\n",
    "sys/devices/pci0/sda/device/model": "SSDSC2KB960G8R\n",
    "sys/devices/pci0/sda/device/vendor": "ATA\n",
    "sys/devices/pci0/sr0/size": "100\n",
    "sys/devices/pci0/sr0/device/type": "5\n",
    "run/udev/data/b8:0": "E:ID_MODEL=x\nE:ID_SERIAL_SHORT=PHYF123\n",
    "sys/devices/pci0/eno1/address": "02:00:00:00:00:01\n",
    "sys/devices/virtual/net/lo/address": "00:00:00:00:00:00\n",
}
LINKS = {
    "sys/block/sda": "../devices/pci0/sda",
    "sys/block/sr0": "../devices/pci0/sr0",
    "sys/block/loop0": "../devices/virtual/block/loop0",
    "sys/devices/pci0/sda/device/driver": "../../../bus/scsi/drivers/sd",
    "sys/class/net/eno1": "../../devices/pci0/eno1",
    "sys/class/net/lo": "../../devices/virtual/net/lo",
    "etc/localtime": "/usr/share/zoneinfo/Europe/Berlin",
}


def smbios(*records: tuple[int, bytes]) -> bytes:
    """Tables of SMBIOS: each record's type, and what comes after its header."""
    made = b""
    for kind, body in (*records, (127, b"")):
        made += struct.pack("<BBH", kind, len(body) + 4, 0) + body + b"text\0\0"
    return made


def memory_device(size: int, kind: int = 0x1A, speed: int = 2666, extended: int = 0) -> bytes:
    """A record of type 17."""
    body = bytearray(0x28 - 4)
    struct.pack_into("<H", body, 0x0C - 4, size)
    body[0x12 - 4] = kind
    struct.pack_into("<H", body, 0x15 - 4, speed)
    struct.pack_into("<I", body, 0x1C - 4, extended)
    return bytes(body)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for file, text in FILES.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    for file, target in LINKS.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).symlink_to(target)
    return tmp_path


def with_tables(root: Path, tables: bytes) -> dict[str, Any]:
    path = root / "sys/firmware/dmi/tables/DMI"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(tables)
    return values(root)


def test_a_server(root: Path) -> None:
    found = values(root)
    assert found["product"] == {
        "name": "PowerEdge R640",
        "vendor": "Dell Inc.",
        "serial": "ABC123",
        "uuid": "4c4c4544-0042-3510-8052-b4c04f4d4d32",
    }
    assert found["chassis"] == {"type": 23.0}
    assert found["bios"] == {"vendor": "Dell Inc.", "date": "04/01/2024"}
    assert found["board"] == {"name": "0H28RR"}
    assert found["os"] == {
        "name": "Debian GNU/Linux 13 (trixie)",
        "vendor": "debian",
        "version": "13",
        "release": "13.1",
    }
    assert found["node"]["hostname"] == "edge-7"
    assert found["node"]["timezone"] == "Europe/Berlin"
    assert found["kernel"] == {"release": "6.12.0-amd64", "architecture": os.uname().machine}
    assert found["cpu"] == {
        "vendor": "GenuineIntel",
        "model": "Intel(R) Xeon(R) CPU @ 2.4GHz",
        "cache": 30720.0,
        "cpus": 2.0,
        "cores": 3.0,
        "threads": float(len(os.sched_getaffinity(0))),
    }


def test_disks_and_nics(root: Path) -> None:
    found = values(root)
    assert found["storage"] == [
        {
            "name": "sda",
            "driver": "sd",
            "vendor": "ATA",
            "model": "SSDSC2KB960G8R",
            "serial": "PHYF123",
            "size": 1000.0,
        }
    ]
    assert found["network"] == [{"name": "eno1", "macaddress": "02:00:00:00:00:01"}]


def test_memory(root: Path) -> None:
    processor = bytearray(0x1A - 4)
    struct.pack_into("<H", processor, 0x16 - 4, 2400)
    found = with_tables(
        root,
        smbios(
            (4, bytes(processor)),
            (17, memory_device(16384)),
            (17, memory_device(0)),
            (17, memory_device(0x7FFF, extended=65536)),
            (17, memory_device(0x8400)),
        ),
    )
    assert found["memory"] == {"type": "DDR4", "speed": 2666.0, "size": 81920.0}
    assert found["cpu"]["speed"] == 2400.0


def test_memory_by_mapped_ranges(root: Path) -> None:
    ranges = struct.pack("<II", 0, 4 * 1024 * 1024 - 1) + bytes(0x1F - 12)
    wide = struct.pack("<II3xQQ", 0xFFFFFFFF, 0xFFFFFFFF, 1 << 32, (3 << 32) - 1)
    assert with_tables(root, smbios((19, ranges)))["memory"] == {"type": "DRAM", "size": 4096.0}
    assert with_tables(root, smbios((19, wide)))["memory"] == {"type": "DRAM", "size": 8192.0}


@pytest.mark.parametrize("tables", [b"", b"\x11", b"\x11\x00", b"\x11\xff" * 40, b"\x13\x04\0\0ab",
                                    b"\x04\x00\x00\x00" * 9, bytes(range(256))])  # fmt: skip
def test_broken_tables_are_no_trouble(root: Path, tables: bytes) -> None:
    assert isinstance(with_tables(root, tables)["memory"], dict)


def test_a_host_with_nothing(tmp_path: Path) -> None:
    found = values(tmp_path)
    assert found["product"] == {"uuid": "00000000-0000-0000-0000-000000000000"}
    assert found["memory"] == found["board"] == found["os"] == {}
    assert found["ProtectedID"] == ""
    assert "storage" not in found
    assert "network" not in found
    assert hostname_values(tmp_path)["MachineID"] == ""


def test_nothing_is_written(root: Path) -> None:
    (root / "var/lib/dbus").mkdir(parents=True)
    values(root)
    assert list((root / "var/lib/dbus").iterdir()) == []


def test_random_is_new_each_time(root: Path) -> None:
    one, other = values(root), values(root)
    assert re.fullmatch("[0-9a-z]{32}", one["Random"])
    assert one["Random"] != other["Random"]
    assert one["ProtectedID"] == other["ProtectedID"]
    # HMAC-SHA256 of "yip" with the machine-id as the key (openssl dgst -sha256 -hmac).
    assert one["ProtectedID"] == (
        "297b4a3d8b437cd52b3afdef85057f005a5c3aed3ffb6a9fa36a8d8e04d78b0f"
    )


def test_hostname_values(root: Path) -> None:
    found = hostname_values(root)
    assert list(found) == ["UUID", "Random", "MachineID", "ProtectedID"]
    assert render("edge-{{ trunc 4 .MachineID }}", found) == "edge-0123"
    with pytest.raises(TemplateError, match="can't evaluate field Values"):
        render("{{ .Values.node.hostname }}", found)


def test_in_templates(root: Path) -> None:
    data = {"Values": values(root)}
    template = (
        "{{ .Values.node.hostname }} {{ range .Values.network }}{{ .name }}={{ .macaddress | "
        'replace ":" "" }}{{ end }} {{ if eq .Values.os.vendor "debian" }}yes{{ end }} '
        "{{ (index .Values.storage 0).size }} {{ .Values.gpu }} {{ .Values.chassis.type | int }}"
    )
    assert render(template, data) == "edge-7 eno1=020000000001 yes 1000 <no value> 23"


def test_it_is_fast() -> None:
    values()
    took = []
    for _ in range(5):  # the best: others have the processors besides
        started = time.monotonic()
        values()
        took.append(time.monotonic() - started)
    assert min(took) < 0.05, took


def test_the_hypervisor_is_what_the_kernel_says() -> None:
    """/proc/cpuinfo has a flag where there is one."""
    flags = re.search(r"^flags\t+: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    if flags is None:
        assert cpuid.hypervisor("", "") == ""  # no x86
        assert cpuid.hypervisor("xen", "") == "xenpv"
    else:
        assert bool(cpuid.hypervisor("", "")) == ("hypervisor" in flags[1].split())
