"""Draws the gaps: a dot for each run, a line at the median, on a logarithmic axis. Plain SVG."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_PLOT, _RIGHT, _TOP, _ROW = 480, 40, 64, 36
_LETTER = 6.7
"""Pixels, at this size of the font."""

_FONT = 'font-family="system-ui, Segoe UI, Helvetica, Arial, sans-serif"'
_SERIES = (("#0b66c3", "UDP: longest gap"), ("#d9730d", "TCP: longest stall"))
_GOLDEN = 0.618034
"""Multiples of it, without their whole part, spread dots evenly and always in the same way."""


@dataclass(frozen=True)
class Row:
    """One line of the plot: milliseconds of each run, for each of the two series."""

    label: str
    series: tuple[Sequence[float], Sequence[float]]


def plot(title: str, rows: Sequence[Row]) -> str:
    """The picture as SVG, on a light background of its own."""
    values = [value for row in rows for one in row.series for value in one]
    first = math.floor(math.log10(max(min(values), 0.1)))
    last = math.ceil(math.log10(max(values)))
    height = _TOP + _ROW * len(rows) + 50
    start = round(40 + _LETTER * max(len(row.label) for row in rows))
    width = start + _PLOT + _RIGHT

    def x(value: float) -> float:
        part = (math.log10(max(value, 10**first)) - first) / max(last - first, 1)
        return start + part * _PLOT

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {_FONT} '
        f'font-size="13" fill="#1f2328" role="img" aria-label="{title}">',
        f'<rect width="{width}" height="{height}" rx="8" fill="#ffffff" stroke="#d0d7de"/>',
        f'<text x="16" y="26" font-size="16" font-weight="600">{title}</text>',
    ]
    for index, (colour, name) in enumerate(_SERIES):
        left = start + index * 180
        parts.append(f'<circle cx="{left}" cy="45" r="4" fill="{colour}"/>')
        parts.append(f'<text x="{left + 10}" y="49">{name}</text>')
    bottom = _TOP + _ROW * len(rows)
    for power in range(first, last + 1):
        at = x(10**power)
        parts.append(f'<path d="M{at:.1f} {_TOP}V{bottom}" stroke="#d0d7de"/>')
        label = f"{10**power:g} ms"
        parts.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{label}</text>')
    for number, row in enumerate(rows):
        top = _TOP + _ROW * number
        if number % 2 == 0:
            parts.append(
                f'<rect x="8" y="{top}" width="{width - 16}" height="{_ROW}" fill="#656d76" '
                'fill-opacity="0.06"/>'
            )
        parts.append(f'<text x="16" y="{top + _ROW / 2 + 4:g}">{row.label}</text>')
        for index, (colour, _) in enumerate(_SERIES):
            parts += _dots(row.series[index], x, top + _ROW * (0.28 + 0.44 * index), colour)
    words = "lower is better; a dot is a run, the stroke is the median; logarithmic"
    parts.append(f'<text x="16" y="{bottom + 40}" fill="#59636e">{words}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _dots(
    values: Sequence[float], x: Callable[[float], float], middle: float, colour: str
) -> list[str]:
    parts = []
    for number, value in enumerate(values):
        y = middle + ((number * _GOLDEN) % 1 - 0.5) * 10
        parts.append(
            f'<circle cx="{x(value):.1f}" cy="{y:.1f}" r="3" fill="{colour}" fill-opacity="0.55"/>'
        )
    at = x(statistics.median(values))
    parts.append(f'<path d="M{at:.1f} {middle - 8:.1f}v16" stroke="{colour}" stroke-width="2.5"/>')
    return parts
