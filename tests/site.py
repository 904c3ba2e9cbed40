"""The site that the image tiers build: one user-data, one account, images by the real CLI."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[1]
EVIDENCE = REPOSITORY / "build" / "tests"
"""Consoles, screenshots, build logs of the last run stay here."""

CIDR = IPv4Network("100.65.8.0/24")
_BUILD_LIMIT_S = 1200.0


@dataclass(frozen=True)
class Account:
    """Who logs in: user-data holds the name and the public half of the key."""

    user: str
    key: Path


@dataclass(frozen=True)
class Site:
    """What all hosts of the tests have in common; the secret is worth nothing elsewhere."""

    account: Account
    cidr: IPv4Network = CIDR
    secret: str = "a secret of the image tiers, used nowhere else"

    @property
    def reserved(self) -> frozenset[IPv4Address]:
        """Addresses of the overlay network that no host may have: network, VIP, broadcast."""
        return frozenset({self.cidr[0], self.cidr[1], self.cidr[-1]})

    def user_data(self, **overlay: Any) -> str:
        """The user-data, with further (or other) keys in its `overlay:` block."""
        public = self.account.key.with_suffix(".pub").read_text().strip()
        login = {
            "name": self.account.user,
            "shell": "/bin/bash",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "lock_passwd": True,
            "ssh_authorized_keys": [public],
        }
        block = {"cidr": str(self.cidr), "secret": self.secret, **overlay}
        # JSON is YAML; a key a line, so that error messages can name lines
        keys = [f"  {key}: {json.dumps(value)}" for key, value in block.items()]
        return "\n".join(["#cloud-config", "overlay:", *keys, f"users: [{json.dumps(login)}]", ""])

    def usable(self, address: str) -> bool:
        """Whether a host may have this overlay address."""
        return IPv4Address(address) in self.cidr and IPv4Address(address) not in self.reserved


def make_site(directory: Path) -> Site:
    """A site with an SSH key made now."""
    key = directory / "id_ed25519"
    words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "edge-build test"]
    subprocess.run([*words, "-f", str(key)], check=True, timeout=30)
    return Site(Account("edge", key))


def build_images(site: Site | None, output: Path, *words: str) -> list[dict[str, Any]]:
    """Run `edge-build image` as a user would; what it made, as its `--json` tells.

    Without a site no user-data is embedded. Raises AssertionError with all that it said, if it
    fails.
    """
    command = [sys.executable, "-m", "builder.cli", "image", "--output", str(output), "--json"]
    if site:
        user_data = output / "user-data.yaml"
        user_data.write_text(site.user_data())
        command += ["--user-data", str(user_data)]
    command += words
    answer = subprocess.run(
        command,
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=_BUILD_LIMIT_S,
        check=False,
    )
    assert answer.returncode == 0, f"{' '.join(command)}\n{answer.stdout}{answer.stderr}"
    made = json.loads(answer.stdout)
    assert isinstance(made, list)
    return made
