"""The schema of user-data: every key that somebody acts on, in one tree."""

from __future__ import annotations

import dataclasses
from typing import Any

from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.config.table import written
from overlay_runtime.userdata import cloud, kairos
from overlay_runtime.userdata.kinds import TEXT
from overlay_runtime.userdata.model import Block, Checked, Key
from overlay_runtime.userdata.palette import STYLUS
from overlay_runtime.userdata.stages import STAGES_KIND


def _block(table: type[Any], what: str) -> Block:
    """A block, from the table that the agent reads it by."""
    keys = []
    for item in dataclasses.fields(table):
        about, name = item.metadata, written(item.name)
        if "block" in about:
            keys.append(Key(name, _block(about["block"], f"the key `{name}`"), about["help"]))
            continue
        kind = Checked(about["check"], about["expected"], about["shape"],
                       secret="secret" in item.name)  # fmt: skip
        default = item.default if item.default not in (None, ()) else None
        keys.append(Key(name, kind, about["help"], default))
    return Block(tuple(keys), what=what)


TOP = Block(
    (
        Key("overlay", _block(OverlayConfig, "the key `overlay`"), "The overlay network."),
        Key("name", TEXT, "The file's name, for `after` and for the journal."),
        Key("stages", STAGES_KIND, "What is done at the stages of a boot."),
        Key("stylus", STYLUS, "Palette's block; of it the network counts here too."),
        *kairos.KEYS,
        *cloud.KEYS,
    ),
    what="user-data",
)  # fmt: skip
