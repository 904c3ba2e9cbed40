"""sprig's random values."""

from __future__ import annotations

import base64
import secrets
import string
import uuid

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.functions.strings import limited
from overlay_runtime.gotemplate.values import GoError


def _of(letters: str, count: int) -> str:
    """goutils.CryptoRandom…: an error, which sprig drops, leaves nothing."""
    limited(count * 8)
    return "".join(secrets.choice(letters) for _ in range(count))


def _bytes(count: int) -> str:
    if count < 0:
        raise GoError("runtime error: makeslice: len out of range")
    limited(count)
    return base64.b64encode(secrets.token_bytes(count)).decode()


def _int(least: int, past: int) -> int:
    if past <= least:
        raise GoError("invalid argument to Intn")
    return least + secrets.randbelow(past - least)


def _shuffle(text: str) -> str:
    chars = list(text)
    secrets.SystemRandom().shuffle(chars)
    return "".join(chars)


TABLE = table(
    {
        "randAlpha": ("int", lambda count: _of(string.ascii_letters, count)),
        "randAlphaNum": ("int", lambda count: _of(string.ascii_letters + string.digits, count)),
        "randAscii": ("int", lambda count: _of("".join(map(chr, range(32, 127))), count)),
        "randBytes": ("int", _bytes),
        "randInt": ("int int", _int),
        "randNumeric": ("int", lambda count: _of(string.digits, count)),
        "shuffle": ("string", _shuffle),
        "uuidv4": ("", lambda: str(uuid.uuid4())),
    }
)
