"""How Kairos's executor calls a step (yip, `pkg/executor/default.go`): FILE.STEP, for `after`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

IMPLIED = frozenset(("boot", "initramfs", "network"))
"""Stages to which Kairos adds a step for the keys of a #cloud-config file."""


def step_names(roots: Sequence[str], names: Sequence[str], implied: bool) -> list[tuple[str, ...]]:
    """Return for each step of a file and stage what `after` may call it, yip's name first.

    `implied`: yip puts a step of its own before those of this stage (`#cloud-config` files: users
    and files, the host name), so that its numbers are higher by one.
    """
    own = yip_names(names)
    with_ours = yip_names(["", *names])[1:] if implied else own
    times = Counter(names)
    found = []
    for number, name in enumerate(names):
        called = [with_ours[number], own[number]]
        if name and times[name] == 1:
            # yip numbers all steps as soon as two have no name; a plain name is understood too.
            called.append(name)
        found.append(tuple(dict.fromkeys(f"{root}.{one}" for one in called for root in roots)))
    return found


def yip_names(names: Sequence[str]) -> list[str]:
    """yip's names: numbered as soon as two are the same."""
    if len(set(names)) < len(names):
        return [f"{name}.{number}" for number, name in enumerate(names)]
    return [name or str(number) for number, name in enumerate(names)]
