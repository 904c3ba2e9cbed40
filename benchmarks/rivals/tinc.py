"""tinc 1.0 in switch mode: the second host connects to the first."""

from __future__ import annotations

from pathlib import Path

from benchmarks.lab import Host
from benchmarks.rivals.base import OVERLAY, Rival, render, run


class Tinc(Rival):
    """With Debian's tinc and its default timers."""

    label = "tinc 1.0, default timers"

    def make(self, peer: Host, host: Host) -> None:
        """Set up both."""
        directories = [one.directory / "tinc" for one in (peer, host)]
        for number, one in enumerate((peer, host), 1):
            directory = directories[number - 1]
            if not (directory / "rsa_key.priv").exists():
                (directory / "hosts").mkdir(parents=True, exist_ok=True)
            render("tinc.conf", directory / "tinc.conf", number=number)
            up = directory / "tinc-up"
            render("tinc-up", up, address=OVERLAY[number - 1])
            up.chmod(0o755)
            _key(directory, number, one.physical if number == 1 else None)
        for number, other in ((1, directories[1]), (2, directories[0])):
            public = directories[number - 1] / "hosts" / f"host{number}"
            (other / "hosts" / public.name).write_text(public.read_text())
        for number, one in enumerate((peer, host)):
            self.start(one, "tincd", "-c", directories[number], "-D", "--pidfile",
                       directories[number] / "pid")  # fmt: skip


def _key(directory: Path, number: int, address: str | None) -> None:
    own = directory / "hosts" / f"host{number}"
    if not (directory / "rsa_key.priv").exists():
        render("tinc-host", own, address=address)
        run("tincd", "-c", directory, "-K2048")
