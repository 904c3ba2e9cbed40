"""The words of this package: what is written, why, and what contradicts it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from overlay_runtime.address import IPAddress
from overlay_runtime.config.cluster import Cluster

HEADER = "Written by edge-overlay; changes are overwritten."
"""The beginning of every file of ours, after the sign of a comment."""

API_PORT = 6443
"""Of the API server: all three distributions' default."""


@dataclass(frozen=True)
class Overlay:
    """What Kubernetes is to use of the overlay."""

    address: IPAddress
    vip: IPAddress
    interface: str


@dataclass(frozen=True)
class Setting:
    """One key of a file of ours: its value as people read it, and why it is there."""

    key: str
    value: str
    why: str


@dataclass(frozen=True)
class File:
    """A file of ours. `path` is the host's, whatever the root."""

    path: str
    content: str
    settings: tuple[Setting, ...] = ()
    mode: int = 0o600


@dataclass(frozen=True)
class Contradiction:
    """What somebody wrote, or what runs, that keeps Kubernetes off the overlay.

    `where`: a file, a unit or a process. None of the texts may hold a secret.
    """

    where: str
    found: str
    expected: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.where}: {self.found}; expected {self.expected}; {self.remedy}"


@dataclass(frozen=True)
class Detected:
    """What is on the host: `distribution` is None without any, or if it can't be told.

    `server`: whether this host is a control plane; None: not to be told yet.
    """

    distribution: str | None
    server: bool | None = None
    evidence: tuple[str, ...] = ()
    several: tuple[str, ...] = ()
    palette: bool = False
    kairos: dict[str, Any] = field(default_factory=dict)
    """Kairos's own keys: k3s, k3s-agent, kubevip, cluster, stylus; as they were written."""


@dataclass
class Plan:
    """What is to be so on this host."""

    detected: Detected
    cluster: Cluster
    overlay: Overlay | None
    files: list[File] = field(default_factory=list)
    contradictions: list[Contradiction] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    withheld: str = ""
    """Why nothing is written although there is a distribution."""
    leave: bool = False
    """Whether what was written earlier stays: the overlay is only down, or can't be read."""


def certificate_names(cluster: Cluster, overlay: Overlay) -> tuple[str, ...]:
    """Return what the API server's certificate is to have: the VIP, and the names outside."""
    return (str(overlay.vip), *cluster.external_names)


def below(root: Path, path: str) -> Path:
    """Return where a path of the host lies below another root."""
    return root / path.lstrip("/")


def address(text: str) -> IPAddress | None:
    """Read an address, or return None."""
    try:
        return ipaddress.ip_address(text.strip())
    except ValueError:
        return None


def url_host(at: IPAddress) -> str:
    """Return an address as URLs have it."""
    return f"[{at}]" if at.version == 6 else str(at)
