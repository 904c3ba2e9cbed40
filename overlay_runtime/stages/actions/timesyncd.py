"""`timesyncd`: the section [Time] of a drop-in (yip, `pkg/plugins/timesyncd.go`)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.context import Context, reason

_DIRECTORY = "/etc/systemd/timesyncd.conf.d"
_FILE = f"{_DIRECTORY}/10-yip.conf"


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Set each key; those that are in the file stay."""
    wanted = step["timesyncd"]
    if not wanted:
        return
    try:
        if any(re.search(r"[\0\n\r=\[\]]", name) or "\n" in value or "\0" in value
               for name, value in wanted.items()):  # fmt: skip
            raise ValueError
        context.tree.make_directories(_DIRECTORY)
        values = {**_values(context.tree.read_text(_FILE)), **wanted}
        width = max(map(len, values))
        lines = [f"{name:{width}} = {value}".rstrip() for name, value in values.items()]
        text = "\n".join(["[Time]", *lines]) + "\n"
        context.tree.write(_FILE, text.encode(errors="surrogateescape"))
        context.did("timesyncd")
    except (OSError, ValueError) as error:
        context.failed(f"`timesyncd` can't be written: {reason(error)}")


def _values(text: str) -> dict[str, str]:
    found = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.lstrip().startswith(("#", ";")):
            found[name.strip()] = value.strip()
    return found
