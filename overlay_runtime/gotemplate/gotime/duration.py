"""time.Duration: whole nanoseconds."""

from __future__ import annotations

import re

from overlay_runtime.gotemplate.text import quoted
from overlay_runtime.gotemplate.values import GoError

_UNITS = {
    "ns": 1,
    "us": 1000,
    "µs": 1000,
    "μs": 1000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d*)(?:\.(\d*))?([^\d.]*)", re.ASCII)
_MOST = (1 << 63) - 1


def parse_duration(text: str) -> int:
    """time.ParseDuration: nanoseconds. Raises GoError."""
    rest = text[1:] if text[:1] in ("-", "+") else text
    bad = GoError(f"time: invalid duration {quoted(text)}")
    if rest == "0":
        return 0
    if not rest:
        raise bad
    total = 0
    while rest:
        found = _PART.match(rest)
        if found is None or not (found[1] or found[2]):
            raise bad
        whole, part, unit = found[1], found[2] or "", found[3]
        if not unit:
            raise GoError(f"time: missing unit in duration {quoted(text)}")
        if unit not in _UNITS:
            raise GoError(f"time: unknown unit {quoted(unit)} in duration {quoted(text)}")
        total += int(whole or 0) * _UNITS[unit]
        if part:
            digits = part[:18]
            total += int(float(int(digits)) * (float(_UNITS[unit]) / 10.0 ** len(digits)))
        if total > _MOST + 1:
            raise bad
        rest = rest[found.end() :]
    if text.startswith("-"):
        return -total
    if total > _MOST:
        raise bad
    return total


def duration_text(nanoseconds: int) -> str:
    """Duration.String: 72h3m0.5s."""
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if not left:
        return "0s"
    if left < 1_000_000_000:
        unit = "ns" if left < 1000 else "µs" if left < 1_000_000 else "ms"
        return f"{sign}{_points(left, _UNITS[unit])}{unit}"
    minutes, rest = divmod(left, 60_000_000_000)
    out = f"{_points(rest, 1_000_000_000)}s"
    if minutes:
        hours, minutes = divmod(minutes, 60)
        out = f"{minutes}m{out}"
        if hours:
            out = f"{hours}h{out}"
    return sign + out


def _points(value: int, unit: int) -> str:
    whole, part = divmod(value, unit)
    digits = f"{part:0{len(str(unit)) - 1}d}".rstrip("0") if unit > 1 else ""
    return f"{whole}.{digits}" if digits else str(whole)
