"""Figures of the run, for people: `build/tests/kubernetes.jsonl`, a line a figure."""

from __future__ import annotations

import json
import os
import time

from tests.site import EVIDENCE

FIGURES = EVIDENCE / "kubernetes.jsonl"


def record(what: str, **figures: object) -> None:
    """Keep figures, with the machine's load beside them."""
    EVIDENCE.mkdir(parents=True, exist_ok=True)
    rounded = {k: round(v, 3) if isinstance(v, float) else v for k, v in figures.items()}
    line = {"what": what, **rounded, "load": os.getloadavg()[0], "at": int(time.time())}
    print(line)
    with FIGURES.open("a") as file:
        file.write(json.dumps(line) + "\n")
