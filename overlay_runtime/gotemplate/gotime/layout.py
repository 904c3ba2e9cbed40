"""Go's layouts: a date is written as that of the reference, Mon Jan 2 15:04:05 MST 2006."""

from __future__ import annotations

import re
from collections.abc import Iterator

_CHUNK = re.compile(
    r"(?P<LongMonth>January)|(?P<Month>Jan)(?![a-z])"
    r"|(?P<LongWeekDay>Monday)|(?P<WeekDay>Mon)(?![a-z])|(?P<TZ>MST)"
    r"|(?P<ZeroMonth>01)|(?P<ZeroDay>02)|(?P<ZeroHour12>03)|(?P<ZeroMinute>04)"
    r"|(?P<ZeroSecond>05)|(?P<Year>06)|(?P<ZeroYearDay>002)"
    r"|(?P<Hour>15)|(?P<NumMonth>1)|(?P<LongYear>2006)|(?P<Day>2)"
    r"|_(?=2006)|(?P<UnderDay>_2)|(?P<UnderYearDay>__2)"
    r"|(?P<Hour12>3)|(?P<Minute>4)|(?P<Second>5)|(?P<PM>PM)|(?P<pm>pm)"
    r"|(?P<Num>-(?:070000|07:00:00|0700|07:00|07))|(?P<ISO>Z(?:070000|07:00:00|0700|07:00|07))"
    r"|(?P<Frac>[.,](?:0+|9+)(?![0-9]))"
)


def chunks(layout: str) -> Iterator[tuple[str, str, str]]:
    """Yield text before an element, the element's kind, and as it is written; last the rest, with
    an empty kind."""
    start = at = 0
    while found := _CHUNK.search(layout, at):
        at = found.end()
        if found.lastgroup is None:
            continue  # the _ before 2006
        yield layout[start : found.start()], found.lastgroup, found[0]
        start = at
    yield layout[start:], "", ""
