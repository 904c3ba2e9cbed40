"""`make test` leaves no tier out."""

from __future__ import annotations

from tests.site import REPOSITORY
from tests.tiers import GROUPS


def test_every_folder_with_tests_is_a_tier() -> None:
    named = [tier for group in GROUPS for tier in group]
    there = {
        path.name for path in (REPOSITORY / "tests").iterdir() if list(path.rglob("test_*.py"))
    }
    assert sorted(named) == sorted(there)
