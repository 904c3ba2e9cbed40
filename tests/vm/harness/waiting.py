"""Waiting for a condition: always with a limit, always saying what was waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class WaitedInVainError(AssertionError):
    """The condition did not come true within the limit."""


def wait_until(
    what: str,
    probe: Callable[[], T | None],
    limit_s: float,
    *,
    poll_s: float = 0.5,
    evidence: Callable[[], str] = lambda: "",
) -> T:
    """Call `probe` every `poll_s` seconds until its result is true; returns that result.

    Raises WaitedInVainError after `limit_s` seconds with `what`, the last result and `evidence()`.
    """
    begin = time.monotonic()
    while True:
        result = probe()
        if result:
            return result
        if time.monotonic() - begin > limit_s:
            told = [f"waited {limit_s:g} s in vain for {what}; last: {result!r}", evidence()]
            raise WaitedInVainError("\n".join(line for line in told if line))
        time.sleep(poll_s)
