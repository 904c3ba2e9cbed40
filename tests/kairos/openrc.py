"""A host with OpenRC and connman, as Kairos's Alpine flavour has them: Debian's packages of both.

Alpine itself can't be had from the registries at hand. No Python is in it: our layer brings one.
"""

from __future__ import annotations

import hashlib
import re

import docker
import docker.errors

from tests.host.base import make_image
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
        make_image(client, tag, "trixie", _PACKAGES, _START,
                   '--aptopt=Apt::Install-Recommends "false"')  # fmt: skip
    return tag
