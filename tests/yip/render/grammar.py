"""Random templates: calls of every function whose result is the same each time, in every syntax."""

from __future__ import annotations

import re
from random import Random
from typing import Any

from overlay_runtime.gotemplate import functions
from overlay_runtime.gotemplate.names import ALL, UNAVAILABLE

DATA: dict[str, Any] = {
    "Values": {
        "s": "hello world",
        "e": "",
        "u": "naïve Café ☃ 日本\n\tTwo",
        "n": 3.0,
        "f": 1.5,
        "tiny": 0.0000015,
        "yes": True,
        "no": False,
        "nil": None,
        "l": ["b", "a", 1.0, None, True, "a"],
        "el": [],
        "m": {"b": 1.0, "a": "x", "c": {"d": "deep"}, "l": [1.0, 2.0]},
        "em": {},
        "network": [{"name": "eth0", "speed": 1000.0}, {"name": "eth1"}],
    }
}
"""What the templates render: the types that .Values can have (it comes from JSON)."""

_CHANGING = frozenset(
    """ago getHostByName keys now randAlpha randAlphaNum randAscii randBytes randInt randNumeric
    shuffle uuidv4 values""".split()
)
"""Their results differ from call to call, or from machine to machine."""

_CALLED = tuple(sorted(ALL - UNAVAILABLE - _CHANGING - {"and", "or"}))

_SIZED = frozenset(("indent", "nindent", "repeat", "seq", "until", "untilStep"))
"""They get small numbers only: Go would make as much as it is told."""

_PIPED = tuple(
    name
    for name in _CALLED
    if name not in ("seq", "until", "untilStep", "date", "dateInZone", "date_in_zone", "htmlDate")
)

_STRINGS = (
    *r"""
    "" "a" "hello" "foo_bar-baz" "HTTPServer2x" "a,b,,c" "1" "-7" "0x1f" "017" "10.00" "1.5" "1e3"
    "x=1&y=<2>" "é" "日本語" "/usr/lib/a.tar.gz" "../x" "aGVsbG8=" "NBSWY3DP" "$TZ-${TZ}" `raw\n`
    "true" "\x00\x7f" "2h45m" "v1.2.3-rc.1" "{\"a\":[1,null]}" "\"q\"" "\xff" "µ\t"
    """.split(),
    '"Hello World"', '"  padded "', '"line1\\nline2"', '"a b c d e"', '"Mixed CASE text"',
)  # fmt: skip
_PATTERNS = r"""
    "[a-z]+" "(a)(b)?" "a|b" "^h" "o$" "." "x*" "(?i)HELLO" "[^a-z]" "\\d+" "\\w\\s*" "\\bw"
    "(?P<n>l+)" "l{2}" "l{1,}?" "(" "[z-a]" "a**" "\\pL" "[[:upper:]]" "" "(|a)*" "(?s:.)" "(?U)l+"
    "\\Q.\\E" "h.*?o" "(a*)+" "(?m)^l" "[]a]" "\\x6c" "\\8" "*" "a{1001}" "(?:ab)+" "[^\\W_]" ")"
    "(?i:h)E" "[a-\\d]" "\\PL+" "l{,2}" "(?" "(?z)" "[[:foo:]]" "a+?$" "\\p{Lu}\\w" "l{2,1}"
    """.split()
_REPLACEMENTS = '"$1" "${1}x" "$n" "$$" "" "<$0>" "${n}" "$1x" "$" "${" "-"'.split(" ")
_LAYOUTS = (
    '"2006-01-02"', '"Jan _2 15:04:05.000 2006"', '"Mon, 02 Jan 2006 15:04:05 MST"', '"3:04PM"',
    '"2006-01-02T15:04:05Z07:00"', '"06 002 .999"', '"x"', '"Monday January 2 03:04:05 pm -0700"',
)  # fmt: skip
_DATES = (
    '"2020-02-29"', '"2021-02-29"', '"Feb  3 04:05:06.789 2021"', '"3:04PM"', '"13:04PM"', '"x"',
    '"Tue, 03 Mar 2020 01:02:03 CET"', '"2020-06-01T10:00:00+05:30"', '"2020-06-01T10:00:00Z"',
    '"Mon, 02 Jan 2006 15:04:05 GMT+3"', '"2020-06-01T10:00:00.25Z"', '"20 060 .5"', '""',
)  # fmt: skip
_TIMES = (
    '(toDate "2006-01-02" "2021-03-28")', '(toDate "2006-01-02 15:04" "2021-10-31 02:30")',
    '(toDate "x" "y")', '(dateModify "36h" (toDate "2006-01-02" "1999-12-31"))',
)  # fmt: skip
_VERSIONS = '"1.2.3" "v1.2" "1.0.0-rc.1" "2.0.0+b" "x" "0.0.3" "1.2.3.4" "01.2.3" "0.3.1"'.split(
    " "
)
_CONSTRAINTS = (
    '"^1.2"', '"~1.2.3"', '">=1.0 <2.0 || >3"', '"1.x"', '"*"', '"1.2 - 2.0"', '"!=1.2.x"', '""',
    '">1.1"', '"<=1.2"', '"^0.0.3"', '"~>1, >1"', '"a"', '">=1.0.0-0"', '"=1.2.3, <2"', '"^0.3"',
)  # fmt: skip
_URLS = (
    '"http://u:p@h.com:80/a%20b?q=1#f"', '"mailto:a@b"', '"/a b"', '"//h/p"', '"http://[::1]:8/"',
    '":x"', '"http://h:p/"', '"%zz"', '"a:b/c"', '"HTTP://H/%41"', '"http://h/?"', '"*"',
    '"https://ex.org/é?x=é#é"', '"http://a b/"', '"x://[1.2.3.4]/"', '"http://h#%"',
)  # fmt: skip
_DURATIONS = '"2h45m" "-1.5h" "x" "1µs" "100" "0" "5s3" "1h1m1.5s" ".5s" "9999999h"'.split(" ")
_POOLS: dict[tuple[str, int], tuple[str, ...] | list[str]] = {
    ("semver", 0): _VERSIONS,
    ("semverCompare", 0): _CONSTRAINTS,
    ("semverCompare", 1): _VERSIONS,
    ("urlParse", 0): _URLS,
    ("toDate", 0): _LAYOUTS,
    ("toDate", 1): _DATES,
    ("mustToDate", 0): _LAYOUTS,
    ("mustToDate", 1): _DATES,
    ("date", 0): _LAYOUTS,
    ("dateInZone", 0): _LAYOUTS,
    ("date_in_zone", 0): _LAYOUTS,
    ("dateInZone", 2): ('"UTC"', '"America/New_York"', '"No/Where"', '"Local"', '""'),
    ("htmlDateInZone", 1): ('"UTC"', '"Asia/Tokyo"', '"No/Where"'),
    ("dateModify", 0): _DURATIONS,
    ("date_modify", 0): _DURATIONS,
    ("mustDateModify", 0): _DURATIONS,
    ("must_date_modify", 0): _DURATIONS,
    ("durationRound", 0): _DURATIONS,
    ("regexReplaceAll", 2): _REPLACEMENTS,
    ("mustRegexReplaceAll", 2): _REPLACEMENTS,
}
_INTS = ("0", "1", "2", "3", "-1", "7", "-2", "12", "'a'", "0x10", "5.0")
_ANY = (
    ".Values.s", ".Values.e", ".Values.u", ".Values.n", ".Values.f", ".Values.tiny", ".Values.yes",
    ".Values.no", ".Values.nil", ".Values.l", ".Values.el", ".Values.m", ".Values.em",
    ".Values.nokey", ".Values.m.c.d", "nil", "true", "false", "1", "-3", "0", "1.5", "1e3", '"x"',
    '"12"', '(list 1 "a" nil)', "(list)", '(dict "k" 1)', "(dict)", "(add 1 2)", "(until 3)",
    '(splitList "," "b,a")', '(split "," "a,b")', "(rest (list 1))", '(semver "1.2.3")',
    '(index "abc" 1)', "(divf 1 3)", '(toDate "2006" "2020").Month', "$", ".", '(list "b" "a")',
    "(list (list 1) (dict))", "(int64 95)",
)  # fmt: skip
_MAPS = (
    ".Values.m", ".Values.em", '(dict "a" 1 "b" (dict "c" 2))', '(dict "a" "x" "host" "h")',
    '(dict "scheme" "http" "host" "h:1" "path" "a b" "query" "q" "userinfo" "u:p")', "(dict)",
    '(dict "a" (list 1) "b" nil)', ".Values.nokey", '(dict "a" (dict "d" 1) "k" "")',
)  # fmt: skip
_FORMS = "vdsqxXtTbocUeEfFgG%z"
_FLAGS = ("", "", "", "+", "-", "#", "0", " ", "-0", "+#")
_SHAPES = (
    "{{ if VALUE }}INNER{{ else }}ELSE{{ end }}",
    "{{- if VALUE -}} INNER {{- else if OTHER }}y{{ end }}",
    "{{ with VALUE }}{{ . }}INNER{{ else }}ELSE{{ end }}",
    "{{ with VALUE }}{{ . }}{{ else with OTHER }}{{ . }}{{ else }}ELSE{{ end }}",
    "{{ range VALUE }}{{ . }},{{ else }}ELSE{{ end }}",
    "{{ range $i, $e := VALUE }}{{ $i }}={{ $e }}INNER{{ end }}",
    "{{ $x := VALUE }}{{ $x }}{{ if $x }}{{ $x = 1 }}{{ end }}{{ $x }}",
    "{{ define NAME }}INNER{{ . }}{{ end }}{{ template NAME VALUE }}",
    "{{ range VALUE }}{{ if . }}{{ break }}{{ end }}INNER{{ end }}",
    "{{ range VALUE }}{{ if . }}{{ continue }}{{ end }}n{{ end }}",
    "{{ block NAME VALUE }}<{{ . }}>{{ end }}",
    "{{ range $k, $v := .Values.m }}{{ $k }}:{{ $v }} {{ end }}",
    "{{ range .Values.network }}{{ .name }}-{{ .speed }};{{ end }}INNER",
    "text {{/* a comment */}} INNER",
)


class Grammar:
    """Templates of one seed."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._names = 0

    def template(self) -> str:
        """Return one more template."""
        return "".join(self._piece(2) for _ in range(self._random.choice((1, 1, 2, 3))))

    def _pick(self, values: Any) -> str:
        return str(self._random.choice(values))

    def _piece(self, depth: int) -> str:
        kind = self._random.random()
        if kind < 0.6 or not depth:
            return f"{{{{ {self._pipeline(2)} }}}}|"
        shape = self._pick(_SHAPES)
        self._names += 1  # a template that calls itself would end the Go program
        marks = {
            "VALUE": self._expression(1),
            "OTHER": self._expression(1),
            "INNER": self._piece(depth - 1),
            "ELSE": self._piece(depth - 1),
            "NAME": f'"t{self._names}"',
        }
        return re.sub("|".join(marks), lambda found: marks[found[0]], shape)

    def _pipeline(self, depth: int) -> str:
        first = self._expression(depth)
        while self._random.random() < 0.3:
            name = self._pick(_PIPED)
            count = len(functions.find(name).parameters)
            arguments = [self._argument(name, at, depth) for at in range(max(0, count - 1))]
            first = " | ".join((first, " ".join((name, *arguments))))
        return first

    def _expression(self, depth: int) -> str:
        if self._random.random() < 0.15:
            return self._pick(_ANY)
        if self._random.random() < 0.12:
            return self._printf()
        if self._random.random() < 0.08:
            values = " ".join(self._pick(_ANY) for _ in range(self._random.randint(1, 3)))
            return f"{self._pick(('and', 'or'))} {values}"
        return self._call(depth)

    def _call(self, depth: int) -> str:
        name = self._pick(_CALLED)
        callee = functions.find(name)
        count = len(callee.parameters)
        if callee.variadic:
            count += self._random.randint(-1, 2)
        if self._random.random() < 0.03:
            count += self._random.choice((-1, 1))
        arguments = [self._argument(name, at, depth) for at in range(max(0, count))]
        return " ".join((name, *arguments))

    def _argument(self, name: str, at: int, depth: int) -> str:
        parameters = functions.find(name).parameters
        kind = parameters[min(at, len(parameters) - 1)] if parameters else "any"
        chance = self._random.random()
        if name in ("set", "dict", "push", "append", "prepend", "list") and chance < 0.9:
            return self._pick(_MAPS if kind == "map" else _STRINGS)
        if name == "set":
            return '"k"'  # a map within itself would end the Go program when it is printed
        if name in _SIZED and kind == "int":
            return self._pick(_INTS)
        if kind == "any" and "ate" in name and name not in ("repeat", "regexReplaceAll"):
            return self._pick((*_TIMES, "1700000000", "0", "(int64 5)"))  # else it is now
        if chance < 0.06:
            return self._pick(_ANY)
        if depth and chance < 0.2:
            return f"({self._pipeline(depth - 1)})"
        if (name, at) in _POOLS:
            return self._pick(_POOLS[name, at])
        if at == 0 and "egex" in name and name != "regexQuoteMeta":
            return self._pick(_PATTERNS)
        pools = {
            "string": _STRINGS, "int": _INTS, "map": _MAPS, "bool": ("true", "false"),
            "float64": ("0.5", "1", "0.3"), "time": _TIMES,
        }  # fmt: skip
        return self._pick(pools.get(kind, _ANY))

    def _printf(self) -> str:
        forms, values = [], []
        for _ in range(self._random.randint(1, 3)):
            width = self._pick(("", "", "5", "12", "*", ".2", "8.3", ".0", "."))
            verb = self._pick(_FORMS)
            flags = self._pick(_FLAGS).replace("#", "" if verb in "xX" else "#")
            forms.append("%" + flags + width + verb)
            if "*" in width:
                values.append(self._pick(("3", "-6", '"x"')))
            if self._random.random() < 0.95:
                values.append(self._pick([one for one in _ANY if "semver" not in one]))
        return f'printf "{" ".join(forms)}" {" ".join(values)}'
