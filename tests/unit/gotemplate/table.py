"""cases.jsonl: templates with what the real yip v1.24.0 made of them.

Each line has `template`, and `output` or `error` (Go's words, without the place). The expected
values were taken from the real thing; tests/yip/render checks them again where there is Go. What
the documentation of sprig and text/template says is in test_documentation.py, by hand.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ZONE = "Europe/Berlin"
"""TZ, in which the dates were rendered."""

DATA: dict[str, Any] = {
    "Values": {
        "s": "hello",
        "e": "",
        "n": 3.0,
        "f": 1.5,
        "big": 1048576.0,
        "huge": 1e21,
        "t": True,
        "no": False,
        "nil": None,
        "l": ["a", "b", 1.0, None, True],
        "el": [],
        "m": {"b": 1.0, "a": "x", "c": {"d": "deep"}},
        "em": {},
        "u": "naïve café ☃ 日本",
    }
}


@dataclass(frozen=True)
class Case:
    """One line."""

    template: str
    output: str = ""
    error: str = ""


def cases() -> list[Case]:
    """Read the table."""
    text = Path(__file__).with_name("cases.jsonl").read_text(encoding="utf-8")
    return [Case(**json.loads(line)) for line in text.splitlines()]
