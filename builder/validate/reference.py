"""The reference pages, made from the schema:

python -m builder.validate.reference > docs/user-data.md
python -m builder.validate.reference --network-config > docs/network-config.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby

from overlay_runtime.userdata import netplan
from overlay_runtime.userdata.model import Block, By, Either, Key, Kind, ListOf, MapOf, expected
from overlay_runtime.userdata.rules import ALL
from overlay_runtime.userdata.schema import TOP
from overlay_runtime.userdata.stages import BOOT_STAGES, STAGES

_INTRODUCTION = """\
# user-data

Made from the schema (`python -m builder.validate.reference`); `edge-build validate FILE` checks
a file by it, `edge-build schema` prints it as JSON Schema for editors. Lists are marked `[]`, names
of your own `NAME`.
"""

_NETWORK_CONFIG = """\
# network-config

cloud-init's version 2, which is netplan's format: a file `network-config` on the `cidata` volume,
below `network:` or as the whole file. Made from the schema (`python -m builder.validate.reference
--network-config`); `edge-build validate network-config` checks a file by it, `edge-build schema
--network-config` prints it as JSON Schema. What counts when, and what happens if it is wrong:
[network.md](network.md).
"""


def network_config_reference() -> str:
    """Return the page of network-config."""
    lines = [_NETWORK_CONFIG]
    common = {key.name for key in netplan.COMMON}
    for section in netplan.V2.keys:
        if isinstance(section.kind, MapOf) and isinstance(section.kind.value, Block):
            lines.append(f"## `{section.name}`\n")
            own = [key for key in section.kind.value.keys if key.name not in common]
            rows = [(f"{section.name}.NAME.{key.name}", key) for key in own]
            lines += _table(row for path, key in rows
                            for row in ((path, key), *_below(path, key.kind)))  # fmt: skip
    lines.append("## Of every device\n")
    lines += _table(row for key in netplan.COMMON
                    for row in ((key.name, key), *_below(key.name, key.kind)))  # fmt: skip
    return "\n".join(lines).rstrip() + "\n"


def reference() -> str:
    """Return the page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield _INTRODUCTION
    ours = [key for key in TOP.keys if key.by in (By.EDGE, By.LATER)]
    for key in ours:
        yield f"## `{key.name}`\n"
        yield key.help + "\n"
        if key.by is By.LATER:
            yield "Checked. Kairos images act on it; images with the Debian base do not yet.\n"
        if key.name == "stages":
            yield from _stages()
        yield from _table(_below(key.name, key.kind))
    yield "## cloud-init's keys\n"
    yield "cloud-init acts on them; typed here are those that are written often.\n"
    named = [key for key in TOP.keys if key.by is By.CLOUD_INIT]
    yield from _table(_typed(named))
    others = ", ".join(f"`{key.name}`" for key in named if not key.help or "See cloud" in key.help)
    yield f"\nKnown, and judged by cloud-init alone: {others}.\n"
    yield "## Keys of Kairos\n"
    yield "Accepted; of use to Kairos images, not to those with the Debian base.\n"
    yield from _table(_typed([key for key in TOP.keys if key.by is By.KAIROS]))
    yield "## What is found\n"
    yield "| rule | | |\n|---|---|---|"
    for rule in ALL:
        yield f"| `{rule.name}` | {rule.severity.value} | {rule.summary} |"


def _stages() -> Iterator[str]:
    boot = ", ".join(f"`{name}`" for name in BOOT_STAGES if "." not in name)
    plain = [n for n in STAGES if n not in BOOT_STAGES and not n.endswith((".before", ".after"))]
    work = ", ".join(f"`{name}`" for name in plain)
    yield f"Of a boot, in their order: {boot}. Of other work: {work}.\n"
    yield "Each has a stage before and after it: `boot.before`, `boot.after`.\n"


def _typed(keys: list[Key]) -> Iterator[tuple[str, Key]]:
    for key in keys:
        if "See cloud-init" not in key.help:
            yield key.name, key
            yield from _below(key.name, key.kind)


def _below(path: str, kind: Kind) -> Iterator[tuple[str, Key]]:
    """Yield every key below a kind with its path."""
    match kind:
        case Block():
            for key in kind.keys:
                yield f"{path}.{key.name}", key
                yield from _below(f"{path}.{key.name}", key.kind)
        case ListOf():
            yield from _below(f"{path}[]", kind.item)
        case MapOf():
            yield from _below(f"{path}.NAME", kind.value)
        case Either():
            for one in kind.kinds:
                yield from _below(path, one)


def _table(rows: Iterator[tuple[str, Key]]) -> Iterator[str]:
    listed = list(rows)
    if not listed:
        return
    yield "| key | | default | |\n|---|---|---|---|"
    for path, same in groupby(listed, lambda row: row[0]):
        key = next(same)[1]
        default = f"`{_default(key)}`" if key.default not in (None, "") else ""
        who = "" if key.by in (By.EDGE, By.CLOUD_INIT, By.LATER) else f" ({key.by.value})"
        yield f"| `{path}` | {expected(key.kind)} | {default} | {key.help}{who} |"
    yield ""


def _default(key: Key) -> str:
    return str(key.default).lower() if isinstance(key.default, bool) else str(key.default)


if __name__ == "__main__":
    wanted = network_config_reference if "--network-config" in sys.argv else reference
    print(wanted(), end="")
