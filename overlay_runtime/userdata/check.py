"""All that can be said about one user-data file: `findings(text, name)`."""

from __future__ import annotations

from collections.abc import Iterator

from overlay_runtime.config.document import Value, read_document
from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.config.schema import BLOCK, header_problem, kubernetes_problems, user_data
from overlay_runtime.errors import ConfigError, Position, Problem
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding, Rule
from overlay_runtime.userdata.logins import check_logins
from overlay_runtime.userdata.lookup import child, entries, items
from overlay_runtime.userdata.network import check_network
from overlay_runtime.userdata.schema import TOP
from overlay_runtime.userdata.steps import check_stages
from overlay_runtime.userdata.walk import check

EXAMPLE_SECRET = "change-me: openssl rand -hex 32"
"""The secret of `examples/user-data.yaml`: works, and everybody knows it."""


def findings(text: str, file: str) -> list[Finding]:
    """Return everything that can be said about a file, in its order. Never raises."""
    header = header_problem(text, file)
    found = [_finding(rules.HEADER, header)] if header else []
    try:
        found += _about(read_document(text, file), file)
    except ConfigError as error:
        found += [_finding(rules.SYNTAX, problem) for problem in error.problems]
    return sorted(dict.fromkeys(found), key=lambda one: one.order)


def _about(top: Value, file: str) -> Iterator[Finding]:
    overlay, problems = _overlay(top, file)
    for problem in problems:
        yield _finding(rules.OVERLAY, problem)
    if not isinstance(top.data, dict):
        return
    named = {problem.position for problem in problems}
    others = {name: entry for name, entry in top.data.items() if name != BLOCK}
    for finding in check(Value(others, top.position), TOP):
        if finding.position not in named:  # a misspelt `overlay` is one problem, not two
            yield finding
    yield from check_stages(top)
    yield from check_network(top, overlay)
    yield from _warnings(top, file)


def _overlay(top: Value, file: str) -> tuple[OverlayConfig | None, list[Problem]]:
    """Return the overlay block as the agent would read it, and what it would say against it."""
    try:
        data = user_data(top, file)
    except ConfigError as error:
        return None, list(error.problems)
    return data.overlay, kubernetes_problems(data)


def _warnings(top: Value, file: str) -> Iterator[Finding]:
    block = child(top, BLOCK)
    if BLOCK not in entries(top):
        yield Finding(rules.NO_OVERLAY, Position(file, 1, 1), "no `overlay:` block: hosts bring "
                      "up no overlay", "one", "add it, or give a `cidata` volume")  # fmt: skip
    secret, insecure = child(block, "secret"), child(block, "insecure")
    if secret is not None and secret.data == EXAMPLE_SECRET:
        yield Finding(rules.EXAMPLE_SECRET, secret.position, "this is the example's secret, which "
                      "everybody knows", "one of your own", "openssl rand -hex 32")  # fmt: skip
    if insecure is not None and insecure.data is True:
        yield Finding(rules.INSECURE, insecure.position, "insecure: whoever is on the network can "
                      "join the overlay", "a `secret`")  # fmt: skip
    for command in items(child(top, "runcmd")):
        if isinstance(command.data, tuple):
            yield Finding(rules.RUNCMD_LIST, command.position, "a command as a list: Kairos "
                          "drops the whole file without a word", "text",
                          "write it as one line")  # fmt: skip
    yield from check_logins(top)


def _finding(rule: Rule, problem: Problem) -> Finding:
    return Finding(rule, problem.position, problem.found, problem.expected, problem.remedy)
