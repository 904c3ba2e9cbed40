"""The container image that all tests of this tier share: Debian with every network manager."""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path

import docker
import docker.errors

_PACKAGES = (
    "systemd", "systemd-sysv", "systemd-resolved", "dbus", "udev", "python3", "iproute2",
    "iputils-ping", "netplan.io", "network-manager", "ifupdown", "isc-dhcp-client", "dhcpcd-base",
    "bridge-utils",    "nftables", "procps", "kmod", "netbase",
)  # fmt: skip
_START = (
    # Docker mounts files of its own there: a host that already runs has its own.
    "umount /etc/resolv.conf /etc/hosts /etc/hostname; "
    # dhcpcd and networkd set what belongs to their NICs; the rest of /proc/sys stays read-only.
    "mount --bind /proc/sys/net /proc/sys/net; mount -o remount,bind,rw /proc/sys/net; "
    "exec /lib/systemd/systemd"
)
_SETTLE = """
rm -f "$1"/etc/resolv.conf "$1"/etc/hostname
for unit in NetworkManager networking systemd-networkd systemd-resolved; do
    chroot "$1" systemctl disable --quiet $unit
done
rm -f "$1"/etc/systemd/system/timers.target.wants/*
echo 127.0.0.1 localhost > "$1"/etc/hosts
: > "$1"/etc/machine-id
"""
_LIMIT_S = 900.0
_making = threading.Lock()


def base_image(client: docker.DockerClient, suite: str) -> str:
    """The image's tag; made by mmdebstrap where Docker doesn't have it yet (a minute at most)."""
    recipe = repr((suite, _PACKAGES, _START, _SETTLE, 1))
    tag = f"edge-test-host:{suite}-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    with _making:
        try:
            client.images.get(tag)
        except docker.errors.ImageNotFound:
            _make(client, suite, tag)
    return tag


def _make(client: docker.DockerClient, suite: str, tag: str) -> None:
    with tempfile.TemporaryDirectory(prefix="edge-test-host-") as directory:
        hook = Path(directory) / "settle"
        hook.write_text(f"#!/bin/sh\nset -eu{_SETTLE}")
        hook.chmod(0o755)
        make_image(client, tag, suite, _PACKAGES, _START, f"--customize-hook={hook}")


def make_image(
    client: docker.DockerClient, tag: str, suite: str, packages: Sequence[str], start: str,
    *options: str,
) -> None:  # fmt: skip
    """Have mmdebstrap make an image of these packages, with more options of its, and `start` as
    the command."""
    with tempfile.TemporaryDirectory(prefix="edge-test-image-") as directory:
        archive = Path(directory) / "base.tar"
        words = ["mmdebstrap", "--variant=minbase", f"--include={','.join(packages)}"]
        words += [*options, suite, str(archive)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        name, _, version = tag.partition(":")
        with archive.open("rb") as data:
            client.api.import_image_from_data(
                data.read(), repository=name, tag=version,
                changes=[f'CMD ["/bin/sh", "-c", "{start}"]'],
            )  # fmt: skip
