"""`package_pins` and `packages`, with apt (yip, `pkg/plugins/package_pins.go`, `packages.go`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.context import Context, reason

_PINS = "/etc/apt/preferences.d/99-yip-pins"
_HEAD = (
    "# Managed by yip (package_pins). DO NOT EDIT.\n# This file is rewritten on each yip run.\n\n"
)
_WITH_APT = ("debian", "ubuntu")


def pin(context: Context, step: Mapping[str, Any]) -> None:
    """Write apt's preferences."""
    pins = step["package_pins"]
    if not pins:
        return
    if not _has_apt(context):
        context.note("`package_pins`: this system has no apt: nothing is done")
        return
    text = _HEAD
    for name in sorted(pins):
        version = pins[name].strip()
        if version:
            text += f"Package: {name}\nPin: version {version}\nPin-Priority: 1001\n\n"
        else:
            context.note("`package_pins`: a package without a version is left out")
    try:
        context.tree.make_directories("/etc/apt/preferences.d")
        context.tree.write(_PINS, text.encode(errors="surrogateescape"))
        context.tree.chmod(_PINS, 0o644)
        context.did("package_pins")
    except (OSError, ValueError) as error:
        context.failed(f"`package_pins` can't be written: {reason(error)}")


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Refresh, upgrade, install, remove; what fails ends it. As with yip, `upgrade` alone does
    nothing."""
    wanted = step["packages"]
    if not (wanted["remove"] or wanted["install"] or wanted["refresh"]):
        return
    if not _has_apt(context):
        context.failed("`packages`: this system has no apt")
        return
    calls = [
        (wanted["refresh"], "refresh", ["-y", "update"]),
        (wanted["upgrade"], "upgrade", ["-y", "upgrade"]),
        (wanted["install"], "install",
         ["-y", "--no-install-recommends", "install", *wanted["install"]]),
        (wanted["remove"], "remove", ["-y", "remove", *wanted["remove"]]),
    ]  # fmt: skip
    for asked, what, words in calls:
        if not asked:
            continue
        command = context.rendered(" ".join(["apt-get", *words]), "`packages`")
        done = context.shell(command, DEBIAN_FRONTEND="noninteractive")
        if not done.good:
            context.failed(f"`packages`: {what} {done.failure()}")
            return
    context.did("packages")


def _has_apt(context: Context) -> bool:
    for line in context.tree.read_text("/etc/os-release").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "ID":
            return value.strip().strip("\"'") in _WITH_APT
    return False
