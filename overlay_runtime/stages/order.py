"""The order of a stage's steps, as Kairos's executor has it (yip, `pkg/executor/default.go`).

Within a directory: files by name, steps one after the other, each waiting for those that its
`after` names. yip runs steps that wait for nothing of each other at the same time; here they run in
the order in which they are written, which is one of the orders that yip allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from overlay_runtime.stages.model import Step, shown_name


@dataclass
class Plan:
    """The steps in their order, and those that can't be run, each with the reason."""

    steps: list[Step] = field(default_factory=list)
    affected: list[tuple[Step, str]] = field(default_factory=list)


def plan(steps: Sequence[Step]) -> Plan:
    """Put the steps of one stage into their order. `steps` are in the order of the files."""
    made = Plan()
    earlier: set[str] = set()
    for group in sorted({step.group for step in steps}):
        here = [step for step in steps if step.group == group]
        _plan_group(here, earlier, made)
        earlier.update(name for step in here for name in step.names)
    return made


def _plan_group(steps: Sequence[Step], earlier: set[str], made: Plan) -> None:
    number_of: dict[str, int] = {}
    for number, step in enumerate(steps):
        for name in step.names:
            number_of.setdefault(name, number)
    waits = _implied_waits(steps)
    told: dict[int, set[int]] = {}
    broken: dict[int, str] = {}
    for number, step in enumerate(steps):
        for name, at in step.after:
            if name in number_of:
                told.setdefault(number, set()).add(number_of[name])
            elif name not in earlier:
                broken[number] = (f"`after` at line {at.line} names `{shown_name(name)}`, which is "
                                  "no step of this stage in its directory")  # fmt: skip
    for number in broken:
        told.pop(number, None)
    for ring in _rings(len(steps), waits, told):
        said = " → ".join(_called(steps[n]) for n in [*ring, ring[0]])
        for number in ring:
            if told.get(number, set()) & set(ring):
                broken[number] = f"steps wait for each other: {said}"
                told.pop(number)
    for number, why in broken.items():
        made.affected.append((steps[number], why))
    rest = [n for n in range(len(steps)) if n not in broken]
    made.steps += [steps[n] for n in _sorted(rest, waits, told)]


def _called(step: Step) -> str:
    return f"`{shown_name(step.name) or step.number}` (line {step.at.line})"


def _implied_waits(steps: Sequence[Step]) -> dict[int, set[int]]:
    """Without `after` a step waits for the one before it; every step for those of the last file
    that themselves have no `after`."""
    files: dict[int, list[int]] = {}
    for number, step in enumerate(steps):
        files.setdefault(step.file, []).append(number)
    waits: dict[int, set[int]] = {}
    last: list[int] = []
    for numbers in files.values():
        for position, number in enumerate(numbers):
            mine = waits.setdefault(number, set())
            mine.update(n for n in last if not steps[n].after)
            if position and not steps[number].after:
                mine.add(numbers[position - 1])
        last = numbers
    return waits


def _sorted(
    numbers: Iterable[int], waits: dict[int, set[int]], told: dict[int, set[int]]
) -> list[int]:
    """Topological, and otherwise as written. There is no ring any more."""
    left = dict.fromkeys(numbers)
    found: list[int] = []
    while left:
        ready = next(
            (n for n in left if not (waits.get(n, set()) | told.get(n, set())) & left.keys()),
            next(iter(left)),
        )
        found.append(ready)
        del left[ready]
    return found


def _rings(count: int, waits: dict[int, set[int]], told: dict[int, set[int]]) -> list[list[int]]:
    """Return groups of steps that wait for each other (strongly connected components, Tarjan)."""
    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    rings: list[list[int]] = []
    for start in range(count):
        if start in index:
            continue
        todo = [(start, iter(sorted(waits.get(start, set()) | told.get(start, set()))))]
        index[start] = low[start] = len(index)
        stack.append(start)
        on_stack.add(start)
        while todo:
            number, following = todo[-1]
            for other in following:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    needs = waits.get(other, set()) | told.get(other, set())
                    todo.append((other, iter(sorted(needs))))
                    break
                if other in on_stack:
                    low[number] = min(low[number], index[other])
            else:
                todo.pop()
                if todo:
                    low[todo[-1][0]] = min(low[todo[-1][0]], low[number])
                if low[number] == index[number]:
                    ring: list[int] = []
                    while True:
                        ring.append(stack.pop())
                        on_stack.discard(ring[-1])
                        if ring[-1] == number:
                            break
                    if len(ring) > 1 or number in told.get(number, set()):
                        rings.append(sorted(ring))
    return rings
