"""How long a stage may take, in seconds. Kairos has no limits: a command that hangs, hangs it.

The units' TimeoutStartSec is above these, for what can't be ended (a process on a dead disk).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """Seconds for one command, and for the stage with its .before and .after."""

    command: float
    stage: float


_EARLY = Limits(60, 150)
_LIMITS = {
    "rootfs": _EARLY,
    "initramfs": _EARLY,
    "fs": _EARLY,
    "boot": Limits(300, 600),  # logins on the console wait for it
    "network": Limits(900, 1800),
    "reconcile": Limits(900, 1800),
}
_OTHERS = Limits(1800, 3600)
"""Installing, upgrading, and stages of the user's own."""

EARLY = frozenset(("rootfs", "initramfs", "fs"))
"""Stages before sysinit.target."""

CHROOTED = frozenset(("rootfs", "initramfs"))
"""Stages that Kairos runs before systemd is there: systemctl(1) acts on files alone."""


def limits_of(stage: str) -> Limits:
    """Return the limits of a stage, or of its .before and .after."""
    return _LIMITS.get(stage.removesuffix(".before").removesuffix(".after"), _OTHERS)
