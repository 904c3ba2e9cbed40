"""`.Values`: what the real yip sees of a host, and what we do."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from overlay_runtime.sysinfo import values
from tests.yip.render import program

OS_RELEASES = {
    "debian": ('PRETTY_NAME="Debian GNU/Linux 13 (trixie)"\nID=debian\nVERSION_ID="13"\n', {}),
    "ubuntu": ('PRETTY_NAME="Ubuntu 24.04.1 LTS"\nID=ubuntu\nVERSION_ID="24.04"\n', {}),
    "rocky": (
        'ID="rocky"\nPRETTY_NAME="Rocky Linux 9.4"\nVERSION_ID="9.4"\n',
        {"etc/rocky-release": "Rocky Linux release 9.4 (Blue Onyx)\n"},
    ),
    "none": ("", {"etc/timezone": "Asia/Tokyo\n"}),
}


def compared(found: dict[str, Any]) -> dict[str, Any]:
    """Without what changes from one moment to the next."""
    kept = {name: value for name, value in found.items() if name not in ("Random", "sysinfo")}
    return kept | {"version": found["sysinfo"]["version"], "random": len(found["Random"])}


def test_this_host(yip: Path) -> None:
    real, mine = program.values(yip), values()
    assert compared(mine) == compared(real)
    assert mine.keys() == real.keys()
    assert len(mine["sysinfo"]["timestamp"]) >= len("2026-11-24T22:00:00Z")


@pytest.mark.parametrize("name", OS_RELEASES)
def test_a_root_without_sys_and_proc(yip: Path, tmp_path: Path, name: str) -> None:
    """A chroot: no DMI, no /proc, another distribution."""
    if os.geteuid():
        pytest.skip("chroot is for root")
    release, files = OS_RELEASES[name]
    for file, text in {"etc/os-release": release, **files}.items():
        (tmp_path / file).parent.mkdir(exist_ok=True)
        (tmp_path / file).write_text(text)
    (tmp_path / "etc/debian_version").write_text("13.1\n")
    (tmp_path / "etc/machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    assert compared(values(tmp_path)) == compared(program.values(yip, tmp_path))
