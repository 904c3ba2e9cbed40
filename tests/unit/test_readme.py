"""What README.md says must be true of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from overlay_runtime.config.schema import settings

REPOSITORY = Path(__file__).parents[2]
README = (REPOSITORY / "README.md").read_text()


def overlay_table() -> str:
    """The table of the `overlay:` block as README.md must have it."""
    rows = ["| key | default | |", "|---|---|---|"]
    for setting in settings():
        shown = "" if setting.default in (None, ()) else f"`{str(setting.default).lower()}`"
        rows.append(f"| `{setting.name}` | {shown} | {setting.help} |")
    return "\n".join(rows)


def test_every_key_is_explained() -> None:
    assert overlay_table() in README


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\(([^)#:]+)\)", README))))
def test_links_lead_somewhere(target: str) -> None:
    assert (REPOSITORY / target).exists()


def test_make_targets_exist() -> None:
    makefile = (REPOSITORY / "Makefile").read_text()
    for target in set(re.findall(r"(?:`|^    )make ([a-z-]+)", README, re.MULTILINE)):
        assert re.search(rf"^[a-z -]*\b{target}\b[a-z -]*:", makefile, re.MULTILINE), target
