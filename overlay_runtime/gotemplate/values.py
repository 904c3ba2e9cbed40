"""Go's values in Python: what a template's data, constants and results are made of.

None is a nil interface and NOTHING Go's zero reflect.Value (a missing key); bool, int (Go's int),
float (float64), str, list (`[]interface {}`) and dict (`map[string]interface {}`) are themselves;
the classes below are the rest. Text is what Go has in bytes: those that are no UTF-8 are lone
surrogates, as Python's `surrogateescape` has them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any


class GoError(Exception):
    """What a function's error or panic says. The evaluator makes a TemplateError of it."""


class Nothing:
    """The type of NOTHING."""

    def __bool__(self) -> bool:
        return False


NOTHING = Nothing()


class Int64(int):
    """An int64: sprig's arithmetic. It prints as an int, but is not accepted in its place."""


class Uint64(int):
    """A uint64: the parts of a version."""


class Uint8(int):
    """A byte of a string."""


class Enum(int):
    """A number with a type of its own whose String() is a name: a month, a weekday."""

    go_type = ""

    def text(self) -> str:
        """Return the name."""
        raise NotImplementedError


class Slice(list[Any]):
    """A list with elements of one type, or a nil one."""

    def __init__(self, items: Iterable[Any] = (), of: str = "interface {}", nil: bool = False):
        super().__init__(items)
        self.of = of
        self.nil = nil


class StringMap(dict[str, Any]):
    """A `map[string]string`: what `split` gives."""


class NilMap(dict[str, Any]):
    """A nil `map[string]interface {}`."""


class Struct(dict[str, Any]):
    """A struct of text fields: the data of `hostname`. A field that is not there is an error."""


class Object:
    """A struct with methods: a time, a version, a URL. `go_type` is its type, `kind` its kind."""

    go_type = ""
    kind = "struct"

    def methods(self) -> Mapping[str, Any]:
        """Return its methods as `functions.Function`s."""
        return {}

    def text(self) -> str:
        """Return what String() gives."""
        raise NotImplementedError

    def json_text(self) -> str:
        """Return the text that is its JSON."""
        return self.text()


def raw(text: str) -> bytes:
    """The bytes of a text."""
    return text.encode("utf-8", "surrogateescape")


def cooked(data: bytes) -> str:
    """The text of bytes."""
    return data.decode("utf-8", "surrogateescape")


def type_of(value: Any) -> str:
    """Go's name for the type of a value (fmt's %T)."""
    if isinstance(value, Object | Enum):
        return value.go_type
    if isinstance(value, Slice):
        return f"[]{value.of}"
    return _TYPES.get(type(value), "<nil>")


_TYPES: dict[type, str] = {
    bool: "bool",
    int: "int",
    Int64: "int64",
    Uint64: "uint64",
    Uint8: "uint8",
    float: "float64",
    str: "string",
    list: "[]interface {}",
    dict: "map[string]interface {}",
    NilMap: "map[string]interface {}",
    StringMap: "map[string]string",
    Struct: "struct",
}


def kind_of(value: Any) -> str:
    """Go's name for the kind of a value."""
    if isinstance(value, Object):
        return value.kind
    if isinstance(value, Enum):
        return "int"
    if isinstance(value, list):
        return "slice"
    if isinstance(value, dict):
        return "struct" if isinstance(value, Struct) else "map"
    return _TYPES.get(type(value), "invalid")


def is_nil(value: Any) -> bool:
    """Whether Go has the value for nil."""
    return (
        value is None
        or value is NOTHING
        or (isinstance(value, Slice) and value.nil)
        or isinstance(value, NilMap)
    )


def truth(value: Any) -> bool:
    """Go's text/template truth: not the zero of its type."""
    return isinstance(value, Object | Struct) or bool(value)


def own(value: Any, depth: int = 100) -> Any:
    """Return a copy of the data whose maps a template may change, with Go's types alone.

    Raises GoError if it is nested more than 100 deep.
    """
    if not depth:
        raise GoError("the data is nested too deeply")
    if isinstance(value, Mapping):
        copy: dict[str, Any] = type(value)() if isinstance(value, StringMap | Struct) else {}
        copy.update((str(key), own(item, depth - 1)) for key, item in value.items())
        return copy
    if isinstance(value, Slice | Object):
        return value
    if isinstance(value, list | tuple):
        return [own(item, depth - 1) for item in value]
    if value is None or type(value) in _TYPES:
        return value
    return str(value)


def equal(one: Any, other: Any) -> bool:
    """reflect.DeepEqual."""
    if type_of(one) != type_of(other) or kind_of(one) != kind_of(other):
        return False
    if isinstance(one, list):
        if is_nil(one) != is_nil(other) or len(one) != len(other):
            return False
        return all(equal(a, b) for a, b in zip(one, other, strict=True))
    if isinstance(one, dict):
        if is_nil(one) != is_nil(other) or one.keys() != other.keys():
            return False
        return all(equal(item, other[key]) for key, item in one.items())
    if one is NOTHING or other is NOTHING:
        return is_nil(one) and is_nil(other)
    return bool(one == other)
