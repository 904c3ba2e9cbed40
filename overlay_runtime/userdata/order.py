"""The order of a stage's steps: one after the other, unless `after` says otherwise.

Names are those of Kairos's executor (mudler/yip, `pkg/executor/default.go`): FILE.STEP, where FILE
is the file's `name` or else its path, and STEP the step's name or else its number.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from overlay_runtime.config.document import Value
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding
from overlay_runtime.userdata.lookup import child, items, text
from overlay_runtime.userdata.stepnames import IMPLIED, yip_names
from overlay_runtime.userdata.stepnames import step_names as names_for_after

INSTALLED_AS = ("/oem/95_userdata.yaml", "/oem/90_custom.yaml")
"""Where Kairos puts user-data: without a `name`, steps are called after these."""


def step_names(steps: Sequence[Value]) -> list[str]:
    """Return the name of each step within its file and stage."""
    return yip_names([text(child(step, "name")) for step in steps])


def check_order(stage: str, steps: Sequence[Value], file: str) -> Iterator[Finding]:
    """Yield what is wrong about the `after` keys of one stage."""
    names = step_names(steps)
    # Kairos drops the `name` of a #cloud-config file; the stage runner knows it.
    roots = (*INSTALLED_AS, file) if file else INSTALLED_AS
    written = [text(child(step, "name")) for step in steps]
    called = names_for_after(roots, written, implied=stage in IMPLIED)
    number_of = {name: n for n, all_names in enumerate(called) for name in all_names}
    waits: dict[int, list[int]] = {}
    for number, step in enumerate(steps):
        told = [item for item in items(child(step, "after")) if child(item, "name") is not None]
        for item in told:
            name = child(item, "name")
            assert name is not None
            if text(name) in number_of:
                waits.setdefault(number, []).append(number_of[text(name)])
                if file and text(name).startswith(f"{file}."):
                    yield _by_file_name(file, name)
            else:
                yield _missing(stage, name, names)
        if not told and number:
            waits.setdefault(number, []).append(number - 1)
    cycle = _cycle(waits)
    if cycle:
        said = " → ".join(f"`{names[n]}`" for n in [*cycle, cycle[0]])
        yield Finding(rules.CYCLE, steps[cycle[0]].position, f"steps of the stage `{stage}` wait "
                      f"for each other: {said}", "an order that has a beginning",
                      "remove one of the `after` keys")  # fmt: skip


def _by_file_name(file: str, name: Value) -> Finding:
    return Finding(rules.AFTER_NAME, name.position, "`after` by the file's own name "
                   f"`{file[:40]}`: Kairos drops the `name` of a #cloud-config file, and its "
                   "executor crashes", "steps in the order in which they are listed",
                   "leave `after` out: each step waits for the one before it")  # fmt: skip


def _missing(stage: str, name: Value, names: Sequence[str]) -> Finding:
    wanted = text(name)
    remedy = f"use the stage `{stage}.before` or `{stage}.after` to order files"
    if wanted in names:
        remedy = (
            f"write {INSTALLED_AS[0]}.{wanted}, Kairos's name for it until it is installed; "
            "steps run as they are listed anyway"
        )
    return Finding(rules.AFTER, name.position, f"`after`: no step {wanted[:60]!r} in the stage "
                   f"`{stage}` of this file", "a step's full name", remedy)  # fmt: skip


def _cycle(waits: dict[int, list[int]]) -> list[int]:
    """Return numbers of steps that wait for each other in a ring, or nothing."""
    done: set[int] = set()
    for start in waits:
        way: list[int] = []
        on_way: set[int] = set()
        todo: list[tuple[int, bool]] = [(start, True)]
        while todo:
            number, entering = todo.pop()
            if not entering:
                on_way.discard(way.pop())
                done.add(number)
                continue
            if number in on_way:
                return way[way.index(number) :]
            if number in done:
                continue
            way.append(number)
            on_way.add(number)
            todo.append((number, False))
            todo += [(one, True) for one in waits.get(number, ())]
    return []
