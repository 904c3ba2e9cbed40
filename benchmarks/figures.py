"""What both benchmarks print: medians with their spread, Markdown tables, the machine."""

from __future__ import annotations

import platform
import re
import statistics
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def spread(values: Sequence[float], digits: int = 1) -> str:
    """`median (min-max)`; without the bracket if all are the same, `-` if there are none."""
    if not values:
        return "-"
    low, high = f"{min(values):.{digits}f}", f"{max(values):.{digits}f}"
    middle = f"{statistics.median(values):.{digits}f}"
    return middle if low == high else f"{middle} ({low}-{high})"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in GitHub's Markdown: the first column to the left, the others to the right."""
    lines = [head, ["---", *["--:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """One paragraph: when, on what, and of which commit."""
    cpu = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text())
    load = Path("/proc/loadavg").read_text().split()[0]
    system = platform.freedesktop_os_release().get("PRETTY_NAME", "?")
    return (
        f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC, commit {_commit()}; {_processors()} x "
        f"{cpu[1] if cpu else '?'}, {int(memory[1]) / 2**20 if memory else 0:.0f} GiB, {system}, "
        f"kernel {platform.release()}, Python {platform.python_version()}; load at the start {load}"
    )


def _processors() -> int:
    return len(re.findall(r"^processor", Path("/proc/cpuinfo").read_text(), re.MULTILINE))


def _commit() -> str:
    words = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty"]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    return answer.stdout.strip() or "unknown"
