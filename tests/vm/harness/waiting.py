"""Waiting for a condition: always with a limit, always saying what was waited for."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class WaitedInVainError(AssertionError):
    """The condition did not come true within the limit, or can't come true any more."""


def wait_until(
    what: str,
    probe: Callable[[], T | None],
    limit_s: float,
    *,
    poll_s: float = 0.5,
    evidence: Callable[[], str] = lambda: "",
) -> T:
    """Call `probe` every `poll_s` seconds until its result is true; returns that result.

    A command in it that fails, or an answer without what is asked for, is the same as false: it may
    not be there yet. A probe that knows that waiting is in vain raises WaitedInVainError itself.

    Raises WaitedInVainError after `limit_s` seconds with `what`, the last result (or what the probe
    failed by) and `evidence()`.
    """
    begin = time.monotonic()
    while True:
        try:
            result = probe()
            if result:
                return result
            last = repr(result)
        except WaitedInVainError:
            raise
        except (AssertionError, LookupError, OSError, ValueError) as error:
            last = f"{type(error).__name__}: {error}"
        if time.monotonic() - begin > limit_s:
            told = [f"waited {limit_s:g} s in vain for {what}; last: {last}", evidence()]
            raise WaitedInVainError("\n".join(line for line in told if line))
        time.sleep(poll_s)
