"""All that can be said about one user-data file: `findings(text, name)`."""

from __future__ import annotations

from collections.abc import Iterator

from overlay_runtime.config.document import Value, read_document
from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.config.schema import HEADER, parse_user_data
from overlay_runtime.config.schema import problems as overlay_problems
from overlay_runtime.errors import ConfigError, Position, Problem
from overlay_runtime.userdata import rules
from overlay_runtime.userdata.finding import Finding, Rule
from overlay_runtime.userdata.lookup import child, entries, items, text
from overlay_runtime.userdata.model import Block
from overlay_runtime.userdata.network import check_network
from overlay_runtime.userdata.schema import TOP
from overlay_runtime.userdata.steps import check_stages
from overlay_runtime.userdata.walk import check

EXAMPLE_SECRET = "change-me: openssl rand -hex 32"
"""The secret of `examples/user-data.yaml`: works, and everybody knows it."""

_OTHER_KEYS = Block(tuple(key for key in TOP.keys if key.name != "overlay"), TOP.what)


def findings(text: str, file: str) -> list[Finding]:
    """Return everything that can be said about a file, in its order. Never raises."""
    try:
        top = read_document(text, file)
    except ConfigError as error:
        syntax = [_finding(rules.SYNTAX, problem) for problem in error.problems]
        return _ordered([*_header(text, file), *syntax])
    return _ordered([*_header(text, file), *_overlay(text, file), *_about(top, text, file)])


def _ordered(found: list[Finding]) -> list[Finding]:
    return sorted(dict.fromkeys(found), key=lambda one: one.order)


def _header(text: str, file: str) -> Iterator[Finding]:
    if text.split("\n", 1)[0].rstrip() != HEADER:
        try:
            parse_user_data(text, file)
        except ConfigError as error:
            for problem in error.problems:
                yield _finding(rules.HEADER, problem)


def _overlay(text: str, file: str) -> Iterator[Finding]:
    """What the agent itself would say of the overlay block; without a header it reads nothing."""
    with_header = text.split("\n", 1)[0].rstrip() == HEADER
    # One line more, and all lines one further down: without a header they are put right again.
    whole = text if with_header else f"{HEADER}\n{text}"
    for problem in overlay_problems(whole, file):
        at = problem.position
        place = at if with_header else Position(at.file, max(1, at.line - 1), at.column)
        moved = Problem(place, problem.found, problem.expected, problem.remedy)
        yield _finding(rules.OVERLAY, moved)


def _about(top: Value, text: str, file: str) -> Iterator[Finding]:
    if not isinstance(top.data, dict):
        return
    overlay = _config(text, file)
    misspelt = {p.position for p in overlay_problems(text, file)}
    for finding in check(top, _OTHER_KEYS):
        if finding.position not in misspelt and "`overlay`" not in finding.found:
            yield finding
    yield from check_stages(top)
    yield from check_network(top, overlay)
    yield from _warnings(top, file)


def _config(text: str, file: str) -> OverlayConfig | None:
    try:
        return parse_user_data(text, file).overlay
    except ConfigError:
        return None


def _warnings(top: Value, file: str) -> Iterator[Finding]:
    block = child(top, "overlay")
    if "overlay" not in entries(top):
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
    yield from _login(top)


def _login(top: Value) -> Iterator[Finding]:
    """Users are named, and none of them could log in."""
    users = child(top, "users")
    named = [user for user in items(users) if isinstance(user.data, dict)]
    if users is None or not named or len(named) < len(items(users)):
        return
    general = any(child(top, key) for key in ("password", "chpasswd", "ssh_authorized_keys"))
    steps = any(child(step, "users") or child(step, "authorized_keys")
                for stage in entries(child(top, "stages")).values()
                for step in items(stage.value))  # fmt: skip
    if not general and not steps and not any(map(_may_log_in, named)):
        yield Finding(rules.NO_LOGIN, users.position, "no user has an SSH key or a password: "
                      "nobody could log in", "`ssh_authorized_keys` or a password")  # fmt: skip


def _may_log_in(user: Value) -> bool:
    password = any(text(child(user, key)) for key in ("passwd", "hashed_passwd",
                                                      "plain_text_passwd"))  # fmt: skip
    locked = child(user, "lock_passwd")
    keys = items(child(user, "ssh_authorized_keys")) or text(child(user, "ssh_authorized_keys"))
    return bool(keys or child(user, "ssh_import_id") or (
        password and (locked is None or locked.data is not True)))  # fmt: skip


def _finding(rule: Rule, problem: Problem) -> Finding:
    return Finding(rule, problem.position, problem.found, problem.expected, problem.remedy)
