"""Which processes hold a UDP port: proc(5), /proc/net/udp and /proc/PID/fd."""

from __future__ import annotations

import re

from overlay_runtime.doctor.model import Host


def holders(host: Host, port: int) -> dict[int, str]:
    """Return process id → name of those that have a UDP port of this namespace.

    Sockets of the kernel (VXLAN's) have no process. Without root only the caller's own are found.
    """
    wanted = {f"socket:[{inode}]" for inode in _inodes(host, port)}
    found: dict[int, str] = {}
    if not wanted:
        return found
    for process in (host.root / "proc").glob("[0-9]*"):
        try:
            held = {str(fd.readlink()) for fd in (process / "fd").iterdir()}
        except OSError:
            continue  # gone meanwhile, or another user's
        if held & wanted:
            found[int(process.name)] = host.read(f"proc/{process.name}/comm") or "?"
    return found


def _inodes(host: Host, port: int) -> set[str]:
    lines = [
        line.split()
        for table in ("udp", "udp6")
        for line in (host.read(f"proc/net/{table}") or "").splitlines()[1:]
    ]
    return {
        line[9]
        for line in lines
        if len(line) > 9
        and (local := re.fullmatch(r"[0-9A-F]+:([0-9A-F]{4})", line[1]))
        and int(local[1], 16) == port
    }
