"""`hostname`: the kernel's, /etc/hostname and /etc/hosts (yip, `pkg/plugins/hostname.go`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from overlay_runtime.gotemplate.render import TemplateError, render
from overlay_runtime.stages.context import Context, Refused, reason

_SEED = "/var/lib/cloud/seed/nocloud/meta-data"


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Set the name, rendered with UUID, Random, MachineID and ProtectedID."""
    name = step["hostname"]
    if not name:
        return
    try:
        if "{{" in name:
            name = render(name, context.about.hostname_values())
    except TemplateError as error:
        context.failed(f"`hostname`: the template can't be rendered (its line {error.line})")
        return
    for what, change in (
        ("the kernel's name", context.host.set_name),
        ("/etc/hostname", lambda name: context.tree.write("/etc/hostname", f"{name}\n".encode(
            errors="surrogateescape"))),
        ("/etc/hosts", lambda name: _hosts(context, name)),
        ("cloud-init's meta-data", lambda name: _seed(context, name)),
    ):  # fmt: skip
        try:
            change(name)
        except (OSError, ValueError, Refused) as error:
            context.failed(f"`hostname`: {what} can't be set: {reason(error)}")
    context.did("hostname")


def _hosts(context: Context, name: str) -> None:
    """The line of 127.0.0.1 gets the name; the others stay. Without the file one is made."""
    if not context.tree.exists("/etc/hosts"):
        context.tree.write("/etc/hosts", b"127.0.0.1 localhost\n::1 localhost\n")
    lines = []
    for line in context.tree.read("/etc/hosts").decode(errors="surrogateescape").splitlines():
        words = line.split()
        ours = bool(words) and words[0] == "127.0.0.1"
        lines.append(f"127.0.0.1 localhost {name}" if ours else line.strip())
    text = "".join(f"{line}\n" for line in lines)
    context.tree.write("/etc/hosts", text.encode(errors="surrogateescape"), 0o644)


def _seed(context: Context, name: str) -> None:
    """cloud-init, which comes later, sets the name that its meta-data says: it gets the same."""
    if not context.early or not context.tree.exists(_SEED):
        return
    try:
        meta = json.loads(context.tree.read(_SEED))
    except ValueError:
        return  # the volume's own: its operator has named the host there
    if isinstance(meta, dict):
        text = json.dumps({**meta, "local-hostname": name})
        context.tree.replace(_SEED, text.encode(errors="replace") + b"\n", 0o600)
