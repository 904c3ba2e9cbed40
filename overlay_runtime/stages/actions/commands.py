"""`commands`: shell commands, one after the other, whatever became of those before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.context import Context


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Run each with `sh -c`, as yip does (`pkg/plugins/commands.go`)."""
    for number, command in enumerate(step["commands"], start=1):
        done = context.shell(context.rendered(command, f"command {number}"))
        if not done.good:
            context.failed(f"command {number} {done.failure()}")
    if step["commands"]:
        context.did(f"{len(step['commands'])} commands")
