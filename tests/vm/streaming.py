"""The stream between two guests: started, watched and ended from here."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.vm.harness.guest import Guest
from tests.vm.harness.waiting import WaitedInVainError, wait_until

RATE = 100
"""Records a second."""

_SCRIPT = Path(__file__).with_name("stream.py")
_PORT = 5201
_DIRECTORY = "/run/edge-test"


@dataclass(frozen=True)
class Health:
    """The longest time between two arrivals, in seconds, and segments that were sent again."""

    longest_gap_s: float
    retransmits: int

    def __str__(self) -> str:
        return f"{self.longest_gap_s:.3f} s, {self.retransmits} retransmitted"


@dataclass(frozen=True)
class Stream:
    """One TCP connection between overlay addresses, from `sender` to `server` and back."""

    sender: Guest
    server: Guest

    def seen(self, end: str) -> dict[str, Any]:
        """The report of one end (`send` or `serve`)."""
        guest = self.sender if end == "send" else self.server
        answer = guest.shell().try_run(f"cat {_DIRECTORY}/{end}.json")
        report = json.loads(answer.stdout) if answer.returncode == 0 and answer.stdout else {}
        assert isinstance(report, dict)
        return report

    def health(self) -> Health:
        """How it went so far, both ends together."""
        ends = [self.seen(end) for end in ("send", "serve")]
        gap = max(float(seen["longest_gap_s"]) for seen in ends)
        return Health(gap, sum(int(seen["retransmits"]) for seen in ends))

    def wait_for_more(self, what: str, records: int = RATE, limit_s: float = 60) -> None:
        """Wait until both ends have received `records` more records than now."""
        before = {end: self.seen(end).get("records", 0) for end in ("send", "serve")}

        def went_on() -> bool:
            now = {end: self.seen(end) for end in before}
            broken = {end: seen["error"] for end, seen in now.items() if seen.get("error")}
            if broken:
                raise WaitedInVainError(f"the stream broke: {broken}")
            return all(now[end].get("records", 0) >= before[end] + records for end in before)

        wait_until(f"{what}: {records} more records", went_on, limit_s, evidence=self._evidence)

    def finish(self) -> dict[str, dict[str, Any]]:
        """End the stream in order; both ends' reports, with every record accounted for."""
        self.sender.run("sudo systemctl kill --signal=TERM edge-test-send")

        def ended() -> dict[str, dict[str, Any]] | None:
            now = {end: self.seen(end) for end in ("send", "serve")}
            return now if all(seen.get("ended") for seen in now.values()) else None

        reports = wait_until("the stream's end", ended, 90, evidence=self._evidence)
        sent = reports["send"]["sent"]
        for end, seen in reports.items():
            assert seen["ended"] == "in order" and not seen["error"], f"{end}: {seen}"
            assert seen["records"] == sent, f"{end} received {seen['records']} of {sent} records"
        return reports

    def _evidence(self) -> str:
        return "\n".join(f"{end}: {self.seen(end)}" for end in ("send", "serve"))


@contextmanager
def stream(sender: Guest, server: Guest, server_address: str) -> Iterator[Stream]:
    """A running stream over the overlay; ended roughly at the block's end if not in order."""
    for guest in (sender, server):
        guest.run(f"sudo install -d -m 0777 {_DIRECTORY} && rm -f {_DIRECTORY}/*.json")
        with _SCRIPT.open("rb") as script:
            guest.shell().write(f"{_DIRECTORY}/stream.py", script)
    made = Stream(sender, server)
    try:
        _start(server, "serve", server_address)
        listening = lambda: made.seen("serve").get("listening")  # noqa: E731
        server.wait_until("the stream's server", listening, 60)
        _start(sender, "send", server_address, str(RATE))
        made.wait_for_more("the stream's begin", 2 * RATE)
        yield made
    finally:
        for guest, end in ((sender, "send"), (server, "serve")):
            guest.shell().try_run(f"sudo systemctl stop edge-test-{end}")


def _start(guest: Guest, role: str, address: str, *more: str) -> None:
    """As a unit of the guest's systemd: the SSH connection may end meanwhile."""
    words = ["python3", f"{_DIRECTORY}/stream.py", role, address, str(_PORT)]
    words += [f"{_DIRECTORY}/{role}.json", *more]
    guest.run(f"sudo systemd-run --collect --unit=edge-test-{role} {' '.join(words)}")
