"""`sysctl`: values below /proc/sys (yip, `pkg/plugins/sysctl.go`)."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.context import Context, Refused, reason
from overlay_runtime.stages.model import shown_name

_TOP = "/proc/sys"


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Write each value; a point in a name is a slash of the path."""
    for name, value in step["sysctl"].items():
        try:
            path = posixpath.normpath("/".join([_TOP, *name.split(".")]))
            if not path.startswith(f"{_TOP}/"):
                raise Refused("its name leads out of /proc/sys")
            context.tree.write(path, value.encode(errors="surrogateescape"))
        except (OSError, ValueError, Refused) as error:
            context.failed(f"`sysctl` {shown_name(name)} can't be set: {reason(error)}")
    if step["sysctl"]:
        context.did("sysctl")
