"""`dns`: resolv.conf, written through links (yip, `pkg/plugins/dns.go`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.actions.directories import clean
from overlay_runtime.stages.context import Context, Refused, reason


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Write the file; without name servers nothing is done."""
    dns = step["dns"]
    if not dns["nameservers"]:
        return
    lines = [f"nameserver {one}" for one in dns["nameservers"]]
    search = " ".join(dns["search"])
    if dns["search"] and search.strip(" ") != ".":
        lines.insert(0, f"search {search}")
    options = " ".join(dns["options"])
    if options.strip(" "):
        lines.append(f"options {options}")
    try:
        path = clean(dns["path"] or "/etc/resolv.conf")
        context.tree.write(path, "".join(f"{line}\n" for line in lines).encode())
        context.did("dns")
    except (OSError, ValueError, Refused) as error:
        context.failed(f"`dns` can't be written: {reason(error)}")
