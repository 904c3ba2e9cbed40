"""Time zones: Python's zoneinfo, the host's own zone, and fixed offsets."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from pathlib import Path
from zoneinfo import ZoneInfo

from overlay_runtime.gotemplate.values import GoError


@dataclass(frozen=True)
class Zone:
    """A zone: by its rules, or (`rules` None) a fixed offset in seconds with a name."""

    rules: tzinfo | None
    name: str = ""
    offset: int = 0

    def at(self, seconds: int) -> tuple[str, int]:
        """Return the abbreviation and the offset in seconds at a time, in seconds since 1970."""
        if self.rules is None:
            return self.name, self.offset
        # Python knows the years 1 to 9999: the rules don't change before and after.
        inside = max(-62_000_000_000, min(253_000_000_000, seconds))
        moment = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=inside)).astimezone(
            self.rules
        )
        offset = moment.utcoffset() or timedelta()
        return moment.tzname() or "", int(offset.total_seconds())


UTC_ZONE = Zone(None, "UTC")


def load(name: str) -> Zone:
    """time.LoadLocation. Raises GoError of an unknown one."""
    if name in ("", "UTC"):
        return UTC_ZONE
    if name == "Local":
        return local()
    try:
        return Zone(ZoneInfo(name))
    except (OSError, ValueError, LookupError):
        raise GoError(f"unknown time zone {name}") from None


@cache
def local() -> Zone:
    """The host's zone: TZ, or /etc/localtime; UTC where there is none."""
    name = os.environ.get("TZ")
    if name is not None:
        name = name.removeprefix(":")
        if not name.startswith("/"):
            try:
                return load(name if name != "Local" else "UTC")
            except GoError:
                return UTC_ZONE
    try:
        with Path(name or "/etc/localtime").open("rb") as file:
            return Zone(ZoneInfo.from_file(file, key="Local"))
    except (OSError, ValueError):
        return UTC_ZONE
