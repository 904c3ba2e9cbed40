"""Others' files: whatever they are, they cost no memory, and are read as systemd reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from overlay_runtime.kubernetes.reading import LONGEST, assignments, bytes_of, documents, text_of


# By the states of systemd's parse_env_file_internal (src/basic/env-file.c).
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=--v=2 --x\n", "--v=2 --x"),
        ('A="--x=\\"y z\\" \\$B \\q"\nB=1\n', '--x="y z" $B \\q'),
        ("A='--v=2 \\ \"q\"'\n", '--v=2 \\ "q"'),
        ("A=--v=2 \\\n--x\n", "--v=2 --x"),
        ('A="--v=2 \\\n--x"\n', "--v=2 --x"),
        ('A="--v=2\n--x"\n', "--v=2\n--x"),
        ('A=one" two "three\n', "one two three"),
        ("# A=no\n; A=no\n\n  A = yes  \n", "yes"),
        ("A=first\nA=\n", ""),
        ("A=a\\ b\\\\c   \n", "a b\\c"),
        ("no assignment\nA=1", "1"),
        ("A=\"not closed\nB=2\n", "not closed\nB=2\n"),
    ],
)  # fmt: skip
def test_an_environment_file(text: str, value: str) -> None:
    assert assignments(text)["A"] == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", []),
        ("a: [1, true]\n---\n- !!python/object:os.system x\n", [{"a": ["1", "true"]}, ["x"]]),
        ("[", None),
        ("a: 1\n---\n[", None),
        ("? [a]\n: b\n", None),
        ("\x00", None),
        ("[" * 10_000, None),
    ],
)
def test_the_documents_of_a_yaml_text(text: str, found: object) -> None:
    assert documents(text) == found


def test_a_file_of_gigabytes_costs_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "long"
    path.touch()
    os.truncate(path, 64 << 30)
    assert len(text_of(path)) == LONGEST


def test_what_is_no_file_is_empty(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to("nowhere")
    names = ("fifo", "dangling", "absent", ".")
    assert [bytes_of(tmp_path / name) for name in names] == [b""] * 4
