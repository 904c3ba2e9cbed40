"""A host with OpenRC and connman, as Kairos's Alpine flavour has them: Debian's packages of both.

Alpine itself can't be had from the registries at hand. No Python is in it: our layer brings one.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
from pathlib import Path

import docker
import docker.errors

from tests.host.lab import Machine

_PACKAGES = (
    "sysvinit-core", "openrc", "connman", "dbus", "iproute2", "iputils-ping", "nftables", "procps",
    "kmod", "netbase",
)  # fmt: skip
_START = (
    # Docker mounts files of its own there, and leaves /proc/sys read-only.
    "umount /etc/resolv.conf /etc/hosts /etc/hostname; "
    "mount --bind /proc/sys/net /proc/sys/net; mount -o remount,bind,rw /proc/sys/net; "
    "exec /sbin/init"
)
_LIMIT_S = 900.0


class OpenrcMachine(Machine):
    """A host that has booted when init has logins waiting, after OpenRC's default runlevel."""

    def _booted(self) -> bool:
        said = self.try_run("rc-status --nocolor default; pgrep getty")[1]
        started = re.search(r"^ connman +\[ +started +\]", said, re.MULTILINE)
        return started is not None and said.rstrip()[-1].isdigit()

    def evidence(self) -> str:
        """What it says about itself, for a failure."""
        words = ("ip address; ip route; rc-status --all; ps ax; edge-overlay status; connmanctl "
                 "services")  # fmt: skip
        return f"--- {self.name}:\n{self.try_run(words)[1]}"


def openrc_image(client: docker.DockerClient) -> str:
    """The image's tag; made by mmdebstrap where Docker doesn't have it yet (a minute)."""
    recipe = repr((_PACKAGES, _START, 1))
    tag = f"edge-test-openrc:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        _make(client, tag)
    return tag


def _make(client: docker.DockerClient, tag: str) -> None:
    with tempfile.TemporaryDirectory(prefix="edge-test-openrc-") as directory:
        archive = Path(directory) / "base.tar"
        words = ["mmdebstrap", "--variant=minbase", f"--include={','.join(_PACKAGES)}"]
        words += ['--aptopt=Apt::Install-Recommends "false"', "trixie", str(archive)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        name, _, version = tag.partition(":")
        with archive.open("rb") as data:
            client.api.import_image_from_data(
                data.read(), repository=name, tag=version,
                changes=[f'CMD ["/bin/sh", "-c", "{_START}"]'],
            )  # fmt: skip
