"""`systemctl`: units to enable, disable, mask, start, override; `systemd_firstboot`.

yip: `pkg/plugins/systemctl.go`, `systemd_firstboot.go`.
"""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.context import Context, Refused, reason
from overlay_runtime.stages.model import shown_name

_DEFAULT_NAME = "override-yip.conf"
_DIRECTORY = "/etc/systemd/system"


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Do each, in yip's order: overrides come last.

    Before sysinit.target nothing is waited for: most units wait for that, and it for the stage.
    """
    wanted = step["systemctl"]
    for verb in ("enable", "disable", "mask", "start"):
        option = "--no-block " if verb == "start" and context.early else ""
        for unit in wanted[verb]:
            done = context.shell(f"systemctl {option}{verb} {unit}")
            if not done.good:
                context.failed(f"systemctl {verb} {shown_name(unit)} {done.failure()}")
    for number, override in enumerate(wanted["overrides"], start=1):
        if not override["service"] or not override["content"]:
            context.note(f"override {number} has no service or no content: nothing is done")
            continue
        try:
            _override(context, override)
        except (OSError, ValueError, Refused) as error:
            context.failed(f"override {number} can't be written: {reason(error)}")
    if any(wanted.values()):
        context.did("systemctl")


def _override(context: Context, override: Mapping[str, Any]) -> None:
    name, service = override["name"] or _DEFAULT_NAME, override["service"]
    if posixpath.splitext(name)[1] != ".conf":
        name += ".conf"
    if posixpath.splitext(service)[1] != ".service":
        service += ".service"
    if "/" in name or "/" in service:
        raise Refused("a slash in a name")
    directory = f"{_DIRECTORY}/{service}.d"
    context.tree.make_directories(directory)
    content = override["content"].encode(errors="surrogateescape")
    context.tree.write(f"{directory}/{name}", content)


def firstboot(context: Context, step: Mapping[str, Any]) -> None:
    """Call systemd-firstboot(1) with these options."""
    wanted = step["systemd_firstboot"]
    if not wanted:
        return
    words = sorted(
        f"--{name.lower()}" if value == "true" else f"--{name.lower()}={value}"
        for name, value in wanted.items()
    )
    done = context.shell(f"systemd-firstboot {' '.join(words)}")
    if done.good:
        context.did("systemd_firstboot")
    else:
        context.failed(f"systemd-firstboot {done.failure()}")
