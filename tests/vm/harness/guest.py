"""A QEMU guest on a segment: power, cable, console, screen, shell."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any, TypeVar

from tests.site import Account
from tests.vm.harness.machine import Machine
from tests.vm.harness.process import end, start, tail
from tests.vm.harness.qmp import Qmp
from tests.vm.harness.remote import Remote
from tests.vm.harness.segment import Segment
from tests.vm.harness.waiting import WaitedInVainError, wait_until

T = TypeVar("T")
BOOT_LIMIT_S = 300.0
"""From power on to SSH: software emulation, several guests on few cores."""


class Guest:
    """One guest; `directory` keeps its console, screenshots and UEFI variables."""

    def __init__(self, machine: Machine, segment: Segment, account: Account) -> None:
        self.machine = machine
        self.segment = segment
        self.account = account
        self.directory = segment.directory / machine.name
        self.directory.mkdir(exist_ok=True)
        self._taps = [segment.add_tap() for _ in machine.macs]
        self._boots = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._qmp: Qmp | None = None
        self._powered_at = 0.0
        self._shells: dict[IPv4Address, Remote] = {}

    @property
    def console(self) -> Path:
        """What the guest wrote to its serial line since power on."""
        return self.directory / f"console-{self._boots}.log"

    def power_on(self, **changes: Any) -> None:
        """Start QEMU, with `changes` of the machine's fields (another firmware, other volumes)."""
        self.machine = replace(self.machine, **changes)
        self._boots += 1
        control = self.directory / "qmp"
        control.unlink(missing_ok=True)
        words = self.machine.words(self.directory, self._taps, self.console, control)
        self._powered_at = time.monotonic()
        self._process = start(self.segment.words(*words), self.directory / "qemu.log")
        self._qmp = wait_until("QEMU's control socket", lambda: self._connect(control), 20)

    def power_cut(self) -> None:
        """Pull the plug: the guest hears nothing of it."""
        self._hang_up()
        if self._qmp:
            self._qmp.close()
            self._qmp = None
        if self._process:
            self._process.kill()
            self._process.wait()
            self._process = None

    def wait_for_power_off(self, limit_s: float, watch: Callable[[], object]) -> None:
        """Wait until the guest has switched itself off, so that QEMU ended; `watch` is called
        every 20 seconds until then."""
        assert self._process
        process = self._process

        def is_off() -> bool:
            if process.poll() is None:
                watch()
            return process.poll() is not None

        what = f"{self.machine.name}: to switch itself off"
        wait_until(what, is_off, limit_s, poll_s=20, evidence=self.evidence)
        self.power_cut()

    def reboot(self, command: str = "systemctl reboot", limit_s: float = BOOT_LIMIT_S) -> Remote:
        """Have it reboot by this shell command, and wait for the shell of the boot after that."""
        which = "cat /proc/sys/kernel/random/boot_id"
        before = self.run(which)
        self.shell().try_run(command, limit_s=20)
        self._hang_up()

        def anew() -> Remote | None:
            shell = self._answering_shell()
            answer = shell.try_run(which, limit_s=20) if shell else None
            return shell if answer and answer.returncode == 0 and answer.stdout != before else None

        self._powered_at = time.monotonic()
        return self.wait_until("SSH after a reboot", anew, limit_s)

    def set_cable(self, plugged: bool, number: int = 0) -> None:
        """Take the carrier of one of the guest's NICs away, or give it back."""
        assert self._qmp
        self._qmp.execute("set_link", name=f"nic{number or ''}", up=plugged)

    def seconds_since_power_on(self) -> float:
        """Seconds since `power_on`."""
        return time.monotonic() - self._powered_at

    def address(self) -> IPv4Address | None:
        """Its static physical address, else that of the DHCP server's present leases."""
        return self.machine.address or self.segment.lease(self.machine.mac)

    def wait_for_shell(self, limit_s: float = BOOT_LIMIT_S) -> Remote:
        """Wait until it answers by SSH at its physical address."""
        return self.wait_until("SSH", self._answering_shell, limit_s)

    def shell(self) -> Remote:
        """Its shell at its present physical address."""
        address = self.address()
        assert address, f"{self.machine.name} has no lease in {self.segment.network}"
        return self._shells.setdefault(address, Remote(self.segment, self.account, address))

    def run(self, command: str, *, limit_s: float = 60.0) -> str:
        """Run a shell command in the guest; its standard output, AssertionError if it fails."""
        return self.shell().run(command, limit_s=limit_s)

    def overlay(self) -> dict[str, Any]:
        """`edge-overlay status --json`, whatever its exit code; {} while it can't be had."""
        answer = self.shell().try_run("edge-overlay status --json")
        try:
            status = json.loads(answer.stdout)
        except ValueError:
            return {}
        assert isinstance(status, dict)
        return status

    def wait_until(self, what: str, probe: Callable[[], T | None], limit_s: float) -> T:
        """`wait_until` with this guest's console and a screenshot as the evidence."""
        what = f"{self.machine.name}: {what}"
        return wait_until(what, self._alive(probe), limit_s, evidence=self.evidence)

    def evidence(self) -> str:
        """The console's last lines, and where a screenshot lies."""
        picture = self.directory / f"screen-{self._boots}.png"
        with suppress(OSError, AssertionError):
            if self._qmp:
                self._qmp.execute("screendump", filename=str(picture), format="png")
        words = [tail(self.console), tail(self.directory / "qemu.log", 5)]
        words += [f"screenshot: {picture}"] if picture.exists() else []
        return "\n".join(words)

    def _alive(self, probe: Callable[[], T | None]) -> Callable[[], T | None]:
        def checked() -> T | None:
            if self._process is None or self._process.poll() is not None:
                raise WaitedInVainError(f"QEMU of {self.machine.name} ended\n{self.evidence()}")
            return probe()

        return checked

    def _connect(self, control: Path) -> Qmp | None:
        assert self._process
        if self._process.poll() is not None:
            raise WaitedInVainError(f"QEMU did not start\n{tail(self.directory / 'qemu.log')}")
        try:
            return Qmp(control)
        except OSError:
            return None

    def _answering_shell(self) -> Remote | None:
        if self.address() is None:
            return None
        shell = self.shell()
        return shell if shell.try_run("true", limit_s=20).returncode == 0 else None

    def _hang_up(self) -> None:
        for shell in self._shells.values():
            shell.hang_up()
        self._shells.clear()

    def close(self) -> None:
        """End it for good."""
        self._hang_up()
        if self._process:
            end(self._process)
        self.power_cut()


@contextmanager
def guest(machine: Machine, segment: Segment, account: Account) -> Iterator[Guest]:
    """A guest, powered on; gone at the block's end."""
    made = Guest(machine, segment, account)
    try:
        made.power_on()
        yield made
    finally:
        made.close()
