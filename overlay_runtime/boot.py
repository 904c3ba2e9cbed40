"""Which of Kairos's systems was booted: the installed one, the installer, or one for repairs.

Kairos's initrd leaves a file in /run/cos that names it (immucore, `WriteSentinelDagStep`); without
one the kernel command line is read as Kairos's own programs do (kairos-sdk, `state.go`).
"""

from __future__ import annotations

from enum import Enum
from pathlib import Path

from overlay_runtime.config.kairos import is_kairos
from overlay_runtime.identity import in_container


class Boot(Enum):
    """The kinds that the overlay tells apart."""

    NORMAL = "normal"
    """Installed, or no Kairos at all: the Debian base has one system only, live or not."""
    LIVE = "live"
    RESET = "reset"


_SENTINELS = {
    "uki_install_mode": Boot.LIVE,
    "autoreset_mode": Boot.RESET,
    "live_mode": Boot.LIVE,
    "recovery_mode": Boot.NORMAL,
    "active_mode": Boot.NORMAL,
    "passive_mode": Boot.NORMAL,
}
_LIVE_WORDS = ("live:LABEL", "live:CDLABEL", "netboot")

_REASONS = {
    Boot.LIVE: "this is Kairos's installer, and the `overlay:` block doesn't say `live: true`; it "
    "comes up on the installed system",
    Boot.RESET: "Kairos is resetting this host; it comes up after that",
}


def find_boot(root: Path) -> Boot:
    """Tell what was booted. Never raises: when in doubt, the overlay is wanted."""
    if not is_kairos(root):
        return Boot.NORMAL
    for name, kind in _SENTINELS.items():
        if (root / "run/cos" / name).exists():
            return kind
    if in_container(root):
        return Boot.NORMAL  # the command line is the machine's
    try:
        words = (root / "proc/cmdline").read_text(errors="replace").split()
    except OSError:
        return Boot.NORMAL
    return _by_command_line(words)


def _by_command_line(words: list[str]) -> Boot:
    if any(word.split("=")[0].startswith("kairos.ram") for word in words):
        return Boot.NORMAL  # runs from memory, as an installed system does
    line = " ".join(words)
    if "kairos.reset" in line:
        return Boot.RESET
    installed = any(label in line for label in ("COS_ACTIVE", "COS_PASSIVE", "COS_RECOVERY"))
    return Boot.LIVE if not installed and any(w in line for w in _LIVE_WORDS) else Boot.NORMAL


def why_off(root: Path, live: bool) -> str | None:
    """Say why the overlay doesn't start in this boot, or None if it does.

    `live`: whether user-data asks for it in the installer.
    """
    boot = find_boot(root)
    return None if boot is Boot.LIVE and live else _REASONS.get(boot)
