"""A parsed template over data: what text/template's exec.go does."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from time import monotonic
from typing import Any

from overlay_runtime.gotemplate import functions
from overlay_runtime.gotemplate.formatting import show
from overlay_runtime.gotemplate.functions.model import Function as Callee
from overlay_runtime.gotemplate.lexer import TemplateError
from overlay_runtime.gotemplate.tree import (
    Branch,
    Call,
    Chain,
    Dot,
    Function,
    Jump,
    Literal,
    Node,
    Operand,
    Output,
    Pipeline,
    Template,
    TextNode,
    Variable,
)
from overlay_runtime.gotemplate.types import accepted, constant
from overlay_runtime.gotemplate.values import (
    NOTHING,
    GoError,
    Object,
    Struct,
    raw,
    truth,
    type_of,
)

_STEPS = 200_000
"""Nodes and commands that one rendering may evaluate: some seconds."""
_OUTPUT = 4 << 20
"""Characters of one rendering."""
_SECONDS = 10.0
"""What one rendering may take. Each call of a function is bounded by what it makes."""
_VALUE = 1 << 20
"""Characters or elements of one value."""
_MADE = 16 << 20
"""Characters and elements of all values that one rendering makes."""
_CALLS = 60
"""Templates within templates: each takes a dozen of Python's frames."""

_ABSENT = object()
"""No value comes through the pipe."""


class _Break(Exception):
    pass


class _Continue(Exception):
    pass


class Evaluator:
    """One rendering."""

    def __init__(self, template: Template) -> None:
        self._template = template
        self._out: list[str] = []
        self._size = 0
        self._steps = 0
        self._calls = 0
        self._made = 0
        self._ends = monotonic() + _SECONDS
        self._line = 1
        self._variables: list[tuple[str, Any]] = []

    def run(self, data: Mapping[str, Any]) -> str:
        """Render. Raises TemplateError."""
        self._variables = [("$", data)]
        self._walk(data, self._template.nodes)
        return "".join(self._out)

    def _fail(self, message: str) -> TemplateError:
        return TemplateError(message, self._line)

    def _step(self) -> None:
        self._steps += 1
        if self._steps > _STEPS:
            raise self._fail(f"the template takes more than {_STEPS} steps")

    def _write(self, text: str) -> None:
        self._size += len(text)
        if self._size > _OUTPUT:
            raise self._fail(f"the template makes more than {_OUTPUT} characters")
        self._out.append(text)

    # Nodes

    def _walk(self, dot: Any, nodes: tuple[Node, ...]) -> None:
        for node in nodes:
            self._step()
            if isinstance(node, TextNode):
                self._write(node.text)
            elif isinstance(node, Output):
                value = self._pipeline(dot, node.pipeline)
                if not node.pipeline.variables:
                    self._print(value)
            elif isinstance(node, Branch):
                if node.kind == "range":
                    self._range(dot, node)
                else:
                    self._if_or_with(dot, node)
            elif isinstance(node, Jump):
                raise _Break if node.kind == "break" else _Continue
            else:
                self._call_template(dot, node)

    def _print(self, value: Any) -> None:
        if value is NOTHING or value is None:
            self._write("<no value>")
            return
        try:
            self._write(show(value))
        except GoError as error:
            raise self._fail(str(error)) from None

    def _if_or_with(self, dot: Any, node: Branch) -> None:
        mark = len(self._variables)
        value = self._pipeline(dot, node.pipeline)
        if truth(value):
            self._walk(value if node.kind == "with" else dot, node.then)
        else:
            self._walk(dot, node.otherwise)
        del self._variables[mark:]

    def _range(self, dot: Any, node: Branch) -> None:
        before = len(self._variables)
        value = self._pipeline(dot, node.pipeline)
        mark = len(self._variables)
        names = node.pipeline.variables
        ran = False
        try:
            for index, item in self._items(value, len(names)):
                ran = True
                self._step()
                self._loop_variables(node.pipeline, index, item, mark)
                with suppress(_Continue):
                    self._walk(item, node.then)
                del self._variables[mark:]
        except _Break:
            del self._variables[before:]
            return
        del self._variables[mark:]
        if not ran:
            self._walk(dot, node.otherwise)
        del self._variables[before:]

    def _loop_variables(self, pipeline: Pipeline, index: Any, item: Any, mark: int) -> None:
        names = pipeline.variables
        values = (index, item) if len(names) > 1 else (item,)
        for number, (name, value) in enumerate(zip(names, values, strict=False)):
            if pipeline.declares:
                self._variables[mark - len(names) + number] = (name, value)
            else:
                self._assign(name, value)

    def _items(self, value: Any, names: int) -> Any:
        if value is None or value is NOTHING:
            return ()
        if isinstance(value, list):
            return enumerate(list(value))
        if isinstance(value, dict) and not isinstance(value, Struct):
            return [(key, value[key]) for key in sorted(value, key=raw)]
        if isinstance(value, int) and not isinstance(value, bool):
            if names > 1:
                raise self._fail(f"can't use {value} to iterate over more than one variable")
            kind = type(value)
            return ((NOTHING, kind(number)) for number in range(value))
        raise self._fail(f"range can't iterate over {show(value)[:80]}")

    def _call_template(self, dot: Any, node: Call) -> None:
        self._line = node.line
        nodes = self._template.defined.get(node.name)
        if nodes is None:
            if node.name != "template":
                raise self._fail(f'template "{node.name}" not defined')
            nodes = self._template.nodes
        if self._calls >= _CALLS:
            raise self._fail(f"exceeded maximum template depth ({_CALLS})")
        value = self._pipeline(dot, node.pipeline) if node.pipeline else NOTHING
        outer, self._variables = self._variables, [("$", value)]
        self._calls += 1
        self._walk(value, nodes)
        self._calls -= 1
        self._variables = outer

    # Values

    def _assign(self, name: str, value: Any) -> None:
        for number in range(len(self._variables) - 1, -1, -1):
            if self._variables[number][0] == name:
                self._variables[number] = (name, value)
                return
        raise self._fail(f"undefined variable: {name}")

    def _variable(self, name: str) -> Any:
        for known, value in reversed(self._variables):
            if known == name:
                return value
        raise self._fail(f"undefined variable: {name}")

    def _pipeline(self, dot: Any, pipeline: Pipeline) -> Any:
        self._line = pipeline.line
        value: Any = _ABSENT
        for command in pipeline.commands:
            self._step()
            value = self._command(dot, command, value)
            if value is None:
                value = NOTHING
        for name in pipeline.variables:
            if pipeline.declares:
                self._variables.append((name, value))
            else:
                self._assign(name, value)
        return value

    def _command(self, dot: Any, command: tuple[Operand, ...], final: Any) -> Any:
        head, arguments = command[0], command[1:]
        if isinstance(head, Function):
            return self._function(dot, head.name, arguments, final)
        if isinstance(head, Chain):
            return self._chain(dot, head, arguments, final)
        if arguments or final is not _ABSENT:
            raise self._fail(f"can't give argument to non-function {_shown(head)}")
        if isinstance(head, Pipeline):
            return self._pipeline(dot, head)
        if isinstance(head, Variable):
            return self._variable(head.name)
        if isinstance(head, Dot):
            return dot
        if head.value is None:
            raise self._fail("nil is not a command")
        return self._constant(head, "any")

    def _constant(self, literal: Literal, kind: str) -> Any:
        try:
            return constant(literal.value, kind)
        except GoError as error:
            raise self._fail(str(error)) from None

    def _chain(
        self, dot: Any, chain: Chain, arguments: tuple[Operand, ...] = (), final: Any = _ABSENT
    ) -> Any:
        if isinstance(chain.start, Dot):
            value = dot
        elif isinstance(chain.start, Variable):
            value = self._variable(chain.start.name)
        elif isinstance(chain.start, Function):
            value = self._function(dot, chain.start.name, (), _ABSENT)
        else:
            value = self._operand(dot, chain.start, "value")
        boxed = False
        for name in chain.fields[:-1]:
            holder, value = value, self._field(dot, value, name, boxed=boxed)
            boxed = isinstance(holder, dict)
        return self._field(dot, value, chain.fields[-1], arguments, final, boxed=boxed)

    def _field(
        self,
        dot: Any,
        value: Any,
        name: str,
        arguments: tuple[Operand, ...] = (),
        final: Any = _ABSENT,
        *,
        boxed: bool = False,
    ) -> Any:
        """`boxed`: the value is a map's element, whose type Go calls interface {}."""
        if value is NOTHING:
            return NOTHING
        if value is None:
            raise self._fail(f"nil pointer evaluating interface {{}}.{name}")
        if isinstance(value, Object):
            method = value.methods().get(name)
            if method is not None:
                return self._invoke(dot, name, method, arguments, final)
        if isinstance(value, dict):
            if isinstance(value, Struct) and name not in value:
                raise self._fail(f"can't evaluate field {name} in type {type_of(value)}")
            if arguments or final is not _ABSENT:
                raise self._fail(f"{name} is not a method but has arguments")
            return value.get(name, NOTHING)
        kind = "interface {}" if boxed else type_of(value)
        raise self._fail(f"can't evaluate field {name} in type {kind}")

    # Functions

    def _function(self, dot: Any, name: str, arguments: tuple[Operand, ...], final: Any) -> Any:
        try:
            callee = functions.find(name)
        except GoError as error:
            raise self._fail(str(error)) from None
        if name in ("and", "or"):
            return self._and_or(dot, name, arguments, final)
        return self._invoke(dot, name, callee, arguments, final)

    def _and_or(self, dot: Any, name: str, arguments: tuple[Operand, ...], final: Any) -> Any:
        if not arguments and final is _ABSENT:
            raise self._fail(f"wrong number of args for {name}: want at least 1 got 0")
        value: Any = NOTHING
        for argument in arguments:
            value = self._operand(dot, argument, "value")
            if truth(value) == (name == "or"):
                return value
        return value if final is _ABSENT else final

    def _invoke(
        self, dot: Any, name: str, callee: Callee, arguments: tuple[Operand, ...], final: Any
    ) -> Any:
        count = len(arguments) + (final is not _ABSENT)
        wanted = len(callee.parameters)
        if callee.variadic and count < wanted - 1:
            raise self._fail(
                f"wrong number of args for {name}: want at least {wanted - 1} got {len(arguments)}"
            )
        if not callee.variadic and count != wanted:
            raise self._fail(f"wrong number of args for {name}: want {wanted} got {count}")
        values = []
        for number, argument in enumerate(arguments):
            kind = callee.parameters[min(number, wanted - 1)]
            values.append(self._operand(dot, argument, kind))
        if final is not _ABSENT:
            kind = callee.parameters[min(count, wanted) - 1]
            values.append(self._accepted(final, kind))
        if monotonic() > self._ends:
            raise self._fail(f"the template takes more than {_SECONDS:.0f} seconds")
        try:
            made = callee.call(*values)
        except GoError as error:
            raise self._fail(f"error calling {name}: {error}") from None
        if isinstance(made, str | list):
            size = len(made)
            self._made += size
            if size > _VALUE or self._made > _MADE:
                raise self._fail(f"error calling {name}: the template's values get too large")
        return made

    def _operand(self, dot: Any, operand: Operand, kind: str) -> Any:
        if isinstance(operand, Literal):
            return self._constant(operand, kind)
        if isinstance(operand, Dot):
            value = dot
        elif isinstance(operand, Variable):
            value = self._variable(operand.name)
        elif isinstance(operand, Chain):
            value = self._chain(dot, operand)
        elif isinstance(operand, Pipeline):
            value = self._pipeline(dot, operand)
        else:
            value = self._function(dot, operand.name, (), _ABSENT)
        return self._accepted(value, kind)

    def _accepted(self, value: Any, kind: str) -> Any:
        try:
            return accepted(value, kind)
        except GoError as error:
            raise self._fail(str(error)) from None


def _shown(operand: Operand) -> str:
    """An operand as it was written, more or less."""
    if isinstance(operand, Literal):
        return "nil" if operand.value is None else show(operand.value)[:40]
    if isinstance(operand, Variable):
        return operand.name
    return "." if isinstance(operand, Dot) else "(…)"
