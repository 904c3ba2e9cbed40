"""Every case by our runner and by the real yip: the same effect, or what the table says."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from overlay_runtime.paths import find_paths
from overlay_runtime.stages.host import LiveHost
from overlay_runtime.stages.limits import Limits
from overlay_runtime.stages.runner import Result, run_stage
from tests.yip import cases, more_cases
from tests.yip.cases import Case
from tests.yip.chroot import Effect, effect, root, run_yip

# The base of the images, which the first one may have to make, has a limit of its own.
pytestmark = [pytest.mark.yip, pytest.mark.timeout(120, func_only=True)]

TABLE = [
    *cases.FILES, *cases.DIRECTORIES, *cases.COMMANDS, *cases.CONDITIONS, *cases.ORDER,
    *cases.BROKEN, *more_cases.ACCOUNTS, *more_cases.SYSTEM, *more_cases.ELSEWHERE,
]  # fmt: skip


def test_the_table_is_large() -> None:
    assert len({case.name for case in TABLE}) == len(TABLE) >= 120


@pytest.fixture
def umask() -> Iterator[None]:
    """systemd's, under which both run on a host."""
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("case", TABLE, ids=lambda case: case.name)
@pytest.mark.usefixtures("umask")
def test_case(case: Case, base: Path, yip: Path, memory: Path, web: int) -> None:
    files = {k: v.replace("PORT", str(web)) for k, v in case.given().items()}
    ours, result = _ours(case, base, yip, memory, files)
    for path, entry in case.want.items():
        assert ours.get(path) == entry, f"{path}\n{_shown(ours)}\n{result.sentences()}"
    said = [*result.sentences(), *result.files]
    if case.problem:
        assert any(case.problem in text for text in said), said
    else:
        assert said == []
    with root(base, memory / "yip", files, yip) as merged:
        done = run_yip(merged, case.stage)
        theirs = effect(memory / "yip", merged)
    if case.kairos:
        assert theirs != ours, f"is it true that Kairos: {case.kairos}?\n{done.stderr}"
    else:
        assert theirs == ours, (
            f"yip:\n{_shown(theirs)}\nours:\n{_shown(ours)}\n{done.stderr[-2000:]}"
        )


def _ours(
    case: Case, base: Path, yip: Path, memory: Path, files: dict[str, str]
) -> tuple[Effect, Result]:
    with root(base, memory / "ours", files, yip) as merged:
        paths = find_paths(str(merged), str(memory / "run"), str(memory / "state"))
        result = run_stage(case.stage, paths, LiveHost(merged), Limits(20, 40))
        return effect(memory / "ours", merged), result


def _shown(found: Effect) -> str:
    return "\n".join(f"  {path}: {entry}" for path, entry in found.items())
