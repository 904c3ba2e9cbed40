"""Commands in a guest, through SSH over its physical address."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import IO

from tests.site import Account
from tests.vm.harness.segment import Segment

_OPTIONS = {
    "BatchMode": "yes",
    "IdentitiesOnly": "yes",
    "StrictHostKeyChecking": "no",
    "UserKnownHostsFile": "/dev/null",
    "LogLevel": "ERROR",
    "ConnectTimeout": "10",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "6",
    # emulated guests are slow at handshakes: one of them for many commands; it ends by itself
    "ControlMaster": "auto",
    "ControlPersist": "30",
}


@dataclass(frozen=True)
class Remote:
    """A guest's shell at one physical address."""

    segment: Segment
    account: Account
    address: IPv4Address

    def try_run(self, command: str, *, limit_s: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a shell command; exit code 255 if SSH did not get through."""
        try:
            return subprocess.run(
                self._words(command),
                capture_output=True,
                text=True,
                timeout=limit_s,
                check=False,
                stdin=subprocess.DEVNULL,
            )
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess([command], 255, "", f"no end within {limit_s:g} s")

    def run(self, command: str, *, limit_s: float = 60.0) -> str:
        """Run a shell command; its standard output. AssertionError if it fails."""
        answer = self.try_run(command, limit_s=limit_s)
        if answer.returncode:
            said = answer.stdout + answer.stderr
            raise AssertionError(f"{self.address}: {command}: exit {answer.returncode}\n{said}")
        return answer.stdout

    def write(self, path: str, content: IO[bytes]) -> None:
        """Write a file in the guest (as the account's user)."""
        words = self._words(f"cat > {path}")
        subprocess.run(words, stdin=content, check=True, timeout=60)

    def hang_up(self) -> None:
        """End the shared connection, if there is one."""
        words = [
            *self._words(""),
        ]
        words[words.index("--") :] = ["-O", "exit", str(self.address)]
        subprocess.run(words, capture_output=True, check=False, timeout=20)

    def _words(self, command: str) -> list[str]:
        control = self.segment.directory / f"ssh-{self.address}"
        words = ["ssh", "-F", "/dev/null", "-i", str(self.account.key), "-l", self.account.user]
        words += [f"-oControlPath={control}"]
        words += [f"-o{key}={value}" for key, value in _OPTIONS.items()]
        return [str(w) for w in self.segment.words(*words, "--", str(self.address), command)]
