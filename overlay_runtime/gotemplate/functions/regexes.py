"""sprig's regular expressions (regex.go)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from overlay_runtime.gotemplate.functions.model import table
from overlay_runtime.gotemplate.functions.strings import limited
from overlay_runtime.gotemplate.regexp import compiled
from overlay_runtime.gotemplate.regexp.syntax import quote_meta
from overlay_runtime.gotemplate.values import GoError, Slice


def _match(pattern: str, text: str) -> bool:
    return compiled(pattern).search(text) is not None


def _match_or_not(pattern: str, text: str) -> bool:
    """A pattern that can't be read matches nothing (sprig drops the error)."""
    try:
        return _match(pattern, text)
    except GoError as error:
        if "error parsing" in str(error):
            return False
        raise


def _find(pattern: str, text: str) -> str:
    caught = compiled(pattern).search(text)
    return text[caught[0] : caught[1]] if caught else ""


def _find_all(pattern: str, text: str, most: int) -> Slice:
    found = [text[caught[0] : caught[1]] for caught in compiled(pattern).every(text, most)]
    return Slice(found, "string", nil=not found)


def _replace(pattern: str, text: str, by: str) -> str:
    limited((len(text) + 1) * len(by))
    made = compiled(pattern).replaced(text, by, literal=False)
    limited(len(made))
    return made


def _replace_literal(pattern: str, text: str, by: str) -> str:
    limited((len(text) + 1) * len(by))
    return compiled(pattern).replaced(text, by, literal=True)


def _split(pattern: str, text: str, most: int) -> Slice:
    parts = compiled(pattern).split(text, most)
    return Slice(parts or (), "string", nil=parts is None)


def _panics(call: Callable[..., Any]) -> Callable[..., Any]:
    """regexp.MustCompile says more about a pattern that can't be read."""

    def run(pattern: str, *rest: Any) -> Any:
        try:
            return call(pattern, *rest)
        except GoError as error:
            if "error parsing" not in str(error):
                raise
            raise GoError(f"regexp: Compile(`{pattern}`): {error}") from None

    return run


_ROWS: dict[str, tuple[str, Callable[..., Any]]] = {
    "RegexFind": ("string string", _find),
    "RegexFindAll": ("string string int", _find_all),
    "RegexReplaceAll": ("string string string", _replace),
    "RegexReplaceAllLiteral": ("string string string", _replace_literal),
    "RegexSplit": ("string string int", _split),
}

TABLE = table(
    {f"must{name}": row for name, row in _ROWS.items()}
    | {f"r{name[1:]}": (row[0], _panics(row[1])) for name, row in _ROWS.items()}
    | {
        "mustRegexMatch": ("string string", _match),
        "regexMatch": ("string string", _match_or_not),
        "regexQuoteMeta": ("string", quote_meta),
    }
)
