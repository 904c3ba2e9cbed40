"""`edge-overlay network apply`: before networkd starts, and whenever somebody says so."""

from __future__ import annotations

import logging

from overlay_runtime.config.load import fault_of
from overlay_runtime.network.place import place, start, stop, tell_running
from overlay_runtime.network.render import render
from overlay_runtime.network.store import Asked, Mode, load_good, save_asked, scratch
from overlay_runtime.network.wanted import Wanted, find_wanted
from overlay_runtime.notices import Notice, tell
from overlay_runtime.paths import Paths

log = logging.getLogger(__name__)

SUBJECT = "network"
WATCH = "edge-overlay-network-watch.timer"


def apply(paths: Paths) -> None:
    """Bring what is described into effect, or the last good configuration. Never raises: whatever
    goes wrong, the NICs that are not configured have DHCP."""
    try:
        _apply(paths)
    except Exception as error:  # noqa: BLE001 # told by its place: its message may hold a secret
        problem = error.strerror if isinstance(error, OSError) else fault_of(error)
        log.error("the network can't be configured: %s", problem)
        tell(paths.notices, Notice(SUBJECT, (f"the network can't be configured as described, and "
                                             f"uses DHCP: {problem}",)))  # fmt: skip


def _apply(paths: Paths) -> None:
    # It would fall back from what was asked for before.
    stop(WATCH, WATCH.replace(".timer", ".service"), wait=True)
    wanted = find_wanted(paths)
    asked = None if wanted is None else _asked(wanted, paths)
    save_asked(paths, asked)
    place(asked.bundle if asked else None, paths.root)
    tell_running(asked.bundle if asked else None)
    if asked is None:
        if (paths.notices / f"{SUBJECT}.json").exists():
            tell(paths.notices, Notice(SUBJECT))
        return
    for problem in asked.problems:
        log.error("%s", problem)
    tell(paths.notices, notice(asked, ()))
    start(WATCH)


def _asked(wanted: Wanted, paths: Paths) -> Asked:
    rendered = render(wanted, scratch(paths))
    problems, notes = [*wanted.problems, *rendered.problems], tuple(wanted.notes)
    if not (wanted.unreadable or rendered.left_out):
        return Asked(rendered.bundle, problems=tuple(problems), notes=notes)
    good = load_good(paths)
    if good is not None:
        problems.insert(0, f"the network is not configured as {wanted.origin} describes it: the "
                        f"last good configuration is in use, from {good.origin}")  # fmt: skip
        return Asked(good, fallback=True, problems=tuple(problems), notes=notes)
    what = "nothing of it can be used: the network uses DHCP"
    if not wanted.unreadable:
        what = f"DHCP instead on {', '.join(name[:40] for name in rendered.left_out)}"
    problems.insert(0, f"the network is not configured as {wanted.origin} describes it: {what}")
    return Asked(rendered.bundle, partial=True, problems=tuple(problems), notes=notes)


def notice(asked: Asked, found: tuple[str, ...], **details: object) -> Notice:
    """Return what status is to say; `found` is what was found on site."""
    in_effect = Mode.LAST_GOOD if asked.fallback else asked.mode
    return Notice(SUBJECT, (*found, *asked.problems), {
        "origin": asked.bundle.origin,
        "in_effect": in_effect.value,
        "devices": [one.name for one in asked.bundle.devices],
        "proxy": "HTTP_PROXY" in asked.bundle.environment
                 or "HTTPS_PROXY" in asked.bundle.environment,
        "notes": list(asked.notes),
        **details,
    })  # fmt: skip
