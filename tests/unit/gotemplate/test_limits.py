"""No template runs for ever, eats the memory, or raises anything but TemplateError."""

from __future__ import annotations

import subprocess
import sys
import time
from random import Random

import pytest

from overlay_runtime.gotemplate import evaluate
from overlay_runtime.gotemplate.names import UNAVAILABLE
from overlay_runtime.gotemplate.render import TemplateError, render
from tests.yip.render.grammar import DATA, Grammar

HOSTILE = [
    '{{ define "a" }}{{ template "a" . }}{{ end }}{{ template "a" . }}',
    '{{ define "a" }}{{ template "a" . }}{{ template "a" . }}{{ end }}{{ template "a" . }}',
    "{{ range until 100000 }}{{ range until 100000 }}x{{ end }}{{ end }}",
    "{{ range 1000000000 }}{{ end }}",
    "{{ until 1000000000 }}",
    "{{ untilStep 0 9000000000000000000 1 }}",
    "{{ seq 1 1000000000 }}",
    '{{ repeat 1000000000 "x" }}',
    '{{ $x := "x" }}{{ range until 60 }}{{ $x = print $x $x }}{{ end }}',
    '{{ $x := "x" }}{{ range until 60 }}{{ $x = cat $x $x }}{{ end }}',
    '{{ $x := "x" }}{{ range until 60 }}{{ $x = list $x $x }}{{ end }}{{ $x }}',
    '{{ $x := "xxxx" }}{{ range until 60 }}{{ $x = replace "x" $x $x }}{{ end }}',
    '{{ $x := "xxxx" }}{{ range until 60 }}{{ $x = regexReplaceAll "x" $x $x }}{{ end }}',
    '{{ $x := "x" }}{{ range until 60 }}{{ $x = join $x (list $x $x $x) }}{{ end }}',
    '{{ $x := "x" }}{{ range until 60 }}{{ $x = indent 1000000 $x }}{{ end }}',
    '{{ $x := "x" }}{{ range until 60 }}{{ $x = b64enc $x }}{{ $x = html $x $x }}{{ end }}',
    '{{ $x := list 1 }}{{ range until 60 }}{{ $x = concat $x $x }}{{ end }}',
    '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ $d }}',
    '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ toJson $d }}',
    '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ deepCopy $d }}',
    '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ deepEqual $d (deepCopy $d) }}',
    '{{ $d := dict }}{{ $_ := set $d "d" $d }}{{ merge $d $d }}',
    '{{ printf "%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d%1000000d" '
    "1 1 1 1 1 1 1 1 1 }}",
    '{{ randAlphaNum 1000000000 }}',
    '{{ randBytes 1000000000 }}',
    '{{ mustRegexMatch "((a{0,100}){0,100}){0,100}" "a" }}',
    '{{ fromJson (repeat 100000 "[") | mustToJson }}{{ mustFromJson (repeat 100000 "[") }}',
    '{{ wrapWith 1 (repeat 100000 "ab") (repeat 100000 "cd") }}',
    "{{ if true }}" * 5000,
    "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    '{{ semverCompare (repeat 5000 "1.") "1.0" }}',
    "{{ " + "9" * 5000 + " }}",
    '{{ atoi (repeat 5000 "9") }}{{ int (repeat 5000 "9") }}{{ duration (repeat 5000 "9") }}'
    '{{ fail "end" }}',
    '{{ float64 (repeat 5000 "9") }}{{ durationRound (repeat 5000 "9") }}{{ fail "end" }}',
    '{{ mulf 1e300 1e300 1e300 }}{{ fail "end" }}',
]  # fmt: skip


@pytest.mark.parametrize("template", HOSTILE, ids=lambda template: template[:50])
def test_a_hostile_template_is_an_error_in_seconds(template: str) -> None:
    started = time.monotonic()
    with pytest.raises(TemplateError):
        render(template, {})
    assert time.monotonic() - started < 8


def test_a_pattern_that_takes_others_exponential_time() -> None:
    started = time.monotonic()
    assert render('{{ regexMatch "^(a+)+$" (print (repeat 2000 "a") "!") }}', {}) == "false"
    assert time.monotonic() - started < 3


def test_many_slow_calls_end_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "_SECONDS", 1.0)
    slow = 'regexReplaceAll "(a|b)*c" (repeat 2000 "a") ""'
    started = time.monotonic()
    with pytest.raises(TemplateError, match="more than 1 seconds"):
        render(f"{{{{ range until 10000 }}}}{{{{ $x := {slow} }}}}{{{{ end }}}}", {})
    assert time.monotonic() - started < 8


def test_broken_templates_are_template_errors() -> None:
    random, grammar = Random(4), Grammar(4)
    for _ in range(6000):
        template = grammar.template()
        at = random.randrange(len(template))
        cut = random.choice(("", "{{", "}}", "(", '"', ".", "$x", "|", "end", "\\", "\x00", "%"))
        broken = template[:at] + cut + template[at + random.randrange(4) :]
        try:
            render(broken, DATA)
        except TemplateError as error:
            assert error.message
            assert 1 <= error.line <= broken.count("\n") + 1


def test_the_line_of_an_error() -> None:
    for template, line in (("a\nb\n{{ .x.y | fail }}", 3), ("{{ if true }}\n\n{{ nope }}", 3)):
        with pytest.raises(TemplateError) as raised:
            render(template, {"x": {"y": "z"}})
        assert raised.value.line == line


@pytest.mark.parametrize("name", sorted(UNAVAILABLE))
def test_what_needs_cryptography_is_an_error_by_name(name: str) -> None:
    with pytest.raises(TemplateError, match=f"`{name}` is not there on Debian hosts"):
        render(f'{{{{ {name} "a" "b" }}}}', {})


def test_the_data_is_not_changed() -> None:
    data = {"Values": {"m": {"a": 1.0}, "l": ["b", "a"]}}
    assert render('{{ set .Values.m "b" 2 }}{{ sortAlpha .Values.l }}', data)
    assert data == {"Values": {"m": {"a": 1.0}, "l": ["b", "a"]}}


def test_bytes_that_are_no_text() -> None:
    made = render('{{ trunc 1 "é" }}', {})
    assert made.encode("utf-8", "surrogateescape") == "é".encode()[:1]
    assert render('{{ trunc 1 "é" }}{{ substr 1 2 "é" }}', {}) == "é"


def test_rendering_loads_fast() -> None:
    """Most hosts have no templates: importing render alone loads none of the functions."""
    script = (
        "import sys; from overlay_runtime.gotemplate.render import render; render('x', {});"
        "before = set(sys.modules); print(any('gotemplate.evaluate' in m for m in before));"
        "render('{{ .a }}', {}); print(any('gotemplate.functions.' in m and 'model' not in m "
        "for m in sys.modules))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.stdout.split() == ["False", "False"]
