"""Runs that were measured already: a benchmark of hours goes on where it was interrupted."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from benchmarks.gap import Gap


class Kept:
    """A file with one run a line (JSON): the case's label, and its `Gap`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, list[Gap]] = {}
        for line in path.read_text().splitlines() if path.exists() else ():
            run = json.loads(line)
            self._found.setdefault(run.pop("case"), []).append(Gap(**run))

    def runs(self, case: str) -> list[Gap]:
        """Return what was found of a case, oldest first."""
        return list(self._found.get(case, ()))

    def add(self, case: str, gap: Gap) -> None:
        """Write a run down."""
        self._found.setdefault(case, []).append(gap)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps({"case": case, **asdict(gap)}) + "\n")
