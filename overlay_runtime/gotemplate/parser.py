"""Tokens → tree, with the errors that Go's own parser has."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Container

from overlay_runtime.gotemplate.lexer import Piece, TemplateError, Token, pieces
from overlay_runtime.gotemplate.text import quoted
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
from overlay_runtime.gotemplate.values import cooked, raw

_DEPTH = 200
"""Of nesting: more than anybody writes, less than Python's stack."""

_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_ESCAPED = {
    '"': '"',
    "'": "'",
    "\\": "\\",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
}


def parse(template: str, functions: Container[str]) -> Template:
    """Parse a template. Raises TemplateError with the line in it.

    `functions`: the names that are known; as in Go, another one is an error of the parser.
    """
    try:
        return _Parser(template, functions).template()
    except RecursionError:
        raise TemplateError("nested too deeply", 1) from None


class _Parser:
    def __init__(self, template: str, functions: Container[str]) -> None:
        self._pieces = list(pieces(template))
        self._at = 0
        self._functions = functions
        self._variables = ["$"]
        self._defined: dict[str, tuple[Node, ...]] = {}
        self._loops = 0
        self._depth = 0

    def template(self) -> Template:
        nodes, end = self._list(top=True)
        if end is not None:
            raise TemplateError(f"unexpected {{{{{end.text}}}}}", end.line)
        return Template(nodes, self._defined)

    def _list(self, *, top: bool = False) -> tuple[tuple[Node, ...], Token | None]:
        """Read until `end` or `else`; return that token too."""
        self._depth += 1
        if self._depth > _DEPTH:
            raise TemplateError("nested too deeply", self._pieces[self._at - 1].line)
        nodes: list[Node] = []
        while self._at < len(self._pieces):
            piece = self._pieces[self._at]
            self._at += 1
            if piece.tokens is None:
                nodes.append(TextNode(piece.text))
                continue
            if not piece.tokens:
                raise TemplateError("missing value for command", piece.line)
            head = piece.tokens[0]
            if head.kind == "word" and head.text in ("end", "else"):
                if head.text == "end" and len(piece.tokens) > 1:
                    raise TemplateError(
                        f"unexpected {quoted(piece.tokens[1].text)} in end", head.line
                    )
                self._depth -= 1
                return tuple(nodes), head
            node = self._action(piece, head, top=top)
            if node is not None:
                nodes.append(node)
        self._depth -= 1
        if not top:
            raise TemplateError("unexpected EOF", self._pieces[-1].line)
        return tuple(nodes), None

    def _action(self, piece: Piece, head: Token, *, top: bool) -> Node | None:
        tokens = piece.tokens or ()
        if head.kind == "word" and head.text in ("if", "with", "range"):
            return self._branch(head.text, tokens[1:], piece.line)
        if head.kind == "word" and head.text in ("break", "continue"):
            if len(tokens) > 1 or not self._loops:
                raise TemplateError(f"{{{{{head.text}}}}} outside {{{{range}}}}", head.line)
            return Jump(head.text, head.line)
        if head.kind == "word" and head.text in ("define", "block"):
            return self._define(head.text, tokens[1:], piece.line, top=top)
        if head.kind == "word" and head.text == "template":
            name = self._name(tokens[1:], piece.line)
            rest = tokens[2:]
            what = "template clause"
            pipeline = self._pipeline(rest, piece.line, what) if rest else None
            return Call(name, pipeline, piece.line)
        return Output(self._pipeline(tokens, piece.line, "command"))

    def _branch(self, kind: str, tokens: tuple[Token, ...], line: int) -> Branch:
        before = len(self._variables)
        pipeline = self._pipeline(tokens, line, kind, loop=kind == "range")
        self._loops += kind == "range"
        then, end = self._list()
        self._loops -= kind == "range"
        otherwise: tuple[Node, ...] = ()
        if end is not None and end.text == "else":
            rest = (self._pieces[self._at - 1].tokens or ())[1:]
            if rest and rest[0].kind == "word" and rest[0].text in ("if", "with"):
                if kind == "range" or rest[0].text != kind:
                    raise TemplateError(
                        f"unexpected {quoted(rest[0].text)} after else", rest[0].line
                    )
                otherwise = (self._branch(kind, rest[1:], rest[0].line),)
            elif rest:
                raise TemplateError(f"unexpected {quoted(rest[0].text)} after else", rest[0].line)
            else:
                otherwise, last = self._list()
                if last is None or last.text != "end":
                    raise TemplateError("expected end; found {{else}}", line)
        del self._variables[before:]
        return Branch(kind, pipeline, then, otherwise)

    def _define(self, kind: str, tokens: tuple[Token, ...], line: int, *, top: bool) -> Call | None:
        name = self._name(tokens, line)
        if kind == "define" and (not top or len(tokens) > 1):
            raise TemplateError("unexpected {{define}}", line)
        pipeline = self._pipeline(tokens[1:], line, "block clause") if kind == "block" else None
        outer, self._variables = self._variables, ["$"]
        loops, self._loops = self._loops, 0
        nodes, end = self._list()
        self._variables, self._loops = outer, loops
        if end is None or end.text != "end":
            raise TemplateError(f"unexpected {{{{else}}}} in {kind} clause", line)
        if not _blank(nodes) or name not in self._defined:
            if not _blank(self._defined.get(name, ())):
                raise TemplateError(f"multiple definition of template {quoted(name)}", line)
            self._defined[name] = nodes
        return Call(name, pipeline, line) if kind == "block" else None

    def _name(self, tokens: tuple[Token, ...], line: int) -> str:
        if not tokens or tokens[0].kind not in ("string", "raw"):
            raise TemplateError("the name of a template is missing", line)
        return _text(tokens[0])

    def _pipeline(
        self, tokens: tuple[Token, ...], line: int, what: str, *, loop: bool = False
    ) -> Pipeline:
        names, declares, rest = self._assigned(tokens, loop=loop)
        commands: list[tuple[Operand, ...]] = []
        reader = _Tokens(rest, line)
        while True:
            command = self._command(reader)
            if not command:
                raise TemplateError(f"missing value for {what}", line)
            commands.append(command)
            if not reader.take("|"):
                break
        if reader.left:
            raise TemplateError(f"unexpected {quoted(reader.left[0].text)}", reader.left[0].line)
        for number, command in enumerate(commands[1:], 2):
            if isinstance(command[0], Literal | Dot):
                raise TemplateError(f"non executable command in pipeline stage {number}", line)
        if declares:
            self._variables += names
        return Pipeline(tuple(commands), line, names, declares)

    def _assigned(
        self, tokens: tuple[Token, ...], *, loop: bool
    ) -> tuple[tuple[str, ...], bool, tuple[Token, ...]]:
        """Split `$x := …`, and in a range `$i, $x := …`, from what is assigned."""
        for count in (1, 2) if loop else (1,):
            head = tokens[: 2 * count]
            if len(head) < 2 * count or head[-1].text not in (":=", "="):
                continue
            names, commas = head[0::2], head[1:-1:2]
            if all(t.kind == "variable" for t in names) and all(t.text == "," for t in commas):
                if head[-1].text == "=":
                    for token in names:
                        self._known(token)
                return tuple(t.text for t in names), head[-1].text == ":=", tokens[2 * count :]
        return (), False, tokens

    def _command(self, reader: _Tokens) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while reader.left and reader.left[0].text not in ("|", ")"):
            token = reader.left[0]
            if operands and not token.spaced and token.kind != "sign":
                raise TemplateError(f"unexpected {quoted(token.text)} in operand", token.line)
            operands.append(self._operand(reader))
        return tuple(operands)

    def _operand(self, reader: _Tokens) -> Operand:
        token = reader.next()
        found: Operand
        if token.kind in ("string", "raw"):
            found = Literal(_text(token))
        elif token.kind == "char":
            found = Literal(_rune(token))
        elif token.kind == "number":
            found = Literal(_number(token))
        elif token.kind == "variable":
            self._known(token)
            found = Variable(token.text)
        elif token.kind == "field":
            found = Chain(Dot(), (token.text[1:],))
        elif token.kind == "dot":
            found = Dot()
        elif token.text in ("true", "false", "nil"):
            found = Literal({"true": True, "false": False, "nil": None}[token.text])
        elif token.kind == "word":
            if token.text not in self._functions:
                raise TemplateError(f"function {quoted(token.text)} not defined", token.line)
            found = Function(token.text)
        elif token.text == "(":
            found = self._group(reader, token)
        else:
            raise TemplateError(f"unexpected {quoted(token.text)}", token.line)
        fields = []
        while reader.left and reader.left[0].kind == "field" and not reader.left[0].spaced:
            fields.append(reader.next().text[1:])
        if not fields:
            return found
        if isinstance(found, Chain):
            return Chain(found.start, found.fields + tuple(fields))
        if isinstance(found, Literal):
            raise TemplateError("unexpected . after a constant", token.line)
        return Chain(found, tuple(fields))

    def _group(self, reader: _Tokens, token: Token) -> Pipeline:
        self._depth += 1
        if self._depth > _DEPTH:
            raise TemplateError("nested too deeply", token.line)
        inner: list[Token] = []
        depth = 1
        while reader.left:
            one = reader.next()
            depth += {"(": 1, ")": -1}.get(one.text if one.kind == "sign" else "", 0)
            if not depth:
                self._depth -= 1
                return self._pipeline(tuple(inner), token.line, "parenthesized pipeline")
            inner.append(one)
        raise TemplateError("unclosed left paren", token.line)

    def _known(self, token: Token) -> None:
        if token.text not in self._variables:
            raise TemplateError(f"undefined variable {quoted(token.text)}", token.line)


class _Tokens:
    """Tokens, read one after the other."""

    def __init__(self, tokens: tuple[Token, ...], line: int) -> None:
        self.left = deque(tokens)
        self._line = line

    def next(self) -> Token:
        if not self.left:
            raise TemplateError("a value is missing", self._line)
        return self.left.popleft()

    def take(self, sign: str) -> bool:
        if self.left and self.left[0].kind == "sign" and self.left[0].text == sign:
            self.left.popleft()
            return True
        return False


def _blank(nodes: tuple[Node, ...]) -> bool:
    """Whether a template has nothing but space: another definition may take its place."""
    return all(isinstance(node, TextNode) and not node.text.strip() for node in nodes)


def _rune(token: Token) -> int:
    text = _unescape(token.text[1:-1], token.line)
    if len(text) != 1:
        raise TemplateError(f"malformed character constant: {token.text}", token.line)
    code = ord(text)
    return code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else code


def _text(token: Token) -> str:
    if token.kind == "raw":
        return token.text[1:-1]
    return _unescape(token.text[1:-1], token.line)


def _unescape(text: str, line: int) -> str:
    """strconv.Unquote: \\x and octal escapes are bytes."""

    def one(found: re.Match[str]) -> str:
        code = found[1]
        if code in _ESCAPED:
            return _ESCAPED[code]
        number = -1
        if code[0] in "xuU" and len(code) > 1:
            number = int(code[1:], 16)
        elif len(code) == 3:
            number = int(code, 8)
        if number < 0 or number > 0x10FFFF or 0xD800 <= number < 0xE000:
            raise TemplateError(f"invalid escape \\{code} in a string", line)
        if code[0] in "uU" or number < 0x80:
            return chr(number)
        if number > 0xFF:
            raise TemplateError(f"invalid escape \\{code} in a string", line)
        return chr(0xDC00 + number)

    made = _ESCAPE.sub(one, text)
    return made if made.isascii() else cooked(raw(made))


def _number(token: Token) -> int | float:
    text = token.text.replace("_", "").lower()
    sign = -1 if text.startswith("-") else 1
    plain = text.lstrip("+-")
    try:
        if plain[:2] in ("0x", "0o", "0b"):
            return _bounded(sign * int(plain, 0), token)
        if plain.isdigit():
            octal = plain.startswith("0") and plain != "0"
            return _bounded(sign * int(plain, 8 if octal else 10), token)
        return sign * float(plain)
    except ValueError:
        raise TemplateError(f"bad number {token.text!r}", token.line) from None


def _bounded(value: int, token: Token) -> int:
    if not -(1 << 63) <= value < 1 << 64:
        raise TemplateError(f"integer overflow: {quoted(token.text)}", token.line)
    return value
