"""`edge-overlay network watch`: looks whether the configuration holds on site, and falls back.

Called by a timer until the configuration is proved, and then no more in this boot: what fails later
is no fault of the description. It falls back once; back to what was asked for it goes when the
gateway has answered several times in a row, ever more rarely if that proves wrong again.
"""

from __future__ import annotations

import dataclasses
import logging
import time
from collections.abc import Callable

from overlay_runtime.config.load import fault_of
from overlay_runtime.network.apply import WATCH, notice
from overlay_runtime.network.besides import with_dhcp
from overlay_runtime.network.bundle import Bundle
from overlay_runtime.network.place import place, stop, tell_running
from overlay_runtime.network.store import (
    Asked,
    Mode,
    load_asked,
    load_good,
    save_asked,
    save_good,
)
from overlay_runtime.network.verify import Findings, look
from overlay_runtime.notices import tell
from overlay_runtime.paths import Paths
from overlay_runtime.status import boottime

log = logging.getLogger(__name__)

PATIENCE_S = 60.0
"""So long a site may take until its gateway answers."""

_AGAIN_S = 2.0
_IN_A_ROW = 3
_LONGEST_HOLD_S = 3600.0


def watch(paths: Paths) -> None:
    """Look, and do what follows. Never raises: what is in effect stays so."""
    try:
        _watch(paths)
    except Exception as error:  # noqa: BLE001 # told by its place: its message may hold a secret
        problem = error.strerror if isinstance(error, OSError) else fault_of(error)
        log.error("the network can't be looked at: %s", problem)


def _watch(paths: Paths) -> None:
    asked = load_asked(paths)
    if asked is None:
        stop(WATCH)
        return
    if asked.mode is not Mode.ASKED:
        if boottime() < asked.hold_until or not _answers_again(asked):
            return
        log.info("what was asked for works: going back to it")
        asked = dataclasses.replace(asked, mode=Mode.ASKED, returns=asked.returns + 1, looked=False)
        _use(asked, asked.bundle, paths)
    found = _patiently(lambda: look(asked.bundle, in_effect=True), asked.looked)
    if found.good:
        _proved(asked, found, paths)
    else:
        _failed(asked, found, paths)


def _patiently(once: Callable[[], Findings], before: bool) -> Findings:
    """Look until all is good, for a minute at most; once if that minute has been given before."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = once()
        if found.good or before or time.monotonic() >= deadline:
            return found
        time.sleep(_AGAIN_S)


def _answers_again(asked: Asked) -> bool:
    for number in range(_IN_A_ROW):
        if number:
            time.sleep(1.0)
        found = look(asked.bundle, in_effect=False)
        if not found.works:
            return False
    return True


def _proved(asked: Asked, found: Findings, paths: Paths) -> None:
    theirs = any(one.theirs for one in found.verdicts)
    if not (asked.fallback or asked.partial or theirs):
        save_good(paths, asked.bundle)
    notes = (*asked.notes, *(one.note for one in found.verdicts if one.note))
    asked = dataclasses.replace(asked, notes=notes, looked=True)
    save_asked(paths, asked)
    tell(paths.notices, notice(asked, tuple(found.warnings), proved=not asked.partial))
    stop(WATCH)


def _failed(asked: Asked, found: Findings, paths: Paths) -> None:
    """Fall back, if there is something to fall back on."""
    words = found.in_words
    for one in words if not asked.looked else ():  # not every minute again
        log.error("%s", one)
    asked = dataclasses.replace(asked, looked=True)
    silent = {one.device.name for one in found.faulty if one.device.static}
    good = load_good(paths)
    hold = boottime() + min(_LONGEST_HOLD_S, 60.0 * 2**asked.returns) if asked.returns else 0.0
    if found.cut_off and good and not asked.fallback and good.digest != asked.bundle.digest:
        asked = dataclasses.replace(asked, mode=Mode.LAST_GOOD, hold_until=hold)
        leased = any(one.device.dhcp for one in found.verdicts)
        names = {one.name for one in good.devices} if leased else set()
        _use(asked, with_dhcp(good, names), paths)
        words.insert(0, "the network as described does not work here: the last good configuration "
                     f"is in use, from {good.origin}")  # fmt: skip
    elif silent:
        asked = dataclasses.replace(asked, mode=Mode.BESIDES, hold_until=hold)
        _use(asked, with_dhcp(asked.bundle, silent), paths)
        words.insert(0, "the network as described does not work here: DHCP is asked besides")
    save_asked(paths, asked)
    tell(paths.notices, notice(asked, tuple(words), proved=False))


def _use(asked: Asked, bundle: Bundle, paths: Paths) -> None:
    save_asked(paths, asked)
    if place(bundle, paths.root):
        tell_running(bundle)
