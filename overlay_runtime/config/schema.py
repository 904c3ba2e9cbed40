"""Reads user-data by the table of `keys.py`, and says what is wrong about its `overlay:` block.

`edge-build` checks user-data with it when an image is built, and every host again at boot.
"""

from __future__ import annotations

import dataclasses
import difflib
import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any

from overlay_runtime import address as addresses
from overlay_runtime.address import IPNetwork
from overlay_runtime.config.checks import Wrong, shown
from overlay_runtime.config.cluster import together as cluster_problems
from overlay_runtime.config.document import Entry, Value, read_document, shown_key
from overlay_runtime.config.keys import OverlayConfig as OverlayConfig
from overlay_runtime.config.keys import settings as settings
from overlay_runtime.config.table import written
from overlay_runtime.errors import ConfigError, Position, Problem

HEADER = "#cloud-config"
BLOCK = "overlay"
_HEADER_OF_OTHERS = re.compile(r"#[#!a-z/: -]{1,39}")
_SAME_MEANING = {"overlays", "overlaynetwork", "overlayconfig", "edgeoverlay", "overlaynet"}


@dataclass(frozen=True)
class UserData:
    """A user-data file whose overlay block is right (or absent).

    `top` has every top-level key with its place, for those who check the other keys.
    """

    file: str
    overlay: OverlayConfig | None
    top: dict[str, Entry] = field(repr=False)


def parse_user_data(text: str, file: str) -> UserData:
    """Read a user-data file. Raises ConfigError with all that is wrong about its overlay block."""
    wrong = header_problem(text, file)
    if wrong:
        raise ConfigError([wrong])
    return user_data(read_document(text, file), file)


def header_problem(text: str, file: str) -> Problem | None:
    """Say what is wrong about the first line, or return None."""
    first = text.split("\n", 1)[0]
    if first.rstrip() == HEADER:
        return None
    first = first.strip()
    what = "the first line is something else" if first else "the first line is empty"
    if _HEADER_OF_OTHERS.fullmatch(first):  # any other line may hold a secret
        what = f"the first line is {first!r}"
    if text.startswith("\ufeff"):
        what = "the file starts with a byte-order mark"
    return Problem(
        Position(file, 1, 1), what, f"{HEADER!r}", "cloud-init ignores the file otherwise"
    )


def user_data(root: Value, file: str) -> UserData:
    """Read a document that was parsed. Raises ConfigError as `parse_user_data` does."""
    if not isinstance(root.data, dict):
        problem = Problem(root.position, f"found {root.kind()}", "keys and values", "")
        raise ConfigError([problem])
    found = _misspelt_blocks(root.data)
    overlay = None
    if BLOCK in root.data:
        overlay, more = _read_block(root.data[BLOCK])
        found += more
    if found:
        raise ConfigError(found)
    return UserData(file, overlay, root.data)


def problems(text: str, file: str) -> list[Problem]:
    """Return all that is wrong about a user-data file as far as the overlay goes."""
    try:
        return kubernetes_problems(parse_user_data(text, file))
    except ConfigError as error:
        return list(error.problems)


def kubernetes_problems(data: UserData) -> list[Problem]:
    """Return that the overlay's range is one of Kubernetes'.

    That does not make user-data unreadable on a host, whose overlay may run already: there the
    first claim is refused.
    """
    from overlay_runtime.config import kubernetes

    config = data.overlay
    if config is None:
        return []
    given = config.kubernetes_ranges
    ranges = kubernetes.defaults() if given is None else kubernetes.written(given)
    met = kubernetes.meets(config.cidr, ranges)
    if met is None:
        return []
    block = data.top[BLOCK]
    keys = block.value.data if isinstance(block.value.data, dict) else {}
    at = keys["cidr"].value.position if "cidr" in keys else block.key
    return [
        Problem(at, f"`cidr`: {config.cidr} overlaps {met}",
                "a range that Kubernetes does not use", kubernetes.REMEDY)
    ]  # fmt: skip


def _misspelt_blocks(top: dict[str, Entry]) -> list[Problem]:
    """A misspelt block would be silence instead of a network: so near misses are errors."""
    found: list[Problem] = []
    for name, entry in top.items():
        plain = name.lower().replace("_", "").replace("-", "").replace(" ", "")
        near = difflib.SequenceMatcher(None, plain, BLOCK).ratio() >= 0.85
        if name != BLOCK and (near or plain in _SAME_MEANING):
            found.append(
                Problem(entry.key, f"unknown key {name!r}", f"{BLOCK!r}", f"rename it to {BLOCK}")
            )
    return found


def _read_block(entry: Entry) -> tuple[OverlayConfig | None, list[Problem]]:
    block = entry.value
    if not isinstance(block.data, dict):
        what = f"`{BLOCK}` is {block.kind()}" if block.data is not None else f"`{BLOCK}` is empty"
        remedy = "write at least `secret: …` below it, indented"
        return None, [Problem(entry.key, what, "keys and values", remedy)]
    values, found = _read_keys(OverlayConfig, block.data, "")
    found += _together(entry.key, block.data, values)
    return (None if found else OverlayConfig(**values)), found


def _read_keys(
    table: type[Any], present: dict[str, Entry], before: str
) -> tuple[dict[str, Any], list[Problem]]:
    """Read what is there of a table's keys. `before` is the block's name in messages."""
    fields = {written(item.name): item for item in dataclasses.fields(table)}
    found: list[Problem] = []
    values: dict[str, Any] = {}
    for name, item in present.items():
        if name not in fields:
            found.append(_unknown(name, item, list(fields)))
            continue
        about = fields[name].metadata
        try:
            if "block" in about:
                inner, more = _read_inner(about["block"], f"{before}{name}", item)
                found += more
                values |= {} if more else {fields[name].name: inner}
            else:
                values[fields[name].name] = about["check"](item.value)
        except Wrong as wrong:
            at = (wrong.at or item.value).position
            found.append(
                Problem(at, f"`{before}{name}`: {wrong.found}", about["expected"], wrong.remedy)
            )
    return values, found


def _read_inner(table: type[Any], name: str, entry: Entry) -> tuple[Any, list[Problem]]:
    block = entry.value
    if not isinstance(block.data, dict):
        raise Wrong("it is empty" if block.data is None else f"found {shown(block)}",
                    "write keys below it, indented, or leave it out")  # fmt: skip
    values, found = _read_keys(table, block.data, f"{name}.")
    if not found:
        found = cluster_problems(table(**values), entry.key, block.data)
    return (None if found else table(**values)), found


def _unknown(name: str, item: Entry, known: list[str]) -> Problem:
    close = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.6)
    remedy = f"did you mean `{close[0]}`?" if close else "remove it"
    return Problem(item.key, f"unknown {shown_key(name)}", "one of " + ", ".join(known), remedy)


def _together(block: Position, present: dict[str, Entry], values: dict[str, Any]) -> list[Problem]:
    """What can only be judged by looking at several keys at once."""
    found: list[Problem] = []
    insecure = values.get("insecure", False)
    if "secret" not in present and not insecure:
        found.append(
            Problem(block, "`secret` is missing", "text of at least 16 characters",
                    "add one, the same on every host; or write `insecure: true`")
        )  # fmt: skip
    if "secret" in present and insecure:
        found.append(
            Problem(present["insecure"].key, "`insecure: true` together with `secret`",
                    "one of the two", "remove `insecure`, or the secret if you mean it")
        )  # fmt: skip
    if "previous_secret" in values and insecure:
        found.append(
            Problem(present["previous-secret"].key, "`previous-secret` together with `insecure: "
                    "true`", "one of the two", "remove it")
        )  # fmt: skip
    if values.get("previous_secret", "") == values.get("secret"):
        found.append(
            Problem(present["previous-secret"].value.position,
                    "`previous-secret` is the same as `secret`", "the secret of before",
                    "remove it if nothing changes")
        )  # fmt: skip
    if "cidr" in present and "cidr" not in values:
        return found  # nothing can be said about addresses in a range that isn't known
    cidr: IPNetwork = values.get("cidr", OverlayConfig.cidr)
    if "address" in values and not addresses.usable(values["address"], cidr):
        why = "reserved" if values["address"] in addresses.reserved(cidr) else f"outside {cidr}"
        found.append(
            Problem(present["address"].value.position, f"`address`: {values['address']} is {why}",
                    f"an address from {cidr[2]} to {cidr[-2]}", "")
        )  # fmt: skip
    for text in values.get("peers", ()):
        if _inside(text, cidr):
            found.append(
                Problem(_item_position(present["peers"].value, text),
                        f"`peers`: {text} lies inside the overlay's own range {cidr}",
                        "an address of the physical network", "")
            )  # fmt: skip
    return found


def _inside(text: str, cidr: IPNetwork) -> bool:
    try:
        return ipaddress.ip_address(text) in cidr
    except ValueError:
        return False


def _item_position(value: Value, text: str) -> Position:
    items = value.data if isinstance(value.data, tuple) else ()
    return next((item.position for item in items if item.data == text), value.position)
