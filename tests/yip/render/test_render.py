"""Templates, rendered by the real yip and by us."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from overlay_runtime.gotemplate.gotime import zone
from overlay_runtime.gotemplate.render import TemplateError, render
from overlay_runtime.gotemplate.values import Struct
from tests.unit.gotemplate.table import DATA, ZONE, cases
from tests.yip.render import grammar
from tests.yip.render.program import ask

SEEDS = (1, 2, 3)
EACH = 4000

ATOMS = r"""a b . x [ab] [^a] \d \w \b \B ^ $ (a) (?:ab) (b|a) () (?i) (?P<n>b) é \pL (?s)
    [[:alpha:]] (?m) (?i:A) \s | ( )
    - \Qa.b\E \. \x61 [a-c-] []] [^]a] [a ] { \z \A (?U) (?-i) \1 \07
    \x{62} [\d-z] (?<m>a) {2} (?#x) (?=a) (?m-s:^.$) [[:^digit:]] \pN""".split()
REPEATS = ("", "", "", "*", "+", "?", "*?", "{2}", "{1,2}", "{0,}", "{,2}", "{1,2}?", "{0}", "**")
TEXTS = ("", "ab", "aab b", "abab", "a\nb", "éa1_", "a.b-]{", "AaBb", "a1b22")


@pytest.fixture(autouse=True)
def local_zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", ZONE)
    zone.local.cache_clear()
    yield
    zone.local.cache_clear()


def ours(template: str, data: object) -> str | None:
    """What we make of a template; None: an error."""
    assert isinstance(data, dict)
    try:
        return render(template, data)
    except TemplateError:
        return None


def differences(yip: Path, templates: list[str], data: object) -> list[tuple[str, str, str]]:
    """Compare outputs, and errors with errors: return what differs."""
    requests = [{"template": template, "data": data} for template in templates]
    found = []
    errors = 0
    for template, (output, error) in zip(templates, ask(yip, requests, ZONE), strict=True):
        errors += bool(error)
        made = ours(template, data)
        if made != (None if error else output):
            found.append((template, error or output, "an error" if made is None else made))
    assert errors < len(templates) * 0.9, "nearly all of them are errors: that compares little"
    return found


def test_the_table_says_what_yip_does(yip: Path) -> None:
    requests = [{"template": case.template, "data": DATA} for case in cases()]
    for case, (output, error) in zip(cases(), ask(yip, requests, ZONE), strict=True):
        if case.error:
            assert case.error in error, case.template
        else:
            assert (output, error) == (case.output, ""), case.template


@pytest.mark.parametrize("seed", SEEDS)
def test_random_templates(yip: Path, seed: int) -> None:
    random = grammar.Grammar(seed)
    templates = [random.template() for _ in range(EACH)]
    assert differences(yip, templates, grammar.DATA) == []


def test_random_regular_expressions(yip: Path) -> None:
    random = Random(5)
    calls = (
        "regexFind {} {}",
        "regexFindAll {} {} -1 | toJson",
        'regexReplaceAll {} {} "<$0|$1|${{n}}>"',
        "regexSplit {} {} -1 | toJson",
        "mustRegexMatch {} {}",
    )
    templates = []
    for _ in range(EACH):
        parts = (random.choice(ATOMS) + random.choice(REPEATS) for _ in range(random.randint(1, 5)))
        words = [
            json.dumps(one, ensure_ascii=False) for one in ("".join(parts), random.choice(TEXTS))
        ]
        templates.append("{{ " + random.choice(calls).format(*words) + " }}")
    assert differences(yip, templates, {}) == []


def test_the_data_of_a_hostname_is_a_struct(yip: Path) -> None:
    data = Struct(UUID="u", Random="r", MachineID="m", ProtectedID="p")
    templates = [
        "node-{{ .UUID }}", "{{ .MachineID | trunc 4 }}", "{{ .Values.node }}", "{{ .nope }}",
        "{{ trunc 5 .Random }}-{{ .ProtectedID }}", "{{ . }}", "{{ len . }}", "{{ kindOf . }}",
        "{{ if . }}yes{{ end }}", "{{ range . }}x{{ end }}", '{{ printf "%+v" . }}',
        '{{ get . "UUID" }}', '{{ index . "UUID" }}', "{{ default 1 . }}", "{{ toJson . }}",
    ]  # fmt: skip
    requests = [{"template": template, "hostname": True} for template in templates]
    for template, (output, error) in zip(templates, ask(yip, requests, ZONE), strict=True):
        assert ours(template, data) == (None if error else output), template
