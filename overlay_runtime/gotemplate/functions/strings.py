"""sprig's strings (strings.go, and goutils below it). Lengths and places are in bytes, as in Go."""

from __future__ import annotations

from typing import Any

from overlay_runtime.gotemplate.formatting import show
from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.printf import sprintf
from overlay_runtime.gotemplate.text import is_space, quoted
from overlay_runtime.gotemplate.values import GoError, Slice, StringMap, cooked, raw

LONGEST = 1 << 20
"""Characters that one call may make."""
_SPACES = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(
    map(chr, range(0x2000, 0x200B))
)


def limited(size: int) -> None:
    """Raises GoError where a text would get too long."""
    if size > LONGEST:
        raise GoError(f"the text gets longer than {LONGEST} characters")


def strings_of(value: Any) -> list[str]:
    """sprig's strslice: the elements as text, without nil ones."""
    if value is None:
        return []
    if isinstance(value, list):
        return [show(item) for item in value if item is not None]
    return [show(value)]


def _part(text: str, start: int, end: int | None) -> str:
    """text[start:end], with Go's panic where that is out of bounds."""
    data = raw(text)
    stop = len(data) if end is None else end
    if stop < 0 or stop > len(data):
        raise GoError(f"runtime error: slice bounds out of range [:{stop}] with length {len(data)}")
    if start < 0 or start > stop:
        raise GoError(f"runtime error: slice bounds out of range [{start}:{stop}]")
    return cooked(data[start:stop])


def _substr(start: int, end: int, text: str) -> str:
    if start < 0:
        return _part(text, 0, end)
    if end < 0 or end > len(raw(text)):
        return _part(text, start, None)
    return _part(text, start, end)


def _trunc(count: int, text: str) -> str:
    data = raw(text)
    if count < 0 and len(data) + count > 0:
        return cooked(data[count:])
    if 0 <= count < len(data):
        return cooked(data[:count])
    return text


def _abbrev(width: int, text: str) -> str:
    return text if width < 4 else _abbreviated(text, 0, width)


def _abbrevboth(left: int, right: int, text: str) -> str:
    if right < 4 or (left > 0 and right < 7):
        return text
    return _abbreviated(text, left, right)


def _abbreviated(text: str, offset: int, width: int) -> str:
    """goutils.AbbreviateFull; empty where that is an error, which sprig drops."""
    data = raw(text)
    if len(data) <= width:
        return text
    offset = min(offset, len(data))
    if len(data) - offset < width - 3:
        offset = len(data) - (width - 3)
    if offset <= 4:
        return cooked(data[: width - 3]) + "..."
    if width < 7:
        return ""
    if offset + width - 3 < len(data):
        return "..." + _abbreviated(cooked(data[offset:]), 0, width - 3)
    return "..." + cooked(data[len(data) - (width - 3) :])


def _initials(text: str) -> str:
    """goutils.Initials: it takes bytes for characters."""
    out, gap = [], True
    for byte in raw(text):
        char = chr(byte)
        if is_space(char):
            gap = True
        elif gap:
            out.append(char)
            gap = False
    return "".join(out)


def _nospace(text: str) -> str:
    """goutils.DeleteWhiteSpace: it takes bytes for characters, if there is a space."""
    chars = [chr(byte) for byte in raw(text)]
    left = [char for char in chars if not is_space(char)]
    return text if len(left) == len(chars) else "".join(left)


def _repeat(count: int, text: str) -> str:
    if count < 0:
        raise GoError("strings: negative Repeat count")
    limited(count * len(text))
    return text * count


def _indent(spaces: int, text: str) -> str:
    if spaces < 0:
        raise GoError("strings: negative Repeat count")
    limited(spaces * (text.count("\n") + 1))
    pad = " " * spaces
    return pad + text.replace("\n", "\n" + pad)


def _replace(old: str, new: str, text: str) -> str:
    limited((text.count(old) if old else len(text) + 1) * len(new))
    return text.replace(old, new)


def _trim_all(cut: str, text: str) -> str:
    return text.strip(cut) if cut else text


def _quote(*values: Any) -> str:
    return " ".join(quoted(show(value)) for value in values if value is not None)


def _squote(*values: Any) -> str:
    return " ".join(f"'{show(value)}'" for value in values if value is not None)


def _cat(*values: Any) -> str:
    there = tuple(value for value in values if value is not None)
    return sprintf(" ".join(["%v"] * len(there)), there)


def _pieces(separator: str, text: str, limit: int = -1) -> list[str]:
    """strings.SplitN."""
    if limit == 0:
        return []
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    chars = list(text)
    if 0 < limit < len(chars):
        chars[limit - 1 :] = ["".join(chars[limit - 1 :])]
    return chars


def _numbered(pieces: list[str]) -> StringMap:
    return StringMap((f"_{number}", piece) for number, piece in enumerate(pieces))


def _wrap(text: str, width: int, newline: str, long_words: bool) -> str:
    """goutils.WrapCustom."""
    data, newline = raw(text), newline or "\n"
    width, at, size = max(width, 1), 0, len(data)
    out: list[str] = []
    limited((size // width + 1) * len(newline))
    while size - at > width:
        if data[at : at + 1] == b" ":
            at += 1
            continue
        space = data.rfind(b" ", at, at + width + 1)
        if space >= at:
            out += [cooked(data[at:space]), newline]
            at = space + 1
        elif long_words:
            out += [cooked(data[at : at + width]), newline]
            at += width
        else:
            space = data.find(b" ", at + width)
            if space < 0:
                out.append(cooked(data[at:]))
                at = size
            else:
                out += [cooked(data[at:space]), newline]
                at = space + 1
    return "".join(out) + cooked(data[at:])


TABLE = table(
    {
        "abbrev": ("int string", _abbrev),
        "abbrevboth": ("int int string", _abbrevboth),
        "cat": ("any...", _cat),
        "contains": ("string string", lambda part, text: part in text),
        "hasPrefix": ("string string", lambda part, text: text.startswith(part)),
        "hasSuffix": ("string string", lambda part, text: text.endswith(part)),
        "indent": ("int string", _indent),
        "initials": ("string", _initials),
        "nindent": ("int string", lambda spaces, text: "\n" + _indent(spaces, text)),
        "nospace": ("string", _nospace),
        "plural": ("string string int", lambda one, many, count: one if count == 1 else many),
        "quote": ("any...", _quote),
        "repeat": ("int string", _repeat),
        "replace": ("string string string", _replace),
        "split": ("string string", lambda by, text: _numbered(_pieces(by, text))),
        "splitList": ("string string", lambda by, text: Slice(_pieces(by, text), "string")),
        "splitn": ("string int string", lambda by, n, text: _numbered(_pieces(by, text, n))),
        "squote": ("any...", _squote),
        "substr": ("int int string", _substr),
        "toString": ("any", lambda value: show(value)),
        "trim": ("string", lambda text: text.strip(_SPACES)),
        "trimAll": ("string string", _trim_all),
        "trimPrefix": ("string string", lambda part, text: text.removeprefix(part)),
        "trimSuffix": ("string string", lambda part, text: text.removesuffix(part)),
        "trimall": ("string string", _trim_all),
        "trunc": ("int string", _trunc),
        "wrap": ("int string", lambda width, text: _wrap(text, width, "", False)),
        "wrapWith": ("int string string", lambda width, by, text: _wrap(text, width, by, True)),
    }
)
