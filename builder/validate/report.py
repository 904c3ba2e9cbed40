"""Findings for people and for programs: text, JSON, SARIF 2.1.0, GitHub's annotations."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from builder import __version__
from overlay_runtime.userdata.finding import Finding, Severity
from overlay_runtime.userdata.rules import ALL

FORMATS = ("text", "json", "sarif", "github")

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}
_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}


def render(found: Sequence[Finding], form: str) -> str:
    """Return findings in one of FORMATS; as text nothing if there are none."""
    if form == "json":
        return json.dumps([_as_dict(one) for one in found], indent=1)
    if form == "sarif":
        return json.dumps(_sarif(found), indent=1)
    line = _github if form == "github" else _text
    return "\n".join(line(one) for one in found)


def summary(found: Sequence[Finding], files: int) -> str:
    """Return how many there are, in words."""
    counts = [sum(one.severity is severity for one in found) for severity in Severity]
    words = [
        f"{count} {severity.value}{'s' if count != 1 else ''}"
        for count, severity in zip(counts, Severity, strict=True)
        if count
    ]
    where = "1 file" if files == 1 else f"{files} files"
    return f"{where}: {', '.join(words) if words else 'nothing to say against'}"


def _text(one: Finding) -> str:
    return f"{one.position}: {one.severity.value}: {_message(one)} [{one.rule.name}]"


def _message(one: Finding) -> str:
    text = one.found
    if one.expected:
        text += f"; expected {one.expected}"
    if one.remedy:
        text += f"; {one.remedy}"
    return text


def _as_dict(one: Finding) -> dict[str, Any]:
    return {
        "file": one.position.file,
        "line": one.position.line,
        "column": one.position.column,
        "severity": one.severity.value,
        "rule": one.rule.name,
        "found": one.found,
        "expected": one.expected,
        "remedy": one.remedy,
    }


def _github(one: Finding) -> str:
    """A workflow command: GitHub shows it in the changed file (docs.github.com, workflow commands
    for GitHub Actions)."""
    place = one.position
    about = f"file={_property(place.file)},line={place.line},col={place.column}"
    title = _property(f"edge-build: {one.rule.name}")
    return f"::{_COMMANDS[one.severity]} {about},title={title}::{_data(_message(one))}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def _sarif(found: Sequence[Finding]) -> dict[str, Any]:
    numbers = {rule.name: number for number, rule in enumerate(ALL)}
    driver = {
        "name": "edge-build",
        "version": __version__,
        "rules": [
            {
                "id": rule.name,
                "shortDescription": {"text": rule.summary},
                "defaultConfiguration": {"level": _LEVELS[rule.severity]},
            }
            for rule in ALL
        ],
    }
    results = [
        {
            "ruleId": one.rule.name,
            "ruleIndex": numbers[one.rule.name],
            "level": _LEVELS[one.severity],
            "message": {"text": _message(one)},
            "locations": [{"physicalLocation": {
                "artifactLocation": {"uri": _uri(one.position.file)},
                "region": {"startLine": one.position.line, "startColumn": one.position.column},
            }}],
        }
        for one in found
    ]  # fmt: skip
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {"$schema": _SARIF_SCHEMA, "version": "2.1.0", "runs": [run]}


def _uri(file: str) -> str:
    path = Path(file)
    if path.is_absolute():
        return path.as_uri()
    from urllib.parse import quote

    return quote(file)
