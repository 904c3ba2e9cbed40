"""time.Time, as far as templates reach it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from overlay_runtime.gotemplate.functions.model import Function, table
from overlay_runtime.gotemplate.gotime.civil import MONTHS, WEEKDAYS, date_of, days_of
from overlay_runtime.gotemplate.gotime.layout import chunks
from overlay_runtime.gotemplate.gotime.zone import UTC_ZONE, Zone, local
from overlay_runtime.gotemplate.values import Enum, Int64, Object

NANO = 1_000_000_000
_ZERO = days_of(1, 1, 1) * 86400


class Month(Enum):
    """time.Month."""

    go_type = "time.Month"

    def text(self) -> str:
        return MONTHS[self - 1] if 1 <= self <= 12 else f"%!Month({int(self)})"


class Weekday(Enum):
    """time.Weekday."""

    go_type = "time.Weekday"

    def text(self) -> str:
        return WEEKDAYS[self] if self <= 6 else f"%!Weekday({int(self)})"


class Time(Object):
    """A time: nanoseconds since 1970 in UTC, and the zone it is shown in.

    `monotonic`: seconds since the process began, which String() shows of time.Now().
    """

    go_type = "time.Time"

    def __init__(self, nanoseconds: int, zone: Zone, monotonic: float | None = None) -> None:
        self.nanoseconds = nanoseconds
        self.zone = zone
        self._monotonic = monotonic

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Time)
            and self.nanoseconds == other.nanoseconds
            and self.zone == other.zone
        )

    def __hash__(self) -> int:
        return hash(self.nanoseconds)

    @property
    def seconds(self) -> int:
        """Seconds since 1970."""
        return self.nanoseconds // NANO

    def clock(self) -> tuple[int, int, int, int, int, int]:
        """Year, month, day, hour, minute and second in its zone."""
        seconds = self.seconds + self.zone.at(self.seconds)[1]
        days, rest = divmod(seconds, 86400)
        return *date_of(days), rest // 3600, rest // 60 % 60, rest % 60

    def weekday(self) -> int:
        """0: Sunday."""
        return ((self.seconds + self.zone.at(self.seconds)[1]) // 86400 + 4) % 7

    def year_day(self) -> int:
        """1: the first of January."""
        year, month, day, *_ = self.clock()
        return days_of(year, month, day) - days_of(year, 1, 1) + 1

    def inside(self, zone: Zone) -> Time:
        """The same time in another zone."""
        return Time(self.nanoseconds, zone)

    def text(self) -> str:
        made = self.format("2006-01-02 15:04:05.999999999 -0700 MST")
        return made if self._monotonic is None else f"{made} m=+{self._monotonic:.9f}"

    def format(self, layout: str) -> str:
        """Time.Format."""
        return "".join(before + self._element(kind, as_) for before, kind, as_ in chunks(layout))

    def _element(self, kind: str, written: str) -> str:
        if kind == "":
            return ""
        if kind in ("Num", "ISO", "TZ"):
            return self._offset(kind, written)
        if kind == "Frac":
            return self._fraction(written)
        year, month, day, hour, minute, second = self.clock()
        if kind in ("WeekDay", "LongWeekDay"):
            name = WEEKDAYS[self.weekday()]
            return name if kind == "LongWeekDay" else name[:3]
        if kind in ("Month", "LongMonth"):
            name = MONTHS[month - 1]
            return name if kind == "LongMonth" else name[:3]
        if kind in ("UnderYearDay", "ZeroYearDay"):
            return f"{self.year_day():{'3' if kind == 'UnderYearDay' else '03'}d}"
        if kind in ("PM", "pm"):
            return ("P" if hour >= 12 else "A").lower() + "m" if kind == "pm" else (
                "PM" if hour >= 12 else "AM")  # fmt: skip
        numbers = {
            "Year": f"{abs(year) % 100:02d}",
            "LongYear": f"{year:04d}" if year >= 0 else f"-{-year:04d}",
            "NumMonth": f"{month}",
            "ZeroMonth": f"{month:02d}",
            "Day": f"{day}",
            "UnderDay": f"{day:2d}",
            "ZeroDay": f"{day:02d}",
            "Hour": f"{hour:02d}",
            "Hour12": f"{hour % 12 or 12}",
            "ZeroHour12": f"{hour % 12 or 12:02d}",
            "Minute": f"{minute}",
            "ZeroMinute": f"{minute:02d}",
            "Second": f"{second}",
            "ZeroSecond": f"{second:02d}",
        }
        return numbers[kind]

    def _offset(self, kind: str, written: str) -> str:
        name, offset = self.zone.at(self.seconds)
        if kind == "TZ":
            if name:
                return name
            written = "-0700"
        if kind == "ISO" and not offset:
            return "Z"
        minutes = abs(offset) // 60
        colon = ":" if ":" in written else ""
        out = f"{'-' if offset // 60 < 0 else '+'}{minutes // 60:02d}"
        digits = sum(char.isdigit() for char in written)
        if digits > 2:
            out += f"{colon}{minutes % 60:02d}"
        return out + f"{colon}{abs(offset) % 60:02d}" if digits > 4 else out

    def _fraction(self, written: str) -> str:
        digits = f"{self.nanoseconds % NANO:09d}"[: len(written) - 1].ljust(len(written) - 1, "0")
        if written[1] == "9":
            digits = digits.rstrip("0")
            return written[0] + digits if digits else ""
        return written[0] + digits

    def methods(self) -> Mapping[str, Function]:
        """What a template may call: `now.Year`, `(toDate …).Format "…"`."""
        year, month, day, hour, minute, second = self.clock()
        return table(
            {
                "Year": ("", lambda: year),
                "Month": ("", lambda: Month(month)),
                "Day": ("", lambda: day),
                "Hour": ("", lambda: hour),
                "Minute": ("", lambda: minute),
                "Second": ("", lambda: second),
                "Nanosecond": ("", lambda: self.nanoseconds % NANO),
                "YearDay": ("", self.year_day),
                "Weekday": ("", lambda: Weekday(self.weekday())),
                "Unix": ("", lambda: Int64(self.seconds)),
                "UnixMilli": ("", lambda: Int64(self.nanoseconds // 1_000_000)),
                "UnixMicro": ("", lambda: Int64(self.nanoseconds // 1000)),
                "UnixNano": ("", lambda: Int64(self.nanoseconds)),
                "UTC": ("", lambda: self.inside(UTC_ZONE)),
                "Local": ("", lambda: self.inside(local())),
                "Format": ("string", self.format),
                "String": ("", self.text),
                "IsZero": ("", lambda: self.nanoseconds == _ZERO * NANO),
                "Before": ("time", lambda other: self.nanoseconds < other.nanoseconds),
                "After": ("time", lambda other: self.nanoseconds > other.nanoseconds),
                "Equal": ("time", lambda other: self.nanoseconds == other.nanoseconds),
                "AddDate": ("int int int", self._add_date),
            }
        )

    def _add_date(self, years: int, months: int, days: int) -> Time:
        year, month, day, hour, minute, second = self.clock()
        return of_clock(
            (year + years, month + months, day + days, hour, minute, second),
            self.nanoseconds % NANO,
            self.zone,
        )


def of_clock(clock: tuple[int, int, int, int, int, int], nanoseconds: int, zone: Zone) -> Time:
    """time.Date: the time at which a clock in a zone shows this."""
    year, month, day, hour, minute, second = clock
    shown = days_of(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    # As Go: the offset that is in effect around then, looked up twice.
    offset = zone.at(shown)[1]
    unix = shown - offset
    again = zone.at(unix)[1]
    if again != offset:
        unix = shown - again
        if zone.at(unix)[1] != again:
            unix = shown - offset
    return Time(unix * NANO + nanoseconds, zone)


def now() -> Time:
    """time.Now."""
    return Time(time.time_ns(), local(), time.process_time())


def zero() -> Time:
    """Go's zero time: 1 January of the year 1, UTC."""
    return Time(_ZERO * NANO, UTC_ZONE)
