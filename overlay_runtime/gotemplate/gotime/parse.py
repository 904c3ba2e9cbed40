"""Text → time, by a layout (time.ParseInLocation)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from overlay_runtime.gotemplate.gotime.civil import (
    MONTHS,
    WEEKDAYS,
    date_of,
    days_in,
    days_of,
    is_leap,
)
from overlay_runtime.gotemplate.gotime.layout import chunks
from overlay_runtime.gotemplate.gotime.time import NANO, Time, of_clock
from overlay_runtime.gotemplate.gotime.zone import UTC_ZONE, Zone, local
from overlay_runtime.gotemplate.text import quoted
from overlay_runtime.gotemplate.values import GoError

_OFFSET = {
    "07": r"([+-])(\d\d)",
    "0700": r"([+-])(\d\d)(\d\d)",
    "07:00": r"([+-])(\d\d):(\d\d)",
    "070000": r"([+-])(\d\d)(\d\d)(\d\d)",
    "07:00:00": r"([+-])(\d\d):(\d\d):(\d\d)",
}
_ABBREVIATION = re.compile(r"ChST|MeST|GMT(?:[+-]\d{1,2})?|[+-]\d{1,2}|[A-Z]{3,6}")


class _Bad(Exception):
    """The text is not as the layout says."""


class _Range(Exception):
    """A number is too large."""


@dataclass
class _Found:
    year: int = 0
    month: int = -1
    day: int = -1
    year_day: int = -1
    hour: int = 0
    minute: int = 0
    second: int = 0
    nanoseconds: int = 0
    pm: bool | None = None
    zone: Zone | None = None
    offset: int | None = None
    zone_name: str = ""


def parse(layout: str, text: str) -> Time:
    """Parse. Raises GoError with Go's words."""
    found, rest = _Found(), text
    elements = list(chunks(layout))
    for number, (before, kind, written) in enumerate(elements):
        left = _skipped(rest, before)
        if left is None:
            raise _error(layout, text, before, rest)
        rest = left
        if not kind:
            if rest:
                raise GoError(f"parsing time {quoted(text)}: extra text: {quoted(rest)}")
            break
        fraction_next = elements[number + 1][1] == "Frac"
        try:
            rest = _element(found, kind, written, rest, fraction_next)
        except _Bad:
            raise _error(layout, text, written, rest) from None
        except _Range as error:
            raise GoError(f"parsing time {quoted(text)}: {error} out of range") from None
    return _made(found, text)


def _error(layout: str, text: str, element: str, rest: str) -> GoError:
    return GoError(
        f"parsing time {quoted(text)} as {quoted(layout)}: cannot parse {quoted(rest)} as "
        f"{quoted(element)}"
    )


def _skipped(text: str, prefix: str) -> str | None:
    """Skip what a layout has between elements; a space there is any number of spaces."""
    while prefix:
        if prefix[0] == " ":
            if text and text[0] != " ":
                return None
            prefix, text = prefix.lstrip(" "), text.lstrip(" ")
            continue
        if not text.startswith(prefix[0]):
            return None
        prefix, text = prefix[1:], text[1:]
    return text


def _take(pattern: str, text: str) -> tuple[re.Match[str], str]:
    matched = re.match(pattern, text, re.ASCII)
    if matched is None:
        raise _Bad
    return matched, text[matched.end() :]


def _number(text: str, fixed: bool, most: int = 2) -> tuple[int, str]:
    matched, rest = _take(rf"\d{{{most}}}" if fixed else rf"\d{{1,{most}}}", text)
    return int(matched[0]), rest


def _name(names: list[str], text: str) -> tuple[int, str]:
    for number, name in enumerate(names):
        if text[: len(name)].lower() == name.lower():
            return number, text[len(name) :]
    raise _Bad


def _element(found: _Found, kind: str, written: str, text: str, fraction_next: bool) -> str:
    """Read one element: return what is left of the text."""
    if kind in ("Num", "ISO"):
        return _offset(found, kind, written[1:], text)
    if kind == "TZ":
        return _zone(found, text)
    if kind == "Frac":
        return _fraction(found, written, text)
    if kind in ("Month", "LongMonth"):
        names = MONTHS if kind == "LongMonth" else [name[:3] for name in MONTHS]
        at, rest = _name(names, text)
        found.month = at + 1
        return rest
    if kind in ("WeekDay", "LongWeekDay"):
        names = WEEKDAYS if kind == "LongWeekDay" else [name[:3] for name in WEEKDAYS]
        return _name(names, text)[1]
    if kind in ("PM", "pm"):
        matched, rest = _take("[AP]M" if kind == "PM" else "[ap]m", text)
        found.pm = matched[0] in ("PM", "pm")
        return rest
    return _digits(found, kind, text, fraction_next)


def _digits(found: _Found, kind: str, text: str, fraction_next: bool) -> str:
    fixed = kind.startswith("Zero")
    if kind == "Year":
        year, rest = _number(text, fixed=True)
        found.year = year + (1900 if year >= 69 else 2000)
    elif kind == "LongYear":
        found.year, rest = _number(text, fixed=True, most=4)
    elif kind in ("NumMonth", "ZeroMonth"):
        found.month, rest = _number(text, fixed)
        if not 1 <= found.month <= 12:
            raise _Range("month")
    elif kind in ("Day", "UnderDay", "ZeroDay"):
        found.day, rest = _number(text.removeprefix(" ") if kind == "UnderDay" else text, fixed)
    elif kind in ("UnderYearDay", "ZeroYearDay"):
        if kind == "UnderYearDay":
            text = text.removeprefix(" ").removeprefix(" ")
        found.year_day, rest = _number(text, fixed, most=3)
    elif kind in ("Hour", "Hour12", "ZeroHour12"):
        found.hour, rest = _number(text, fixed)
        if found.hour > (23 if kind == "Hour" else 12):
            raise _Range("hour")
    elif kind in ("Minute", "ZeroMinute"):
        found.minute, rest = _number(text, fixed)
        if found.minute > 59:
            raise _Range("minute")
    else:
        found.second, rest = _number(text, fixed)
        if found.second > 59:
            raise _Range("second")
        fraction = re.match(r"[.,]\d+", rest, re.ASCII)
        if fraction and not fraction_next:
            found.nanoseconds = _nanoseconds(fraction[0])
            rest = rest[fraction.end() :]
    return rest


def _nanoseconds(text: str) -> int:
    return int(text[1:10].ljust(9, "0"))


def _fraction(found: _Found, written: str, text: str) -> str:
    if written[1] == "0":
        matched, rest = _take(rf"[.,]\d{{{len(written) - 1}}}", text)
    else:
        optional = re.match(r"[.,]\d+", text, re.ASCII)
        if optional is None:
            return text
        matched, rest = optional, text[optional.end() :]
    found.nanoseconds = _nanoseconds(matched[0])
    return rest


def _offset(found: _Found, kind: str, written: str, text: str) -> str:
    if kind == "ISO" and text.startswith("Z"):
        found.zone = UTC_ZONE
        return text[1:]
    matched, rest = _take(_OFFSET[written], text)
    parts = [int(part) for part in matched.groups()[1:]] + [0, 0]
    for part, most, name in zip(parts, (24, 60, 60), ("hour", "minute", "second"), strict=False):
        if part > most:
            raise _Range(f"time zone offset {name}")
    seconds = parts[0] * 3600 + parts[1] * 60 + parts[2]
    found.offset = -seconds if matched[1] == "-" else seconds
    return rest


def _zone(found: _Found, text: str) -> str:
    if text.startswith("UTC"):
        found.zone = UTC_ZONE
        return text[3:]
    matched = _ABBREVIATION.match(text)
    if matched is None:
        raise _Bad
    name = matched[0]
    if name.isalpha() and name.isupper() and (
        len(name) == 6 or (len(name) == 5 and name[-1] != "T")
        or (len(name) == 4 and name[-1] != "T" and name != "WITA")
    ):  # fmt: skip
        raise _Bad
    found.zone_name = name
    return text[len(name) :]


def _made(found: _Found, text: str) -> Time:
    if found.pm is True and found.hour < 12:
        found.hour += 12
    elif found.pm is False and found.hour == 12:
        found.hour = 0
    if found.year_day >= 0:
        _by_year_day(found, text)
    month = found.month if found.month >= 0 else 1
    day = found.day if found.day >= 0 else 1
    if not 1 <= day <= days_in(found.year, month):
        raise GoError(f"parsing time {quoted(text)}: day out of range")
    clock = (found.year, month, day, found.hour, found.minute, found.second)
    if found.zone is not None:
        return of_clock(clock, found.nanoseconds, found.zone)
    if found.offset is not None and found.offset != -1:
        return _fixed(found, clock)
    if found.zone_name:
        return _named(found, clock)
    return of_clock(clock, found.nanoseconds, local())


def _by_year_day(found: _Found, text: str) -> None:
    if not 1 <= found.year_day <= 365 + is_leap(found.year):
        raise GoError(f"parsing time {quoted(text)}: day-of-year out of range")
    _, month, day = date_of(days_of(found.year, 1, found.year_day))
    for known, wanted, name in ((found.month, month, "month"), (found.day, day, "day")):
        if known >= 0 and known != wanted:
            raise GoError(f"parsing time {quoted(text)}: day-of-year does not match {name}")
    found.month, found.day = month, day


def _fixed(found: _Found, clock: tuple[int, int, int, int, int, int]) -> Time:
    """With an offset: in the host's zone if that has it then."""
    offset = found.offset or 0
    utc = of_clock(clock, found.nanoseconds, UTC_ZONE)
    moment = Time(utc.nanoseconds - offset * NANO, UTC_ZONE)
    name, there = local().at(moment.seconds)
    if there == offset and found.zone_name in ("", name):
        return moment.inside(local())
    return moment.inside(Zone(None, found.zone_name, offset))


def _named(found: _Found, clock: tuple[int, int, int, int, int, int]) -> Time:
    """With an abbreviation: the host's zone if it is one of its own, else of no known offset."""
    utc = of_clock(clock, found.nanoseconds, UTC_ZONE)
    known = _offset_of(found.zone_name, utc.seconds)
    if known is not None:
        return Time(utc.nanoseconds - known * NANO, local())
    offset = 0
    if found.zone_name.startswith("GMT") and len(found.zone_name) > 3:
        offset = int(found.zone_name[3:]) * 3600
    return utc.inside(Zone(None, found.zone_name, offset))


def _offset_of(name: str, seconds: int) -> int | None:
    """Location.lookupName: the offset of an abbreviation of the host's zone."""
    year = 365 * 86400
    around = [local().at(seconds + month * year // 12) for month in range(-6, 7)]
    ever = [local().at(half * year // 2) for half in range(-140, 140)]
    offsets = [offset for known, offset in (*around, *ever) if known == name]
    for offset in offsets:
        if local().at(seconds - offset)[0] == name:
            return offset
    return offsets[0] if offsets else None
