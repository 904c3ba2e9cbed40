"""A file against the schema: unknown keys, wrong types, values that can't be."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from overlay_runtime.config.checks import Wrong, shown
from overlay_runtime.config.document import Entry, Value, shown_key
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding
from overlay_runtime.userdata.model import (
    NOTE_PREFIX,
    Anything,
    Block,
    Boolean,
    By,
    Checked,
    Choice,
    Either,
    FileMode,
    Kind,
    ListOf,
    MapOf,
    Number,
    Text,
    expected,
)

_OCTAL = re.compile(r"0o?([0-7]+)")
_LOOKS_OCTAL = re.compile(r"[0-7]{3,4}")
_BOOLEAN_WORDS = frozenset(
    form
    for word in ("y", "yes", "on", "n", "no", "off")
    for form in (word, word.capitalize(), word.upper())
)
"""What Kairos's YAML library takes for true and false even in quotes."""

DROPPED = "Kairos would drop all stages of this file without a word"


@dataclass(frozen=True)
class _Place:
    """Where in the document a value stands, in words."""

    path: str = ""
    in_stages: bool = False
    told: bool = False
    """Whether it was said that nobody acts on what stands here."""

    def key(self, name: str) -> _Place:
        path = f"{self.path}.{name}" if self.path else name
        return replace(self, path=path, in_stages=self.in_stages or path == "stages")

    def item(self, number: int) -> _Place:
        return replace(self, path=f"{self.path}[{number}]")

    def __str__(self) -> str:
        return f"`{self.path}`"


def check(value: Value, kind: Kind, path: str = "") -> Iterator[Finding]:
    """Yield what is wrong about a value, and below it. Nothing (null) is right everywhere, as
    Kairos and cloud-init take it."""
    yield from _check(value, kind, _Place(path, path.startswith("stages")))


def _check(value: Value, kind: Kind, place: _Place) -> Iterator[Finding]:
    if value.data is None or isinstance(kind, Anything):
        return
    match kind:
        case Block():
            yield from _block(value, kind, place)
        case MapOf():
            if isinstance(value.data, dict):
                for name, entry in value.data.items():
                    yield from _check(entry.value, kind.value, place.key(_word(name)))
            else:
                yield _type(value, kind, place)
        case ListOf():
            if isinstance(value.data, tuple):
                for number, item in enumerate(value.data):
                    yield from _check(item, kind.item, place.item(number))
            else:
                yield _type(value, kind, place)
        case Either():
            fit = next((one for one in kind.kinds if _fits(value, one)), None)
            if fit is None:
                yield _type(value, kind, place)
            else:
                yield from _check(value, fit, place)
        case _:
            yield from _scalar(value, kind, place)


def _fits(value: Value, kind: Kind) -> bool:
    """Whether the YAML type is that of the kind, whatever the value says."""
    match kind:
        case Block() | MapOf():
            return isinstance(value.data, dict)
        case ListOf():
            return isinstance(value.data, tuple)
        case Boolean():
            word = value.data if isinstance(value.data, str) else ""
            return isinstance(value.data, bool) or word in _BOOLEAN_WORDS
        case FileMode():
            return not value.quoted and bool(re.match(r"[0-9]", value.written))
        case Number():
            whole = isinstance(value.data, float) and value.data.is_integer()
            return whole or (isinstance(value.data, int) and not isinstance(value.data, bool))
        case Text():
            if kind.strict:
                return isinstance(value.data, str)
            return not isinstance(value.data, dict | tuple)
        case _:
            return True


def _scalar(value: Value, kind: Kind, place: _Place) -> Iterator[Finding]:
    match kind:
        case Checked():
            try:
                kind.check(value)
            except Wrong as wrong:
                at = (wrong.at or value).position
                found = value.kind() if kind.secret else wrong.found
                yield Finding(rules.VALUE, at, f"{place}: {found}", kind.expected, wrong.remedy)
        case FileMode():
            yield from _mode(value, place)
        case Choice():
            if str(value.data) not in kind.words or not isinstance(value.data, str):
                close = difflib.get_close_matches(str(value.written).lower(), kind.words, n=1)
                remedy = f"did you mean {close[0]}?" if close else ""
                yield _value(value, kind, place, remedy)
        case Text():
            if isinstance(value.data, dict | tuple):
                yield _type(value, kind, place)
            elif kind.strict and not isinstance(value.data, str):
                yield Finding(rules.UNQUOTED, value.position, f"{place}: found {shown(value)}",
                              kind.expected, "put it in quotes")  # fmt: skip
            elif kind.pattern and not re.fullmatch(kind.pattern, value.written, re.DOTALL):
                yield _value(value, kind, place)
        case Number():
            if not _fits(value, kind):
                yield _type(value, kind, place, "write a whole number without quotes")
            elif not (isinstance(value.data, int | float) and kind.low <= value.data <= kind.high):
                yield _value(value, kind, place)
        case Boolean():
            if not _fits(value, kind):
                yield _type(value, kind, place, "write true or false, without quotes")


def _mode(value: Value, place: _Place) -> Iterator[Finding]:
    """Permissions: a number, for Kairos's YAML library octal if it starts with 0 or 0o."""
    words = value.written.replace("_", "")
    octal = _OCTAL.fullmatch(words)
    want = "permissions in octal, such as 0644"
    if isinstance(value.data, float):
        yield Finding(rules.MODE, value.position, f"{place}: found {shown(value)}", want)
    elif value.quoted or isinstance(value.data, bool | dict | tuple):
        yield _type(value, FileMode(), place, "write them without quotes, with a leading 0")
    elif octal:
        if int(octal[1], 8) > 0o7777:
            yield Finding(rules.MODE, value.position, f"{place}: {words} is more than 07777", want)
    elif re.fullmatch(r"0[0-9]+", words):
        yield Finding(rules.MODE, value.position, f"{place}: {words} has a digit that octal "
                      "numbers don't have", want)  # fmt: skip
    elif not re.fullmatch(r"[0-9]+|0x[0-9a-fA-F]+", words):
        yield _type(value, FileMode(), place)
    elif _LOOKS_OCTAL.fullmatch(words) and words != "420" and words != "493":
        made = oct(int(words))[2:]
        yield Finding(rules.MODE, value.position, f"{place}: {words} is a decimal number, and "
                      f"means the permissions 0{made}", want, f"write 0{words}")  # fmt: skip
    elif int(words, 0) > 0o7777:
        yield Finding(rules.MODE, value.position, f"{place}: {words[:20]} is more than 07777", want)


def _block(value: Value, kind: Block, place: _Place) -> Iterator[Finding]:
    if not isinstance(value.data, dict):
        yield _type(value, kind, place)
        return
    known = kind.named()
    others: dict[By, list[tuple[str, Entry]]] = {}
    for name, entry in value.data.items():
        key = known.get(name)
        if key is None and kind.open:
            key = known.get(name.lower())
            if key is None and name.split(".")[0] in known:
                continue  # Kairos's short form: partitions.oem.size
        if key is None:
            yield from _unknown(name, entry, kind, place)
            continue
        below = place.key(name)
        if not key.by.acts and not place.told:
            others.setdefault(key.by, []).append((name, entry))
            # Of a block that will be acted on, what never will be is said as well.
            below = replace(below, told=key.by is not By.LATER)
        yield from _check(entry.value, key.kind, below)
    for by, keys in others.items():
        names = ", ".join(f"`{place.key(name).path}`" for name, _ in keys)
        rule = rules.KAIROS_ONLY if by in (By.KAIROS, By.LATER) else rules.NOT_ACTED_ON
        yield Finding(rule, keys[0][1].key,
                      f"{names}: known, and of use to {by.value}")  # fmt: skip


def _unknown(name: str, entry: Entry, kind: Block, place: _Place) -> Iterator[Finding]:
    close = suggestion(name, tuple(kind.named()))
    rule = rules.UNHEARD_OF if kind.open else rules.UNKNOWN_KEY
    remedy = f"did you mean `{close}`?" if close else ""
    if not place.path:
        if name.startswith(NOTE_PREFIX):
            return
        if not close and isinstance(entry.value.data, dict | tuple):
            rule = rules.UNHEARD_OF  # Kairos's bundles and providers read blocks of their own
        remedy = remedy or "prefix it with x- if it is a note of your own"
    where = f" in `{place.path}`" if place.path else ""
    want = f"a key of {kind.what}" if place.path else "a key of cloud-init, Kairos, Palette or ours"
    yield Finding(rule, entry.key, f"unknown {shown_key(name)}{where}", want, remedy)


def suggestion(name: str, known: tuple[str, ...]) -> str:
    """Return the known name that was probably meant, or nothing."""
    plain = {re.sub(r"[^a-z0-9]", "", one.lower()): one for one in known}
    close = difflib.get_close_matches(
        re.sub(r"[^a-z0-9]", "", name.lower()[:40]), plain, n=1, cutoff=0.8
    )
    return plain[close[0]] if close else ""


def _type(value: Value, kind: Kind, place: _Place, remedy: str = "") -> Finding:
    rule = rules.STAGE_TYPE if place.in_stages else rules.TYPE
    if place.in_stages:
        remedy = f"{remedy}; {DROPPED}" if remedy else DROPPED
    secret = isinstance(kind, Text | Checked) and kind.secret
    found = value.kind() if secret else shown(value)
    return Finding(rule, value.position, f"{place}: found {found}", expected(kind), remedy)


def _value(value: Value, kind: Kind, place: _Place, remedy: str = "") -> Finding:
    secret = isinstance(kind, Text | Checked) and kind.secret
    found = value.kind() if secret else shown(value)
    return Finding(rules.VALUE, value.position, f"{place}: found {found}", expected(kind), remedy)


def _word(name: str) -> str:
    """A name as a message may show it: what is no name may be a secret."""
    return name if re.fullmatch(r"[\w.@:-]{1,40}", name) else "…"
