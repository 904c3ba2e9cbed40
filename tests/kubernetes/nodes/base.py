"""What a node boots: Debian with containerd and runc, as kubeadm's page asks for it."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import docker
import docker.errors

from tests.host.base import make_image

_PACKAGES = (
    "systemd", "systemd-sysv", "dbus", "udev", "python3", "iproute2", "iputils-ping", "nftables",
    "procps", "kmod", "netbase", "containerd", "runc", "conntrack", "ethtool", "iptables", "mount",
    "socat", "util-linux", "busybox-static",
)  # fmt: skip
_BOOT = """#!/bin/sh
# Docker mounts files of its own there: a host has its own.
umount /etc/resolv.conf /etc/hosts /etc/hostname
mount --make-rshared /
# kubelet and kube-proxy set what they need, and runc makes control groups, version 1 or 2.
mount -o remount,bind,rw /proc/sys
for group in /sys/fs/cgroup /sys/fs/cgroup/*/; do
    mountpoint -q "$group" && mount -o remount,bind,rw "$group"
done
# These are the machine's, not the container's: kubelet finds what it wants, and sets nothing.
mkdir -p /run/sysctl
for each in vm/overcommit_memory=1 vm/panic_on_oom=0 kernel/panic=10 kernel/panic_on_oops=1 \\
    kernel/keys/root_maxkeys=1000000 kernel/keys/root_maxbytes=25000000; do
    file=/run/sysctl/$(echo "${each%=*}" | tr / .)
    echo "${each#*=}" > "$file"
    mount --bind "$file" "/proc/sys/${each%=*}"
done
# kubelet looks there for processes that the kernel ended; nobody else may read the machine's.
ln -sf /dev/console /dev/kmsg
exec /lib/systemd/systemd
"""
_SETTLE = """
rm -f "$1"/etc/resolv.conf "$1"/etc/hostname "$1"/etc/systemd/system/timers.target.wants/*
chroot "$1" systemctl enable --quiet systemd-networkd
chroot "$1" systemctl disable --quiet systemd-networkd-wait-online
echo 127.0.0.1 localhost > "$1"/etc/hosts
# /dev/kmsg is the console here: journald would read that without end, and nothing else.
mkdir -p "$1"/etc/systemd/journald.conf.d
printf '[Journal]\\nReadKMsg=no\\n' > "$1"/etc/systemd/journald.conf.d/10-node.conf
: > "$1"/etc/machine-id
"""
VOLUMES = ("/var/lib/containerd", "/var/lib/kubelet", "/var/lib/etcd")
"""overlayfs can't lie on Docker's overlayfs; and these are large."""


def node_image(client: docker.DockerClient) -> str:
    """The image's tag; made where Docker doesn't have it yet (a minute)."""
    recipe = repr((_PACKAGES, _BOOT, _SETTLE))
    tag = f"edge-test-node:{hashlib.sha256(recipe.encode()).hexdigest()[:12]}"
    try:
        client.images.get(tag)
    except docker.errors.ImageNotFound:
        with tempfile.TemporaryDirectory(prefix="edge-test-node-") as directory:
            boot, hook = Path(directory) / "boot", Path(directory) / "settle"
            boot.write_text(_BOOT)
            hook.write_text(f'#!/bin/sh\nset -eu{_SETTLE}cp {boot} "$1"/usr/local/sbin/boot\n'
                            'chmod 755 "$1"/usr/local/sbin/boot\n')  # fmt: skip
            hook.chmod(0o755)
            make_image(client, tag, "trixie", _PACKAGES, "exec /usr/local/sbin/boot",
                       f"--customize-hook={hook}")  # fmt: skip
    return tag
