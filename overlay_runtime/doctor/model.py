"""What checks look at, and what they answer."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from overlay_runtime.paths import Paths

Verdict = Literal["ok", "warning", "fault", "unknown"]

_TOOL_SECONDS = 5.0
_BEACONS_MISSED, _INTERVAL = 3.5, 10.0


@dataclass(frozen=True)
class Result:
    """What a check found; `remedy` says what to do about it (empty if nothing)."""

    verdict: Verdict
    found: str
    remedy: str = ""


@dataclass(frozen=True)
class Probed:
    """What came of probes to one peer: whether a small packet got across, and the largest that
    did, in bytes of the IP packet on the overlay (0: none)."""

    small: bool
    largest: int


def run_tool(*command: str) -> str | None:
    """Return what a tool prints, or None if it isn't there, fails or hangs."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TOOL_SECONDS, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout if done.returncode == 0 else None


@dataclass
class Host:
    """The host as checks see it. Tests give other readers and another root."""

    status: dict[str, Any]
    """As commands see it: `cli.current`; the state is "stopped" if the agent is gone."""
    now: float
    """Seconds of CLOCK_BOOTTIME."""
    wall: float
    """Seconds since 1970, as the clock says."""
    state_dir: Path
    root: Path = Path("/")
    """Where /sys, /proc, /run and /etc are."""
    tool: Callable[..., str | None] = run_tool
    probes: dict[str, Probed] | None = None
    """By peer id; None: none could be sent."""
    why_no_probes: str = ""
    paths: Paths | None = None
    """Where the runtime's own files are, for checks that read them."""

    @property
    def running(self) -> bool:
        """Whether the agent is alive: only then the status is about now."""
        return self.status["state"] not in ("stopped", "off", "error")

    @property
    def overlay(self) -> dict[str, Any]:
        """What status says of the overlay, or nothing."""
        return dict(self.status.get("overlay") or {})

    @property
    def peers(self) -> list[dict[str, Any]]:
        """All peers that status has."""
        return list(self.status.get("peers") or [])

    @property
    def up_peers(self) -> list[dict[str, Any]]:
        """The peers that are heard."""
        return [peer for peer in self.peers if peer["state"] == "up"]

    @property
    def nics(self) -> list[str]:
        """The names of the NICs in use."""
        return [nic["name"] for nic in self.status.get("underlay") or [] if "name" in nic]

    def read(self, path: str) -> str | None:
        """Return a file below the root, without white space around, or None."""
        try:
            return (self.root / path).read_text(errors="replace").strip()
        except OSError:
            return None

    @cached_property
    def links(self) -> list[dict[str, Any]]:
        """All links of this namespace as `ip -json -details link` has them."""
        try:
            return list(json.loads(self.tool("ip", "-json", "-details", "link") or "[]"))
        except ValueError:
            return []

    @cached_property
    def ruleset(self) -> str | None:
        """All packet filter rules of this namespace, or None if they can't be read."""
        texts = [self.tool("nft", "list", "ruleset"), self.tool("iptables-legacy-save")]
        return None if texts == [None, None] else "\n".join(text for text in texts if text)


Check = Callable[[Host], Result]


def named(items: Sequence[str], most: int = 4) -> str:
    """Return names in a row, the first few of many."""
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return ", ".join(items[:most]) + more


def who(peer: dict[str, Any]) -> str:
    """Return how a person finds a peer: names alone are often the same on many hosts."""
    name = "".join(c if c.isprintable() else "?" for c in peer["name"])
    return f"{name} ({peer['address'] or peer.get('id')})"


def patience(peer: dict[str, Any]) -> float:
    """Return for how many seconds a peer's silence means nothing, as `Peer.patience` has it:
    beacons of a crowd are rare."""
    return _BEACONS_MISSED * float(peer.get("interval") or _INTERVAL)


def unknown_without_agent(host: Host) -> Result | None:
    """Return the answer of checks that need a running agent, if there is none."""
    return None if host.running else Result("unknown", "the agent is not running")
