"""Fixtures of the QEMU tier; consoles and screenshots stay in build/tests/vm."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.site import EVIDENCE

Told = Callable[[str], None]
_FIGURES = pytest.StashKey[list[str]]()


@pytest.fixture(scope="session")
def tell(pytestconfig: pytest.Config) -> Told:
    """Notes a figure (boot time, gap) for the end of the run's report."""
    return pytestconfig.stash.setdefault(_FIGURES, []).append


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Show the figures, however the tests went."""
    if figures := config.stash.get(_FIGURES, []):
        terminalreporter.section("measured in the guests (software emulation)")
        for line in figures:
            terminalreporter.write_line(line)


@pytest.fixture(scope="session")
def evidence() -> Iterator[Path]:
    """Where this run's consoles, screenshots and logs go; the last run's are gone."""
    directory = EVIDENCE / "vm"
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    yield directory
