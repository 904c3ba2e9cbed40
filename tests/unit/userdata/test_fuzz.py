"""A short run of what `make fuzz` does by the hundred thousand."""

from __future__ import annotations

from tests.fuzz.documents import main


def test_mutated_files_are_judged() -> None:
    main(800, seed=7)
