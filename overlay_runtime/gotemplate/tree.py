"""What a template is made of, once it is parsed."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Literal:
    """A constant: text, a number, true, false or nil."""

    value: str | int | float | bool | None


@dataclass(frozen=True)
class Dot:
    """The present value."""


@dataclass(frozen=True)
class Variable:
    """`$name`; `$` is the whole data."""

    name: str


@dataclass(frozen=True)
class Function:
    """A function's name."""

    name: str


@dataclass(frozen=True)
class Chain:
    """Fields below something: `.Values.node.hostname`."""

    start: Operand
    fields: tuple[str, ...]


@dataclass(frozen=True)
class Pipeline:
    """Commands, each with the result of the one before as its last argument; perhaps assigned."""

    commands: tuple[tuple[Operand, ...], ...]
    line: int
    variables: tuple[str, ...] = ()
    declares: bool = False


Operand = Literal | Dot | Variable | Function | Chain | Pipeline


@dataclass(frozen=True)
class TextNode:
    """Text that stays as it is."""

    text: str


@dataclass(frozen=True)
class Output:
    """A pipeline whose value is printed, unless it is assigned."""

    pipeline: Pipeline


@dataclass(frozen=True)
class Branch:
    """if, with or range, and what else."""

    kind: str
    pipeline: Pipeline
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...] = ()


@dataclass(frozen=True)
class Jump:
    """break or continue."""

    kind: str
    line: int


@dataclass(frozen=True)
class Call:
    """Another template by its name."""

    name: str
    pipeline: Pipeline | None
    line: int


Node = TextNode | Output | Branch | Jump | Call


@dataclass
class Template:
    """A parsed template and those that are defined in it."""

    nodes: tuple[Node, ...]
    defined: dict[str, tuple[Node, ...]] = field(default_factory=dict)
