"""nebula: the first host is the lighthouse."""

from __future__ import annotations

from pathlib import Path

from benchmarks.lab import Host
from benchmarks.rivals.base import OVERLAY, Rival, render, run


class Nebula(Rival):
    """With Debian's nebula and its default timers."""

    label = "nebula 1.6, default timers"

    def make(self, peer: Host, host: Host) -> None:
        """Set up both."""
        authority = peer.directory / "nebula-ca"
        if not (authority / "ca.crt").exists():
            authority.mkdir()
            run("nebula-cert", "ca", "-name", "edge", "-out-crt", authority / "ca.crt", "-out-key",
                authority / "ca.key")  # fmt: skip
        for number, one in enumerate((peer, host), 1):
            directory = one.directory / "nebula"
            directory.mkdir(exist_ok=True)
            _certificate(authority, directory, number)
            render("nebula.yml", directory / "config.yml", directory=directory, authority=authority,
                   lighthouse=number == 1, fixed=peer.physical, overlay=OVERLAY[0])  # fmt: skip
            self.start(one, "nebula", "-config", directory / "config.yml")


def _certificate(authority: Path, directory: Path, number: int) -> None:
    if not (directory / "host.crt").exists():
        run("nebula-cert", "sign", "-ca-crt", authority / "ca.crt", "-ca-key", authority / "ca.key",
            "-name", f"host{number}", "-ip", f"{OVERLAY[number - 1]}/24", "-out-crt",
            directory / "host.crt", "-out-key", directory / "host.key")  # fmt: skip
