"""What can be said of stages and their steps beyond their types."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from overlay_runtime.config.document import Entry, Value
from overlay_runtime.errors import Position
from overlay_runtime.gotemplate.lexer import TemplateError
from overlay_runtime.gotemplate.names import ALL, UNAVAILABLE
from overlay_runtime.gotemplate.parser import parse
from overlay_runtime.gotemplate.regexp import compiled
from overlay_runtime.gotemplate.tree import (
    Branch,
    Call,
    Chain,
    Dot,
    Function,
    Node,
    Operand,
    Output,
    Pipeline,
    Variable,
)
from overlay_runtime.gotemplate.values import GoError
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding
from overlay_runtime.userdata.lookup import child, entries, items, text, texts
from overlay_runtime.userdata.model import By
from overlay_runtime.userdata.order import check_order
from overlay_runtime.userdata.stages import BEFORE_NETWORK, CONDITIONS, STAGES, STEP
from overlay_runtime.userdata.walk import suggestion

_REGEXES = ("node", "only_os", "only_os_version", "only_arch")
_FETCHING = ("downloads", "git", "unpack_images", "datasource")
_FETCHES = re.compile(
    r"(?:^|[;&|(]|\b(?:sudo|exec|then|do)\b)\s*(curl|wget|apt-get|apt|zypper|dnf|yum|apk|"
    r"docker pull|ctr images? pull|git clone|pip3? install|helm|snap install)\s"
)
_PLACEHOLDER = re.compile(r"<(?:interface|nic|device|your|my|insert|replace)[a-z_ -]*>", re.I)
_CONDITIONS = frozenset(key.name for key in CONDITIONS.keys)
_VALUES = frozenset(
    "sysinfo node os kernel product board chassis bios cpu memory storage network Random "
    "ProtectedID".split()
)
_HOSTNAME_KEYS = frozenset(("UUID", "Random", "MachineID", "ProtectedID"))


def check_stages(top: Value) -> Iterator[Finding]:
    """Yield what is wrong about `stages`, beyond types."""
    stages = child(top, "stages")
    name = text(child(top, "name"))
    for stage, entry in entries(stages).items():
        yield from _stage_name(stage, entry)
        for step in items(entry.value):
            yield from _step(stage, step)
        yield from check_order(stage, items(entry.value), name)


def _stage_name(stage: str, entry: Entry) -> Iterator[Finding]:
    if stage in STAGES:
        return
    close = suggestion(stage, STAGES)
    remedy = f"did you mean `{close}`?" if close else "by hand: `kairos-agent run-stage NAME`"
    shown = stage if re.fullmatch(r"[\w.-]{1,40}", stage) else "…"
    yield Finding(rules.NEVER_RUN if close else rules.CUSTOM_STAGE, entry.key,
                  f"no program runs a stage `{shown}`", "a stage of Kairos", remedy)  # fmt: skip


def _step(stage: str, step: Value) -> Iterator[Finding]:
    keys = entries(step)
    if not isinstance(step.data, dict):
        return
    if not any(text(e.value) or entries(e.value) or items(e.value)
               for name, e in keys.items() if name not in _CONDITIONS):  # fmt: skip
        yield Finding(rules.NOTHING_TO_DO, step.position, "a step that does nothing")
    by = STEP.named()
    for name, entry in keys.items():
        if name in by and by[name].by is By.KAIROS:
            yield Finding(rules.KAIROS_ONLY_STEP, entry.key, f"`{name}`: of use to Kairos images "
                          "alone")  # fmt: skip
    yield from _conditions(keys)
    yield from _modes(step)
    yield from _templates(step)
    yield from _commands(step)
    if stage in BEFORE_NETWORK:
        yield from _too_early(stage, step)


def _conditions(keys: Mapping[str, Entry]) -> Iterator[Finding]:
    for name in _REGEXES:
        if name in keys and text(keys[name].value):
            try:
                compiled(text(keys[name].value))
            except GoError as error:
                said = str(error).removeprefix("error parsing regexp: ")
                why = f"`{name}` is no regular expression ({said[:60]})"
                at = keys[name].value.position
                yield Finding(rules.REGEX, at, why, "", "the step would never run")


def _modes(step: Value) -> Iterator[Finding]:
    for key in ("files", "directories", "downloads"):
        for item in items(child(step, key)):
            if isinstance(item.data, dict) and child(item, "permissions") is None:
                what = {"files": "file", "directories": "directory"}.get(key, "download")
                usual = "0755" if key == "directories" else "0644"
                yield Finding(rules.NO_MODE, item.position, f"a {what} without `permissions`: "
                              "Kairos makes it with mode 0000", f"such as {usual}",
                              f"write `permissions: {usual}`")  # fmt: skip


def _templates(step: Value) -> Iterator[Finding]:
    places = [child(step, "if"), *items(child(step, "commands"))]
    places += [child(item, "content") for item in items(child(step, "files"))
               if not text(child(item, "encoding"))]  # fmt: skip
    places += [entry.value for entry in entries(child(step, "environment")).values()]
    for key in ("ensure_entities", "delete_entities"):
        places += [child(item, "entity") for item in items(child(step, key))]
    for value in places:
        if value is not None:
            yield from check_template(value, frozenset(("Values",)))
    name = child(step, "hostname")
    if name is not None:
        yield from check_template(name, _HOSTNAME_KEYS)


def check_template(value: Value, known: frozenset[str]) -> Iterator[Finding]:
    """Yield what is wrong about a Go template; `known`: the keys of its data."""
    written = value.data if isinstance(value.data, str) else ""
    if "{{" not in written:
        return
    try:
        parsed = parse(written, ALL)
    except TemplateError as error:
        yield Finding(rules.TEMPLATE, _line(value, error.line), f"the template can't be parsed: "
                      f"{error.message[:80]}", "a Go template, such as {{ .Values.node.hostname }}",
                      "write {{ \"{{\" }} where two braces are meant")  # fmt: skip
        return
    nodes = [*parsed.nodes, *(n for defined in parsed.defined.values() for n in defined)]
    for line, name in _functions(nodes):
        if name in UNAVAILABLE:
            yield Finding(rules.NOT_ON_DEBIAN, _line(value, line), f"the template function "
                          f"`{name}` is not there on Debian hosts", "", "the template would be "
                          "left as it is: make the value before, and write it here")  # fmt: skip
    for line, path in _fields(nodes):
        if path[0] not in known:
            yield Finding(rules.NO_VALUE, _line(value, line), f"the template's `.{path[0][:40]}` "
                          "is not there", " or ".join(f".{name}" for name in sorted(known)),
                          "it renders `<no value>`, or fails")  # fmt: skip
        elif path[0] == "Values" and len(path) > 1 and path[1] not in _VALUES:
            yield Finding(rules.NO_VALUE, _line(value, line), f"the template's "
                          f"`.Values.{path[1][:40]}` is not there", "one of "
                          + ", ".join(sorted(_VALUES)), "it renders `<no value>`")  # fmt: skip


def _line(value: Value, line: int) -> Position:
    """Where a line of a scalar stands: a block of text begins in the line after its key's."""
    at = value.position
    if line == 1 and "\n" not in value.written:
        return at
    return Position(at.file, at.line + line, 1) if value.quoted and "\n" in value.written else at


def _fields(nodes: Iterable[Node]) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield the line and the path of every field of the data itself: not below `with` and `range`,
    where the dot is something else."""
    for node in nodes:
        if isinstance(node, Branch):
            yield from _of_pipeline(node.pipeline)
            if node.kind == "if":
                yield from _fields(node.then)
            yield from _fields(node.otherwise)
        elif isinstance(node, Output | Call) and node.pipeline:
            yield from _of_pipeline(node.pipeline)


def _of_pipeline(pipeline: Pipeline) -> Iterator[tuple[int, tuple[str, ...]]]:
    for operand, line in _operands(pipeline):
        if isinstance(operand, Chain) and (
            isinstance(operand.start, Dot) or operand.start == Variable("$")
        ):
            yield line, operand.fields


def _functions(nodes: Iterable[Node]) -> Iterator[tuple[int, str]]:
    """Yield the line and the name of every function, wherever it is called."""
    for node in nodes:
        if isinstance(node, Branch):
            yield from _functions((*node.then, *node.otherwise))
        if isinstance(node, Output | Branch | Call) and node.pipeline:
            for operand, line in _operands(node.pipeline):
                if isinstance(operand, Function):
                    yield line, operand.name


def _operands(pipeline: Pipeline) -> Iterator[tuple[Operand, int]]:
    """Yield every operand and its line: those in parentheses, and what fields are taken of, too."""
    for command in pipeline.commands:
        for operand in command:
            yield operand, pipeline.line
            inner = operand.start if isinstance(operand, Chain) else operand
            if isinstance(inner, Pipeline):
                yield from _operands(inner)
            elif inner is not operand:
                yield inner, pipeline.line


def _commands(step: Value) -> Iterator[Finding]:
    for value, command in texts(child(step, "commands")):
        found = _PLACEHOLDER.search(command)
        if found:
            remedy = "fill it in"
            if "udp_tnl" in command:
                remedy = "remove the command: images of edge-build do this for every VMXNET3 NIC"
            yield Finding(rules.PLACEHOLDER, value.position, f"the placeholder {found[0]} in a "
                          "command: the shell takes it for files", "a name", remedy)  # fmt: skip


def _too_early(stage: str, step: Value) -> Iterator[Finding]:
    late = "a later stage", "move it to `network`"
    for key in _FETCHING:
        value = child(step, key)
        if value is not None and (items(value) or entries(value)):
            yield Finding(rules.TOO_EARLY, value.position, f"`{key}` in the stage `{stage}`, "
                          "before there is a network", *late)  # fmt: skip
    packages = child(step, "packages")
    if packages is not None and entries(packages):
        yield Finding(rules.TOO_EARLY, packages.position, f"`packages` in the stage `{stage}`, "
                      "before there is a network", *late)  # fmt: skip
    users = [e.value for e in entries(child(step, "users")).values()]
    keys = [e.value for e in entries(child(step, "authorized_keys")).values()]
    keys += [value for user in users if (value := child(user, "ssh_authorized_keys")) is not None]
    for value, key in (pair for one in keys for pair in texts(one)):
        if re.match(r"(github|gitlab|https?):", key):
            yield Finding(rules.TOO_EARLY, value.position, f"an SSH key that is fetched, in the "
                          f"stage `{stage}`, before there is a network", *late)  # fmt: skip
    for value, command in texts(child(step, "commands")):
        found = _FETCHES.search(command)
        if found and "localhost" not in command and "127.0.0.1" not in command:
            yield Finding(rules.TOO_EARLY, value.position, f"`{found[1]}` in the stage `{stage}`, "
                          "before there is a network", *late)  # fmt: skip
