"""sprig's encodings and sums."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import zlib
from collections.abc import Callable

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.values import cooked, raw


def _b64dec(text: str) -> str:
    return _decoded(text, 4, rb"[A-Za-z0-9+/]", "base64", base64.b64decode)


def _b32dec(text: str) -> str:
    return _decoded(text, 8, rb"[A-Z2-7]", "base32", base64.b32decode)


_LEFT = {4: (0, 2, 3), 8: (0, 2, 4, 5, 7)}
"""How many characters the last group may have before the padding."""


def _decoded(
    text: str, group: int, alphabet: bytes, name: str, decode: Callable[[bytes], bytes]
) -> str:
    """Decode as Go does: line ends don't count, and the error is the result (sprig returns it)."""
    data = raw(text)
    plain = re.sub(rb"[\r\n]", b"", data)
    if group == 8:
        # Go's base32 looks no further than a group with padding.
        padded = re.match(rb"((?:[A-Z2-7]{8})*[A-Z2-7]{2,7}=+)", plain)
        if padded and len(padded[1]) % 8 == 0:
            plain = padded[1]
    body = plain.rstrip(b"=")
    good = re.match(alphabet + b"*", body)
    end = good.end() if good else 0
    left = end % group
    padding = len(plain) - len(body)
    if end == len(body) and len(plain) % group == 0 and left in _LEFT[group] and (
        padding == (group - left) % group
    ):  # fmt: skip
        try:
            return cooked(decode(plain))
        except (binascii.Error, ValueError):
            pass
    return f"illegal {name} data at input byte {_where(data, plain, end, left, group)}"


def _where(data: bytes, plain: bytes, end: int, left: int, group: int) -> int:
    """The place that Go's error names, counted in the text with its line ends."""
    at = end
    if end == len(plain):
        # The text ends within a group. Go's base32 doesn't count line ends, its base64 does.
        return (len(plain) if group == 8 else len(data)) - left
    if plain[end : end + 1] == b"=" and left in _LEFT[group] and left:
        padded = len(plain) - len(plain[end:].lstrip(b"="))
        wanted = end + group - left
        at = wanted if padded >= wanted else len(plain)
        if group == 4 and padded < min(wanted, len(plain)):
            at = end
    if group == 8:
        return at
    seen = 0
    for place, byte in enumerate(data):
        if byte in b"\r\n":
            continue
        if seen == at:
            return place
        seen += 1
    return len(data)


TABLE = table(
    {
        "adler32sum": ("string", lambda text: str(zlib.adler32(raw(text)))),
        "b32dec": ("string", _b32dec),
        "b32enc": ("string", lambda text: base64.b32encode(raw(text)).decode()),
        "b64dec": ("string", _b64dec),
        "b64enc": ("string", lambda text: base64.b64encode(raw(text)).decode()),
        "sha1sum": ("string", lambda text: hashlib.sha1(raw(text)).hexdigest()),
        "sha256sum": ("string", lambda text: hashlib.sha256(raw(text)).hexdigest()),
        "sha512sum": ("string", lambda text: hashlib.sha512(raw(text)).hexdigest()),
    }
)
