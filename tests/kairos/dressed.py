"""A Kairos host in a container, as far as its files go: Debian with a network manager of its own,
`kairos-release`, and our layer as a Kairos image has it. None of Kairos's programs."""

from __future__ import annotations

import io
import json
import tarfile
import tempfile
from pathlib import Path

from builder.bake.vendor import vendored_dependencies
from builder.cache import Cache, default_cache_dir
from builder.config import KEYS
from builder.kairos.layer import Fit, fill_tree
from builder.kairos.python import COMMAND, brought_python
from tests.host.lab import Machine
from tests.vm.harness.waiting import wait_until

_FOR_CONTAINERS = "usr/lib/systemd/network/05-edge-container.network"
"""Leaves eth0 to a container's engine; here the host's own manager is to have it."""

EMBEDDED = "/usr/lib/edge-overlay/user-data"


def dress(
    host: Machine,
    user_data: str,
    flavor: str,
    *,
    bring_python: bool = False,
    service_manager: str = "systemd",
) -> None:
    """Put the layer and Kairos's marks into a host; it counts from its next boot on.

    `bring_python`: as for a base that has none.
    """
    with tempfile.TemporaryDirectory(prefix="edge-test-dress-") as directory:
        work = Path(directory)
        vendor = vendored_dependencies(_cache(), work / "log")
        about = {"kairos": {"KAIROS_FLAVOR": flavor}}
        made = vendor.path / "vendor"
        fit = Fit(service_manager=service_manager)
        if bring_python:
            mirror = str(KEYS["base.mirror"].default)
            brought = brought_python(_cache(), mirror, work / "log").path / "python"
            fit = Fit(COMMAND, brought, service_manager)
        tree = fill_tree(work / "edge", user_data, made, about, fit)
        (tree / _FOR_CONTAINERS).unlink(missing_ok=True)
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for path in sorted(tree.iterdir()):
                tar.add(path, path.name)
    assert host.container.put_archive("/", packed.getvalue())
    host.write("/etc/kairos-release", f"KAIROS_FLAVOR={flavor}\nKAIROS_VERSION=v0\n")


def _cache() -> Cache:
    return Cache(Path(default_cache_dir()))


def boot_as(host: Machine, mode: str) -> None:
    """From its next boot on Kairos's initrd says that this is such a boot."""
    host.write("/etc/tmpfiles.d/cos.conf", f"d /run/cos 0755\nf /run/cos/{mode} 0644 - - - 1\n")


def status(host: Machine) -> dict[str, object]:
    """`edge-overlay status --json`; {} while it can't be had."""
    try:
        found = json.loads(host.try_run("edge-overlay status --json")[1])
    except ValueError:
        return {}
    assert isinstance(found, dict)
    return found


def wait_for_overlay(host: Machine, seconds: float = 60) -> str:
    """Wait until it is up; its address."""
    wait_until(f"{host.name}: the overlay", lambda: status(host).get("state") == "up", seconds,
               evidence=host.evidence)  # fmt: skip
    return host.run("edge-overlay address").strip()
