"""A short run of what `make fuzz` does by the million: seeded, so that it is the same each time."""

from __future__ import annotations

import random

import pytest

from overlay_runtime.beacon.wire import encode
from tests.fuzz.targets import TARGETS, Conversation
from tests.unit.runtime.samples import beacon


@pytest.mark.parametrize("name", sorted(TARGETS))
def test_mutated_beacons_do_no_harm(name: str) -> None:
    chance = random.Random(name)
    seed = b"\0" + encode(beacon(echo="1" * 16), bytes(32))[72:]
    for _ in range(3000):
        data = bytearray(seed)
        for _ in range(chance.randrange(6)):
            data[chance.randrange(len(data))] = chance.getrandbits(8)
        TARGETS[name](bytes(data[: chance.randrange(len(data)) + 1]))


def test_a_hostile_member_cannot_make_anything_grow_without_end() -> None:
    conversation = Conversation()
    for number in range(20_000):
        conversation.say(number.to_bytes(4, "big"))
    conversation.check()
