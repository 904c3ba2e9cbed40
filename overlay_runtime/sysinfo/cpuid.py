"""The hypervisor, by the CPU's own word: the instruction CPUID (Intel SDM volume 2, CPUID).

/proc/cpuinfo only says that there is one. sysinfo asks the same leaves (hypervisor.go).
"""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import cache

_NAMES = {
    "bhyve bhyve ": "bhyve",
    "KVMKVMKVM": "kvm",
    "Microsoft Hv": "hyperv",
    " lrpepyh vr": "parallels",
    "VMwareVMware": "vmware",
    "XenVMMXenVMM": "xenhvm",
}
_CODE = bytes.fromhex(
    "53"  # push rbx, which a function must keep
    "89f8"  # mov eax, edi: the leaf
    "31c9"  # xor ecx, ecx
    "0fa2"  # cpuid
    "8906"  # mov [rsi], eax
    "895e04"  # mov [rsi+4], ebx
    "894e08"  # mov [rsi+8], ecx
    "89560c"  # mov [rsi+12], edx
    "5b"  # pop rbx
    "c3"  # ret
)
_HYPERVISOR_BIT = 1 << 31


def hypervisor(xen_type: str, bios_vendor: str) -> str:
    """Return the hypervisor's name; empty on hardware, and where the CPU can't be asked.

    `xen_type`: what /sys/hypervisor/type says.
    """
    if not _cpuid(1)[2] & _HYPERVISOR_BIT:
        return "xenpv" if xen_type == "xen" else ""
    # KVM may show another one's name at the usual leaf, and its own at the first of these.
    for leaf in (0x40000100, 0x40000000):
        registers = _cpuid(leaf)
        signature = b"".join(one.to_bytes(4, "little") for one in registers[1:])
        name = _NAMES.get(signature.decode("latin-1").rstrip("\0"))
        if name:
            return name
    return "bochs" if bios_vendor == "Bochs" else "unknown"


@cache
def _cpuid(leaf: int) -> tuple[int, int, int, int]:
    """Return EAX, EBX, ECX and EDX; zeros where the CPU has no CPUID or memory can't be run."""
    if os.uname().machine != "x86_64" or ctypes.sizeof(ctypes.c_void_p) != 8:
        return 0, 0, 0, 0
    try:
        page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
        page.write(_CODE)
        address = ctypes.addressof(ctypes.c_char.from_buffer(page))
        libc = ctypes.CDLL(None, use_errno=True)
        executable = ctypes.c_int(mmap.PROT_READ | mmap.PROT_EXEC)
        if libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(mmap.PAGESIZE), executable):
            return 0, 0, 0, 0
        registers = (ctypes.c_uint32 * 4)()
        ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_void_p)(address)(leaf, registers)
    except (OSError, ValueError, AttributeError):
        return 0, 0, 0, 0
    return registers[0], registers[1], registers[2], registers[3]
