"""`environment`: variables in a file (yip, `pkg/plugins/environment.go`, joho/godotenv).

Lines of the file that set other variables, and comments, stay as they are. Kairos drops comments,
expands variables, and loses what it can't parse.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.actions.directories import clean, make_parents
from overlay_runtime.stages.context import Context, Refused, reason

_DEFAULT = "/etc/environment"
_MODE = 0o644
_SPECIAL = '\\\n\r"!$`'
_ASSIGNED = re.compile(r"\s*(?:export\s+)?([A-Za-z0-9_.]+)\s*[=:]")


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Set each variable in the file."""
    wanted = step["environment"]
    if not wanted:
        return
    try:
        path = clean(step["environment_file"] or _DEFAULT)
        rendered = {
            name: context.rendered(value, f"the variable {number}")
            for number, (name, value) in enumerate(wanted.items(), start=1)
        }
        make_parents(context, path, _MODE + 0o100, 0, 0)
        old = context.tree.read(path) if context.tree.exists(path) else b""
        new = _merged(old.decode(errors="surrogateescape"), rendered)
        context.tree.write(path, new.encode(errors="surrogateescape"), _MODE)
        context.tree.chmod(path, _MODE)
        context.did("environment")
    except (OSError, ValueError, Refused) as error:
        context.failed(f"`environment` can't be written: {reason(error)}")


def _merged(old: str, wanted: Mapping[str, str]) -> str:
    lines, found = [], set()
    for line in old.splitlines():
        name = _ASSIGNED.match(line)
        if name and name[1] in wanted:
            if name[1] not in found:
                lines.append(_assignment(name[1], wanted[name[1]]))
            found.add(name[1])
        else:
            lines.append(line)
    lines += sorted(_assignment(name, wanted[name]) for name in wanted if name not in found)
    return "".join(f"{line}\n" for line in lines)


def _assignment(name: str, value: str) -> str:
    """A line as godotenv writes it: numbers plain, everything else in quotes."""
    if re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        return f"{name}={int(value)}"
    for sign in _SPECIAL:
        value = value.replace(sign, {"\n": r"\n", "\r": r"\r"}.get(sign, f"\\{sign}"))
    return f'{name}="{value}"'
