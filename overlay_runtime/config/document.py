"""YAML text → values that know their place in it.

`yaml.compose` is used instead of `yaml.load`: its nodes carry marks, and nothing is constructed
that the schema didn't ask for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import yaml

from overlay_runtime.errors import ConfigError, Position, Problem

MAX_BYTES = 1 << 20
"""Longest user-data that is read. cloud-init's own data sources stop far earlier (EC2: 16 KiB)."""

Scalar = str | int | float | bool | None

_QUOTED = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*\"""")
# What PyYAML quotes of its own, and single signs: '<block end>', ',', '\t'.
_HARMLESS = re.compile(r"""['"](<[a-z ]+>|[^\w\s]|\\[tnr\\]|\\x00)['"]""")
# Shorter than the shortest secret, so that no message can hold one in the place of a key.
_LIKE_A_KEY = re.compile(r"[A-Za-z_-]{1,15}[46]?")


@dataclass(frozen=True)
class Value:
    """A value and where it starts. Its repr does not show it: it may hold a secret."""

    data: Scalar | tuple[Value, ...] | dict[str, Entry] = field(repr=False)
    position: Position
    written: str = field(default="", repr=False)
    """A scalar's text as it stands in the file: `0644` is the number 420."""
    quoted: bool = False
    """Whether the scalar stands in quotes, or as a block of text."""

    def kind(self) -> str:
        """Return the type in words, for messages."""
        names = {dict: "a mapping", tuple: "a list", str: "text", bool: "true/false"}
        names |= {int: "a number", float: "a number", type(None): "nothing"}
        return names[type(self.data)]


@dataclass(frozen=True)
class Entry:
    """A value in a mapping, and where its key stands."""

    key: Position
    value: Value


def read_document(text: str, file: str) -> Value:
    """Parse one YAML document; an empty one is an empty mapping.

    Raises ConfigError, with the place, for text that is no YAML, duplicate keys, keys that aren't
    plain text, and structures that contain themselves. Never anything else.
    """
    if len(text) > MAX_BYTES:
        raise ConfigError(
            [Problem(Position(file, 1, 1), f"the file is longer than {MAX_BYTES} characters",
                     "user-data", "leave large files out of user-data")]
        )  # fmt: skip
    try:
        node = _compose(text)
        if node is None:
            return Value({}, Position(file, 1, 1))
        return _Reader(file).read(node)
    except RecursionError:
        problem = Problem(
            Position(file, 1, 1), "the YAML is nested too deeply", "user-data", "flatten it"
        )
    except yaml.MarkedYAMLError as error:
        problem = _syntax_problem(error, file)
    except yaml.reader.ReaderError as error:
        at = Position(file, *_line_column(text, error.position))
        problem = Problem(at, f"a character that YAML forbids ({error.reason})", "printable text",
                          "remove it")  # fmt: skip
    except (ValueError, OverflowError):  # "\UFFFFFFFF", a version with thousands of digits
        problem = Problem(Position(file, 1, 1), "this is not YAML: it has a character or a number "
                          "that can't be", "", "look for backslashes in quoted text")  # fmt: skip
    raise ConfigError([problem])


def _compose(text: str) -> yaml.Node | None:
    """Parse with libyaml where PyYAML has it: ten times as fast. What that refuses is parsed again
    in Python, whose words for errors are the ones known here."""
    if yaml.__with_libyaml__:
        try:
            return yaml.compose(text, Loader=yaml.CSafeLoader)
        except (yaml.YAMLError, ValueError):
            pass
    return yaml.compose(text, Loader=yaml.SafeLoader)


def _written(node: yaml.Node) -> tuple[str, bool]:
    if not isinstance(node, yaml.ScalarNode):
        return "", False
    return str(node.value), bool(node.style)  # libyaml: "" where Python has None


def is_yaml(text: str) -> bool:
    """Return whether `text` is YAML at all, whatever it says."""
    try:
        yaml.compose(text, Loader=yaml.SafeLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        return False
    return True


def shown_key(name: str) -> str:
    """Return a key as a message may show it: what looks like no key may be a secret."""
    return f"key `{name}`" if _LIKE_A_KEY.fullmatch(name) else "key (not shown: is it a secret?)"


def _line_column(text: str, offset: int) -> tuple[int, int]:
    before = text[:offset]
    return before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1


def _syntax_problem(error: yaml.MarkedYAMLError, file: str) -> Problem:
    mark = error.problem_mark or error.context_mark
    at = Position(file, mark.line + 1, mark.column + 1) if mark else Position(file, 1, 1)
    # Only PyYAML's own words: its snippet would copy the line, and a secret may stand there; so
    # would what it quotes: "found undefined alias 'Ab3…'" is said of `secret: *Ab3…`.
    said = str(error.problem or error.context or "it can't be parsed")
    what = _QUOTED.sub(lambda m: m[0] if _HARMLESS.fullmatch(m[0]) else "(not shown)", said)
    remedy = "correct the YAML at that place or just above it"
    if what != said or "cannot start any token" in what:
        remedy = "put values that start with one of * & ! % @ ` in quotes"
    if "'\\t'" in what:
        remedy = "indent with spaces: YAML forbids tabs"
    return Problem(at, f"this is not YAML: {what}", "", remedy)


class _Reader:
    """Turns nodes into values, each node once: an alias costs nothing however often it is used."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._done: dict[int, Value] = {}
        self._open: set[int] = set()
        # The constructor is asked for scalars only; it keeps no state between them.
        self._scalars = yaml.constructor.SafeConstructor()

    def read(self, node: yaml.Node) -> Value:
        if id(node) in self._done:
            return self._done[id(node)]
        if id(node) in self._open:
            raise self._error(node, "a structure that contains itself", "remove the alias")
        self._open.add(id(node))
        value = Value(self._data(node), self._place(node), *_written(node))
        self._open.discard(id(node))
        self._done[id(node)] = value
        return value

    def _data(self, node: yaml.Node) -> Scalar | tuple[Value, ...] | dict[str, Entry]:
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        if isinstance(node, yaml.SequenceNode):
            return tuple(self.read(item) for item in node.value)
        return self._scalar(node)

    def _scalar(self, node: yaml.Node) -> Scalar:
        try:
            data = self._scalars.construct_object(node)
        except RecursionError:
            raise
        except Exception:  # noqa: BLE001 # `!!int ''`, `!!bool foo`: PyYAML raises what comes
            data = None if node.value == "" else node.value
        if isinstance(data, str) and any("\ud800" <= c <= "\udfff" for c in data):
            raise self._error(node, "half a character (a surrogate)", "write the character itself")
        # Dates, bytes and unknown tags mean nothing here: their text is what was written.
        return data if isinstance(data, str | int | float | None) else str(node.value)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, Entry]:
        entries: dict[str, Entry] = {}
        merged: dict[str, Entry] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self._error(key_node, "a key that is not plain text", "use plain text")
            if key_node.tag == "tag:yaml.org,2002:merge":
                for key, entry in self._merge(value_node).items():
                    merged.setdefault(key, entry)
                continue
            name = str(key_node.value)
            if name in entries:
                first = entries[name].key.line
                raise self._error(
                    key_node,
                    f"the {shown_key(name)} stands twice, first in line {first}",
                    "remove one of them",
                )
            entries[name] = Entry(self._place(key_node), self.read(value_node))
        return {**merged, **entries}

    def _merge(self, node: yaml.Node) -> dict[str, Entry]:
        value = self.read(node).data
        parts = value if isinstance(value, tuple) else (self.read(node),)
        merged: dict[str, Entry] = {}
        for part in parts:
            if not isinstance(part.data, dict):
                raise self._error(node, "'<<' with something that is no mapping", "name a mapping")
            for key, entry in part.data.items():
                merged.setdefault(key, entry)
        return merged

    def _place(self, node: yaml.Node) -> Position:
        return Position(self._file, node.start_mark.line + 1, node.start_mark.column + 1)

    def _error(self, node: yaml.Node, found: str, remedy: str) -> ConfigError:
        return ConfigError([Problem(self._place(node), found, "", remedy)])
