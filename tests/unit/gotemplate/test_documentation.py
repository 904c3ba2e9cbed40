"""What the documentation of sprig and text/template promises, as it stands there.

https://masterminds.github.io/sprig/ and https://pkg.go.dev/text/template
"""

from __future__ import annotations

import pytest

from overlay_runtime.gotemplate.render import render

TEMPLATE = [
    ('{{"\\"output\\""}}', '"output"'),
    ('{{`"output"`}}', '"output"'),
    ('{{printf "%q" "output"}}', '"output"'),
    ('{{"output" | printf "%q"}}', '"output"'),
    ('{{printf "%q" (print "out" "put")}}', '"output"'),
    ('{{"put" | printf "%s%s" "out" | printf "%q"}}', '"output"'),
    ('{{"output" | printf "%s" | printf "%q"}}', '"output"'),
    ('{{with "output"}}{{printf "%q" .}}{{end}}', '"output"'),
    ('{{with $x := "output" | printf "%q"}}{{$x}}{{end}}', '"output"'),
    ('{{with $x := "output"}}{{printf "%q" $x}}{{end}}', '"output"'),
    ('{{with $x := "output"}}{{$x | printf "%q"}}{{end}}', '"output"'),
    ("{{23 -}} < {{- 45}}", "23<45"),
    ('{{define "T1"}}ONE{{end}}{{define "T2"}}TWO{{end}}{{define "T3"}}{{template "T1"}} '
     '{{template "T2"}}{{end}}{{template "T3"}}', "ONE TWO"),
]  # fmt: skip

STRINGS = [
    ('{{ trim "   hello    " }}', "hello"),
    ('{{ trimAll "$" "$5.00" }}', "5.00"),
    ('{{ trimSuffix "-" "hello-" }}', "hello"),
    ('{{ trimPrefix "-" "-hello" }}', "hello"),
    ('{{ upper "hello" }}', "HELLO"),
    ('{{ lower "HELLO" }}', "hello"),
    ('{{ title "hello world" }}', "Hello World"),
    ('{{ untitle "Hello World" }}', "hello world"),
    ('{{ repeat 3 "hello" }}', "hellohellohello"),
    ('{{ substr 0 5 "hello world" }}', "hello"),
    ('{{ nospace "hello w o r l d" }}', "helloworld"),
    ('{{ trunc 5 "hello world" }}', "hello"),
    ('{{ trunc -5 "hello world" }}', "world"),
    ('{{ abbrev 5 "hello world" }}', "he..."),
    ('{{ abbrevboth 5 10 "1234 5678 9123" }}', "...5678..."),
    ('{{ initials "First Try" }}', "FT"),
    ('{{ contains "cat" "catch" }}', "true"),
    ('{{ hasPrefix "cat" "catch" }}', "true"),
    ('{{ cat "hello" "beautiful" "world" }}', "hello beautiful world"),
    ('{{ indent 4 "a" }}', "    a"),
    ('{{ "I Am Henry VIII" | replace " " "-" }}', "I-Am-Henry-VIII"),
    ('{{ len "abc" | plural "one anchovy" "many anchovies" }}', "many anchovies"),
    ('{{ snakecase "FirstName" }}', "first_name"),
    ('{{ camelcase "http_server" }}', "HttpServer"),
    ('{{ kebabcase "FirstName" }}', "first-name"),
    ('{{ swapcase "This Is A.Test" }}', "tHIS iS a.tEST"),
    ('{{ regexMatch "^[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\\\\.[A-Za-z]{2,}$" "test@acme.com" }}',
     "true"),
    ('{{ regexFindAll "[2,4,6,8]" "123456789" -1 }}', "[2 4 6 8]"),
    ('{{ regexFind "[a-zA-Z][1-9]" "abcd1234" }}', "d1"),
    ('{{ regexReplaceAll "a(x*)b" "-ab-axxb-" "${1}W" }}', "-W-xxW-"),
    ('{{ regexReplaceAllLiteral "a(x*)b" "-ab-axxb-" "${1}" }}', "-${1}-${1}-"),
    ('{{ regexSplit "z+" "pizza" -1 }}', "[pi a]"),
    ('{{ regexQuoteMeta "1.2.3" }}', "1\\.2\\.3"),
    ('{{ wrapWith 5 "\\t" "Hello World" }}', "Hello\tWorld"),
    ('{{ list 1 2 3 | join "+" }}', "1+2+3"),
    ('{{ $a := splitList "$" "foo$bar$baz" }}{{ index $a 0 }}', "foo"),
    ('{{ $a := split "$" "foo$bar$baz" }}{{ $a._0 }}', "foo"),
    ('{{ $a := splitn "$" 2 "foo$bar$baz" }}{{ $a._1 }}', "bar$baz"),
    ('{{ quote "a" }} {{ squote "a" }}', "\"a\" 'a'"),
]  # fmt: skip

THE_REST = [
    ("{{ add 1 2 3 }}", "6"),
    ("{{ add1 1 }}", "2"),
    ("{{ sub 5 3 }} {{ div 7 2 }} {{ mod 7 2 }} {{ mul 1 2 3 }}", "2 3 1 6"),
    ("{{ max 1 2 3 }} {{ min 1 2 3 }}", "3 1"),
    ("{{ floor 123.9999 }} {{ ceil 123.001 }} {{ round 123.555555 3 }}", "123 124 123.556"),
    ("{{ addf 1.5 2 2 }} {{ subf 7.5 2 3 }} {{ divf 10 2 4 }} {{ mulf 1.5 2 2 }}",
     "5.5 2.5 1.25 6"),
    ("{{ until 5 }}", "[0 1 2 3 4]"),
    ("{{ untilStep 3 6 2 }}", "[3 5]"),
    ("{{ seq 5 }}|{{ seq -3 }}|{{ seq 0 2 }}|{{ seq 2 -2 }}|{{ seq 0 2 10 }}|{{ seq 0 -2 -5 }}",
     "1 2 3 4 5|1 0 -1 -2 -3|0 1 2|2 1 0 -1 -2|0 2 4 6 8 10|0 -2 -4"),
    ('{{ default "foo" "" }}', "foo"),
    ("{{ coalesce 0 1 2 }}", "1"),
    ('{{ ternary "foo" "bar" true }} {{ false | ternary "foo" "bar" }}', "foo bar"),
    ("{{ all 0 1 2 }} {{ any 0 1 2 }}", "false true"),
    ('{{ $l := list 1 2 3 4 5 }}{{ first $l }} {{ rest $l }} {{ last $l }} {{ initial $l }}',
     "1 [2 3 4 5] 5 [1 2 3 4]"),
    ("{{ $l := list 1 2 3 4 5 }}{{ append $l 6 }} {{ prepend $l 0 }} {{ reverse $l }}",
     "[1 2 3 4 5 6] [0 1 2 3 4 5] [5 4 3 2 1]"),
    ("{{ concat (list 1 2 3) (list 6 7) (list) }}", "[1 2 3 6 7]"),
    ("{{ list 1 1 1 2 | uniq }} {{ without (list 1 2 3 4 5) 1 3 5 }} {{ has 4 (list 4 5) }}",
     "[1 2] [2 4] true"),
    ('{{ compact (list 1 "a" "foo" "") }}', "[1 a foo]"),
    ("{{ slice (list 1 2 3 4 5) 1 3 }} {{ chunk 3 (list 1 2 3 4 5 6 7 8) }}",
     "[2 3] [[1 2 3] [4 5 6] [7 8]]"),
    ('{{ $d := dict "name1" "value1" }}{{ get $d "name1" }} {{ hasKey $d "x" }}', "value1 false"),
    ('{{ $d := dict "a" 1 }}{{ $_ := set $d "b" 2 }}{{ $_ := unset $d "a" }}{{ $d }}', "map[b:2]"),
    ('{{ pluck "a" (dict "a" 1) (dict "a" 2) }}', "[1 2]"),
    ('{{ dig "user" "role" "guest" (dict "user" (dict "name" "x")) }}', "guest"),
    ('{{ merge (dict "a" 1) (dict "a" 2 "b" 3) }}', "map[a:1 b:3]"),
    ('{{ mergeOverwrite (dict "a" 1) (dict "a" 2) }}', "map[a:2]"),
    ('{{ typeOf "a" }} {{ kindOf 123 }} {{ kindIs "int" 123 }}', "string int true"),
    ("{{ deepEqual (list 1 2 3) (list 1 2 3) }}", "true"),
    ('{{ semverCompare "^1.2.0" "1.3.0" }} {{ (semver "1.2.3-alpha.1").Prerelease }}',
     "true alpha.1"),
    ('{{ base "foo/bar/baz" }} {{ dir "foo/bar/baz" }} {{ ext "foo.bar" }} {{ isAbs "/foo" }}',
     "baz foo/bar .bar true"),
    ('{{ clean "foo/bar/../baz" }}', "foo/baz"),
    ('{{ sha256sum "Hello world!" }}',
     "c0535e4be2b79ffd93291305436bf889314e4a3faec05ecffcbb7df31ad9e51a"),
    ('{{ adler32sum "Hello world!" }}', "487130206"),
    ('{{ b64enc "a" }} {{ "YQ==" | b64dec }}', "YQ== a"),
    ('{{ duration "95" }} {{ durationRound "2h10m5s" }} {{ durationRound "2400h10m5s" }}',
     "1m35s 2h 3mo"),
    ('{{ toDate "2006-01-02" "2017-12-31" | date "02/01/2006" }}', "31/12/2017"),
    ('{{ urlJoin (dict "fragment" "fragment" "host" "host:80" "path" "/path" "query" "query" '
     '"scheme" "http") }}', "http://host:80/path?query#fragment"),
    ('{{ (urlParse "http://admin:secret@server.com:8080/api?list=false#anchor").userinfo }}',
     "admin:secret"),
]  # fmt: skip


@pytest.mark.parametrize(("template", "expected"), TEMPLATE + STRINGS + THE_REST)
def test_an_example_of_the_documentation(template: str, expected: str) -> None:
    assert render(template, {}) == expected
