"""The lab, the programs, and the mark of this tier."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kubernetes.programs import Programs
from tests.kubernetes.programs import programs as build_programs
from tests.netns.lab import Lab


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.kubernetes)
            if not item.get_closest_marker("timeout"):
                # Programs may have to be built first, which has its own limit.
                item.add_marker(pytest.mark.timeout(180, func_only=True))


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.fail("network namespaces need root: sudo make test")
    with Lab(tmp_path) as made:
        yield made


@pytest.fixture(scope="session")
def programs() -> Programs:
    """The Go programs, from the cache or built now."""
    return build_programs()
