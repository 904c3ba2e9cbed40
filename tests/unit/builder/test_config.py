"""edge.yaml: every mistake is named with its place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from builder.config import KEYS, checked, defaults, read_config
from builder.errors import InputError, MissingFileError

Written = Callable[[str], Path]


def test_values_are_flat_and_paths_start_at_the_file(written: Written) -> None:
    path = written("user-data: ud.yaml\nbase:\n  packages: [tcpdump]\noci: {load: true}\n")
    assert read_config(path) == {
        "user-data": str(path.parent / "ud.yaml"),
        "base.packages": ("tcpdump",),
        "oci.load": True,
    }


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("formatz: [iso]\n", "1:1", "did you mean 'formats'"),
        ("base:\n  suit: trixie\n", "2:3", "did you mean 'suite'"),
        ("base: trixie\n", "1:7", "a mapping"),
        ("formats: iso\n", "1:10", "a list of formats"),
        ("formats: [iso, qcow2]\n", "1:10", "iso, oci"),
        ("name: a/b\n", "1:7", "without a directory"),
        ("oci:\n  load: 'yes'\n", "2:9", "true or false"),
        ("iso:\n  menu-timeout: soon\n", "2:17", "seconds"),
        ("iso:\n  kernel-arguments: ['a b']\n", "2:21", "kernel arguments"),
        ("base: {mirror: example.org}\n", "1:16", "a URL"),
        ("- a\n", "1:1", "a mapping"),
        ("a: [\n", "2:1", "not YAML"),
    ],
)
def test_mistakes_are_placed(written: Written, text: str, place: str, words: str) -> None:
    path = written(text)
    with pytest.raises(InputError) as caught:
        read_config(path)
    [line] = caught.value.problems
    assert line.startswith(f"{path}:{place}: ")
    assert words in line


def test_all_mistakes_at_once(written: Written) -> None:
    path = written("name: 1\noutput: 2\nnope: 3\n")
    with pytest.raises(InputError) as caught:
        read_config(path)
    assert [line.split(": ")[0] for line in caught.value.problems] == [
        f"{path}:1:7",
        f"{path}:2:9",
        f"{path}:3:1",
    ]


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="No such file"):
        read_config(tmp_path / "nope.yaml")
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"name: x\n\xff\xfe")
    with pytest.raises(InputError, match=r"binary\.yaml:2: .*UTF-8"):
        read_config(binary)


def test_defaults_fit_their_own_checks() -> None:
    for name, value in defaults().items():
        if value not in (None, ()):
            assert checked(name, value) == value, name
        assert KEYS[name].help


def test_example_is_valid() -> None:
    example = Path(__file__).parents[3] / "examples" / "edge.yaml"
    values = read_config(example)
    shown = set(values) | {"base.image"}  # in a comment: it excludes the other keys of the base
    assert shown == set(KEYS), "the example shows every key"
    assert "# image: " in example.read_text()
