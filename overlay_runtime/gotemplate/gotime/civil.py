"""Days and dates of the proleptic Gregorian calendar, for every year (Python's begins with 1)."""

from __future__ import annotations

MONTHS = (
    "January February March April May June July August September October November December"
).split()
WEEKDAYS = "Sunday Monday Tuesday Wednesday Thursday Friday Saturday".split()


def days_of(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01; a month over 12 or a day over its month's counts on."""
    year, month = year + (month - 1) // 12, (month - 1) % 12 + 1
    shifted = year - (month <= 2)
    era, of_era = divmod(shifted, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468 + day - 1


def date_of(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970-01-01."""
    era, of_era = divmod(days + 719468, 146097)
    years = (of_era - of_era // 1460 + of_era // 36524 - of_era // 146096) // 365
    of_year = of_era - (365 * years + years // 4 - years // 100)
    part = (5 * of_year + 2) // 153
    month = part + (3 if part < 10 else -9)
    return years + era * 400 + (month <= 2), month, of_year - (153 * part + 2) // 5 + 1


def is_leap(year: int) -> bool:
    """Whether February has 29 days."""
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def days_in(year: int, month: int) -> int:
    """Days of a month."""
    return days_of(year, month + 1, 1) - days_of(year, month, 1)
