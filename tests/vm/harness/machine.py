"""What a guest consists of, and the QEMU command line that makes it."""

from __future__ import annotations

import base64
import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

Firmware = Literal["bios", "uefi", "secure-boot"]
Medium = Literal["cd", "usb"]
NicModel = Literal["virtio-net-pci", "vmxnet3"]

_OVMF = Path("/usr/share/OVMF")
_CODE = {"uefi": "OVMF_CODE_4M.fd", "secure-boot": "OVMF_CODE_4M.secboot.fd"}
VARIABLES = {"uefi": "OVMF_VARS_4M.fd", "secure-boot": "OVMF_VARS_4M.ms.fd"}
"""UEFI variable stores; the second one has Microsoft's keys enrolled and Secure Boot on."""


@dataclass(frozen=True)
class Machine:
    """The hardware of one guest; `volumes` are further disks, an `.iso` among them a CD.

    `iso` is booted first, if there is one, and else `disk`, a raw image that the guest writes to.
    `address`: where it is to be reached if its user-data gives it a static address.
    """

    name: str
    iso: Path | None
    firmware: Firmware = "bios"
    medium: Medium = "cd"
    nic: NicModel = "virtio-net-pci"
    further_nics: tuple[NicModel, ...] = ()
    address: IPv4Address | None = None
    volumes: tuple[Path, ...] = ()
    memory_mib: int = 1536
    cpus: int = 1
    disk: Path | None = None
    root_key: Path | None = None
    """Public key that may log in as root, given as a credential (systemd.system-credentials(7)) to
    images whose users come from elsewhere."""
    credentials: tuple[tuple[str, str], ...] = ()
    """Further credentials: names and texts."""

    @property
    def uuid(self) -> str:
        """DMI's product UUID: the same at each boot of this name."""
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{self.name}.edge-build.test"))

    @property
    def mac(self) -> str:
        """The first NIC's MAC address: QEMU's prefix and something of the name."""
        return self.macs[0]

    @property
    def macs(self) -> tuple[str, ...]:
        """The MAC address of each NIC, by the name and the NIC's number."""

        def mac(number: int) -> str:
            tail = hashlib.sha256((self.name + number * "+").encode()).digest()[:3]
            return ":".join(f"{byte:02x}" for byte in b"\x52\x54\x00" + tail)

        return tuple(mac(number) for number in range(1 + len(self.further_nics)))

    def variables(self, directory: Path) -> Path | None:
        """This guest's own UEFI variable store, made from Debian's at the first boot."""
        if self.firmware == "bios":
            return None
        store = directory / f"{self.firmware}-variables.fd"
        if not store.exists():
            store.write_bytes((_OVMF / VARIABLES[self.firmware]).read_bytes())
        return store

    def words(
        self, directory: Path, taps: Sequence[str], console: Path, control: Path
    ) -> list[str]:
        """QEMU's command line, with a tap device for each NIC. Software emulation: CI's /dev/kvm
        exists and does not work."""
        words = ["qemu-system-x86_64", "-name", self.name, "-uuid", self.uuid]
        words += ["-accel", "tcg,thread=multi,tb-size=256", "-smp", str(self.cpus)]
        words += ["-m", str(self.memory_mib), "-nodefaults", "-no-user-config", "-display", "none"]
        words += ["-vga", "std", "-rtc", "base=utc", "-device", "virtio-rng-pci"]
        words += ["-serial", f"file:{console}"]
        words += ["-qmp", f"unix:{control},server=on,wait=off"]
        for number, model in enumerate((self.nic, *self.further_nics)):
            end = f"{number or ''}"
            words += ["-netdev", f"tap,id=cable{end},ifname={taps[number]},script=no,downscript=no"]
            words += ["-device", f"{model},netdev=cable{end},id=nic{end},mac={self.macs[number]}"]
        credentials = dict(self.credentials)
        if self.root_key:
            credentials["ssh.authorized_keys.root"] = self.root_key.read_text()
        for name, text in credentials.items():
            value = base64.b64encode(text.encode()).decode()
            words += ["-smbios", f"type=11,value=io.systemd.credential.binary:{name}={value}"]
        words += self._firmware(directory) + self._boot_medium()
        return words + self._disk() + self._volumes()

    def _firmware(self, directory: Path) -> list[str]:
        store = self.variables(directory)
        smm = "on" if self.firmware == "secure-boot" else "off"
        words = ["-machine", f"q35,smm={smm}"]
        if store is None:
            return words
        code = _OVMF / _CODE[self.firmware]
        if smm == "on":
            words += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        words += ["-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}"]
        return [*words, "-drive", f"if=pflash,format=raw,unit=1,file={store}"]

    def _boot_medium(self) -> list[str]:
        if self.iso is None:
            return []
        words = ["-drive", f"if=none,id=iso,format=raw,readonly=on,file={self.iso}"]
        if self.medium == "cd":
            return [*words, "-device", "ide-cd,drive=iso,bus=ide.0,bootindex=0"]
        words += ["-device", "qemu-xhci,id=usb"]
        return [*words, "-device", "usb-storage,bus=usb.0,drive=iso,removable=on,bootindex=0"]

    def _disk(self) -> list[str]:
        """What is lost of it in a power cut is of no interest here: no write waits for the host's
        disk."""
        if self.disk is None:
            return []
        words = ["-drive", f"if=none,id=disk,format=raw,cache=unsafe,file={self.disk}"]
        return [*words, "-device", "virtio-blk-pci,drive=disk,bootindex=1"]

    def _volumes(self) -> list[str]:
        words: list[str] = []
        for number, path in enumerate(self.volumes, start=1):
            device = f"ide-cd,bus=ide.{number}" if path.suffix == ".iso" else "virtio-blk-pci"
            words += ["-drive", f"if=none,id=vol{number},format=raw,readonly=on,file={path}"]
            words += ["-device", f"{device},drive=vol{number}"]
        return words
