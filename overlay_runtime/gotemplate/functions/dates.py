"""sprig's dates (date.go)."""

from __future__ import annotations

import re
from typing import Any

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.gotime.duration import duration_text, parse_duration
from overlay_runtime.gotemplate.gotime.parse import parse
from overlay_runtime.gotemplate.gotime.time import NANO, Time, now, zero
from overlay_runtime.gotemplate.gotime.zone import UTC_ZONE, load, local
from overlay_runtime.gotemplate.values import GoError, Int64

_DAY = 86400 * NANO
_ROUNDED = (
    (365 * _DAY, "y"),
    (30 * _DAY, "mo"),
    (_DAY, "d"),
    (3600 * NANO, "h"),
    (60 * NANO, "m"),
    (NANO, "s"),
)


def _time(value: Any) -> Time:
    """A time, or seconds since 1970; anything else is now."""
    if isinstance(value, Time):
        return value
    if type(value) in (int, Int64):
        return Time(int(value) * NANO, local())
    return now()


def _in_zone(layout: str, value: Any, name: str) -> str:
    try:
        zone = load(name)
    except GoError:
        zone = UTC_ZONE
    return _time(value).inside(zone).format(layout)


def _modified(by: str, value: Time) -> Time:
    return Time(value.nanoseconds + parse_duration(by), value.zone)


def _modified_or_not(by: str, value: Time) -> Time:
    try:
        return _modified(by, value)
    except GoError:
        return value


def _ago(value: Any) -> str:
    passed = _since(_time(value))
    return duration_text((abs(passed) + NANO // 2) // NANO * NANO * (1 if passed >= 0 else -1))


def _since(value: Time) -> int:
    """time.Since: 292 years at most."""
    return max(-(1 << 63), min((1 << 63) - 1, now().nanoseconds - value.nanoseconds))


def _duration(value: Any) -> str:
    seconds = 0
    if isinstance(value, str) and re.fullmatch(r"[+-]?[0-9]{1,19}", value):
        seconds = max(-(1 << 63), min((1 << 63) - 1, int(value)))
    elif isinstance(value, Int64):
        seconds = int(value)
    wrapped = (seconds * NANO + (1 << 63)) % (1 << 64) - (1 << 63)
    return duration_text(wrapped)


def _rounded(value: Any) -> str:
    passed = 0
    if isinstance(value, str):
        try:
            passed = parse_duration(value)
        except GoError:
            passed = 0
    elif isinstance(value, Int64):
        passed = int(value)
    elif isinstance(value, Time):
        passed = _since(value)
    for unit, name in _ROUNDED:
        if abs(passed) > unit:
            return f"{abs(passed) // unit}{name}"
    return "0s"


def _to_date(layout: str, text: str) -> Time:
    try:
        return parse(layout, text)
    except GoError:
        return zero()


TABLE = table(
    {
        "ago": ("any", _ago),
        "date": ("string any", lambda layout, value: _in_zone(layout, value, "Local")),
        "dateInZone": ("string any string", _in_zone),
        "dateModify": ("string time", _modified_or_not),
        "date_in_zone": ("string any string", _in_zone),
        "date_modify": ("string time", _modified_or_not),
        "duration": ("any", _duration),
        "durationRound": ("any", _rounded),
        "htmlDate": ("any", lambda value: _in_zone("2006-01-02", value, "Local")),
        "htmlDateInZone": ("any string", lambda value, name: _in_zone("2006-01-02", value, name)),
        "mustDateModify": ("string time", _modified),
        "mustToDate": ("string string", parse),
        "must_date_modify": ("string time", _modified),
        "now": ("", now),
        "toDate": ("string string", _to_date),
        "unixEpoch": ("time", lambda value: str(value.seconds)),
    }
)
