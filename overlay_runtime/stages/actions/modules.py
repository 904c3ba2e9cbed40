"""`modules`: kernel modules, with parameters after the name (yip, `pkg/plugins/modules.go`)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.context import Context
from overlay_runtime.stages.model import shown_name


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Load those that are not loaded."""
    if not step["modules"]:
        return
    loaded = {line.split(" ")[0] for line in context.tree.read_text("/proc/modules").splitlines()}
    for module in step["modules"]:
        words = module.split()
        if not words or words[0] in loaded or "\0" in module:
            continue
        done = context.run("modprobe", "--", *words)
        if not done.good:
            context.failed(f"the module {shown_name(words[0])}: modprobe {done.failure()}")
    context.did("modules")
