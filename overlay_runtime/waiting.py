"""Waiting for an event, but not for ever."""

from __future__ import annotations

import asyncio
import contextlib


async def within(event: asyncio.Event, seconds: float) -> None:
    """Wait for an event, but no longer."""
    if seconds > 0 and not event.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), seconds)
