"""The order of steps, without a host."""

from __future__ import annotations

from overlay_runtime.errors import Position
from overlay_runtime.stages.model import Step
from overlay_runtime.stages.order import plan
from overlay_runtime.userdata.stepnames import step_names


def step(name: str, *after: str, file: int = 0, group: int = 0, number: int = 0) -> Step:
    at = Position(f"/oem/{file}.yaml", number + 1, 1)
    waits = tuple((one, at) for one in after)
    return Step("boot", at, name, number, group, file, (f"f{file}.{name}",), {}, waits)


def order(*steps: Step) -> list[str]:
    return [one.name for one in plan(steps).steps]


def affected(*steps: Step) -> dict[str, str]:
    return {one.name: why for one, why in plan(steps).affected}


def test_as_written() -> None:
    assert order(step("a"), step("b"), step("c", file=1)) == ["a", "b", "c"]


def test_after_waits() -> None:
    steps = step("a", "f1.c"), step("b", file=1), step("c", file=1)
    assert order(*steps) == ["b", "c", "a"]
    assert affected(*steps) == {}


def test_the_next_file_does_not_wait_for_steps_with_after() -> None:
    """As in yip: a step with `after` holds nobody else up."""
    assert order(step("a"), step("b", "f2.d"), step("c", file=1), step("d", file=2)) == [
        "a", "c", "d", "b"]  # fmt: skip


def test_a_missing_name_affects_its_step_alone() -> None:
    steps = step("a", "nix"), step("b"), step("c")
    assert order(*steps) == ["b", "c"]
    assert "names `nix`" in affected(*steps)["a"]


def test_a_cycle_is_named_and_the_rest_runs() -> None:
    steps = step("a", "f0.c"), step("b"), step("c"), step("d")
    assert order(*steps) == ["b", "c", "d"], "only `after` can be wrong: its step is left out"
    assert "`a` (line 1) → `b`" in affected(*steps)["a"]


def test_two_cycles() -> None:
    steps = step("a", "f0.a"), step("b", "f0.c"), step("c", "f0.b"), step("d")
    assert order(*steps) == ["d"]
    assert set(affected(*steps)) == {"a", "b", "c"}


def test_earlier_groups_may_be_named() -> None:
    steps = step("a"), step("b", "f0.a", file=1, group=1)
    assert order(*steps) == ["a", "b"]


def test_later_groups_may_not() -> None:
    steps = step("a", "f1.b"), step("b", file=1, group=1)
    assert order(*steps) == ["b"]


def test_a_thousand_steps_are_quick() -> None:
    steps = [step(str(n), *([f"f0.{n - 1}"] if n % 2 else []), number=n) for n in range(1000)]
    assert len(order(*steps)) == 1000


def test_names_are_yips() -> None:
    assert step_names(["f"], ["a", ""], implied=False) == [("f.a",), ("f.1",)]
    assert step_names(["f"], ["", ""], implied=False) == [("f..0",), ("f..1",)]
    assert step_names(["f"], ["a", ""], implied=True)[1][0] == "f..2"
