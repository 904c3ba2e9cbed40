"""sprig's upper and lower case (goutils, and huandu/xstrings v1.5 for camelcase and its kin)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from itertools import takewhile

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.text import is_space, lower, title, upper

_INVALID = re.compile("[\udc80-\udcff]")


def _is_upper(char: str) -> bool:
    return unicodedata.category(char) == "Lu"


def _is_connector(char: str) -> bool:
    return char in "-_" or is_space(char)


def _title(text: str) -> str:
    """strings.Title: the first letter after what is no letter, number or underscore."""
    out, before = [], " "
    for char in text:
        out.append(title(char) if _separates(before) else char)
        before = char
    return "".join(out)


def _separates(char: str) -> bool:
    """strings.isSeparator."""
    if ord(char) < 0x80:
        return not (char.isalnum() or char == "_")
    return not (unicodedata.category(char) in ("Nd",) or char.isalpha()) and is_space(char)


def _untitle(text: str) -> str:
    """goutils.Uncapitalize."""
    out, start = [], True
    for char in text:
        if is_space(char):
            start = True
        elif start:
            char, start = lower(char), False
        out.append(char)
    return "".join(out)


def _swapcase(text: str) -> str:
    """goutils.SwapCase."""
    out, space = [], True
    for char in text:
        kind = unicodedata.category(char)
        if kind in ("Lu", "Lt"):
            char, space = lower(char), False
        elif kind == "Ll":
            char, space = (title(char) if space else upper(char)), False
        else:
            space = is_space(char)
        out.append(char)
    return "".join(out)


def _camelcase(text: str) -> str:
    """xstrings.ToPascalCase."""
    start = len(list(takewhile(_is_connector, text)))
    if start >= len(text):
        # All connectors: the last one is there twice.
        return text + text[-1:]
    out, first_upper = [text[:start]], _is_upper(text[start])
    now, rest = upper(text[start]), text[start + 1 :]
    if not rest:
        return out[0] + now
    for char in rest:
        before, now = now, char
        if _is_connector(now) and _is_connector(before):
            out.append(before)
            continue
        if _is_connector(before):
            first_upper, now = _is_upper(now), upper(now)
        else:
            if first_upper:
                if _is_upper(now):
                    now = lower(now)
                else:
                    first_upper = False
            out.append(before)
    return "".join(out) + now


def _is_alphabet(char: str) -> bool:
    """xstrings.isAlphabet: a letter, but no Chinese character."""
    chinese = (("\u4e00", "\u9fcc"), ("\u3400", "\u4d85"), ("\U00020000", "\U0002b81d"))
    return unicodedata.category(char)[0] == "L" and not any(a <= char <= z for a, z in chinese)


def _kind(char: str) -> str:
    if _is_connector(char):
        return "connector"
    if unicodedata.category(char)[0] == "P":
        return "punct"
    if _is_upper(char):
        return "upper"
    if _is_alphabet(char):
        return "alphabet"
    return "number" if unicodedata.category(char)[0] == "N" else "other"


def _next_word(text: str) -> tuple[str, str, str]:
    """xstrings.nextWord: the kind of the first word, the word, and what is left."""
    if not text:
        return "", "", ""
    kind = _kind(text[0])
    end = 1
    if kind == "upper":
        end = _upper_word(text)
    elif kind == "alphabet":
        while end < len(text) and _kind(text[end]) == "alphabet":
            end += 1
    elif kind == "other":
        while end < len(text) and _kind(text[end]) == "other":
            end += 1
    else:
        while end < len(text) and _kind(text[end]) == kind:
            end += 1
    return kind, text[:end], text[end:]


def _upper_word(text: str) -> int:
    """Where a word ends that begins with a capital: `HTTPServer` is HTTP and Server."""
    end = 1
    if end < len(text) and _is_upper(text[end]):
        while end < len(text) and _is_upper(text[end]):
            end += 1
        if end < len(text) and _kind(text[end]) == "alphabet":
            end -= 1
        return end
    while end < len(text) and _kind(text[end]) == "alphabet":
        end += 1
    return end


def _lowered(kind: str, word: str, connector: str) -> str:
    if kind not in ("upper", "connector"):
        return word
    return "".join(connector if _is_connector(c) else lower(c) for c in word)


def _joined(text: str, connector: str) -> str:
    """xstrings.camelCaseToLowerCase."""
    if not text:
        return ""
    out: list[str] = []

    def write(kind: str, word: str) -> None:
        out.append(_lowered(kind, word, connector))

    kind, word, rest = _next_word(text)
    while rest:
        if kind != "connector":
            write(kind, word)
        before, last = kind, word
        kind, word, rest = _next_word(rest)
        if before == "number":
            while kind in ("alphabet", "number"):
                write(kind, word)
                kind, word, rest = _next_word(rest)
            if kind not in ("", "punct", "connector"):
                out.append(connector)
        elif before == "connector":
            write(before, last)
        elif before == "punct":
            pass
        elif kind != "number":
            if kind not in ("connector", "punct"):
                out.append(connector)
        elif rest:
            last = word
            kind, word, rest = _next_word(rest)
            if kind != "alphabet":
                write("number", last)
                if kind not in ("connector", "punct"):
                    out.append(connector)
                continue
            out.append(connector)
            write("number", last)
            while kind in ("alphabet", "number"):
                write(kind, word)
                kind, word, rest = _next_word(rest)
            if kind not in ("", "connector", "punct"):
                out.append(connector)
    write(kind, word)
    return "".join(out)


def _whole(call: Callable[[str], str]) -> Callable[[str], str]:
    """Go's decoding of runes: a byte that is no UTF-8 becomes U+FFFD."""
    return lambda text: call(_INVALID.sub("\ufffd", text))


TABLE = table(
    {
        "camelcase": ("string", _whole(_camelcase)),
        "kebabcase": ("string", lambda text: _joined(text, "-")),
        "lower": ("string", _whole(lambda text: "".join(map(lower, text)))),
        "snakecase": ("string", lambda text: _joined(text, "_")),
        "swapcase": ("string", _whole(_swapcase)),
        "title": ("string", _whole(_title)),
        "untitle": ("string", _whole(_untitle)),
        "upper": ("string", _whole(lambda text: "".join(map(upper, text)))),
    }
)
