"""Layers stacked as the OCI image specification and container engines do it."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO

import pytest

from builder.errors import InputError
from builder.kairos.tree import TarLayer, Tree

# name → content; a name that ends in `/` is a directory, `-> X` a symbolic and `=> X` a hard link
Layer = dict[str, str]


def packed(layer: Layer) -> TarLayer:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in layer.items():
            info = tarfile.TarInfo(name.rstrip("/"))
            if name.endswith("/"):
                info.type = tarfile.DIRTYPE
            elif content.startswith("-> "):
                info.type, info.linkname = tarfile.SYMTYPE, content[3:]
            elif content.startswith("=> "):
                info.type, info.linkname = tarfile.LNKTYPE, content[3:]
            else:
                info.size = len(content)
            tar.addfile(info, io.BytesIO(content.encode()) if info.isreg() else None)

    @contextmanager
    def opened() -> Iterator[IO[bytes]]:
        yield io.BytesIO(target.getvalue())

    return TarLayer("a layer", opened)


def merged(*layers: Layer) -> dict[str, str]:
    """What the layers make together, read back from the tar that is written."""
    target = io.BytesIO()
    Tree([packed(layer) for layer in layers]).write_tar(target)
    found: dict[str, str] = {}
    with tarfile.open(fileobj=io.BytesIO(target.getvalue())) as tar:
        for member in tar:
            stream = tar.extractfile(member) if member.isreg() or member.islnk() else None
            if member.isdir():
                found[member.name + "/"] = ""
            elif member.issym():
                found[member.name] = f"-> {member.linkname}"
            elif stream:
                found[member.name] = stream.read().decode()
    needed = ("run/", "dev/", "boot/", "usr/local/", "oem/", "proc/", "sys/", "tmp/")
    return {name: content for name, content in found.items() if name not in needed}


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ([{"a": "1"}, {"a": "2"}], {"a": "2"}),
        ([{"a": "1"}, {".wh.a": ""}], {}),
        ([{"a": "1"}, {".wh.a": "", "a": "2"}], {"a": "2"}),
        ([{"a": "1"}, {"a": "2", ".wh.a": ""}], {"a": "2"}),
        ([{"d/": "", "d/x": "1"}, {".wh.d": ""}], {}),
        ([{"d/": "", "d/x": "1"}, {"d/": "", "d/.wh..wh..opq": "", "d/y": "2"}],
         {"d/": "", "d/y": "2"}),
        ([{"d/": "", "d/x": "1"}, {"d": "file"}], {"d": "file"}),
        ([{"d/": "", "d/x": "1"}, {"d": "-> e", "e/": ""}], {"d": "-> e", "e/": ""}),
        ([{"d": "file"}, {"d/": "", "d/x": "1"}], {"d/": "", "d/x": "1"}),
        # a link to a directory, and a name below it in an upper layer: the link stays
        ([{"usr/": "", "usr/lib/": "", "lib": "-> usr/lib"}, {"lib/x": "1"}],
         {"usr/": "", "usr/lib/": "", "lib": "-> usr/lib", "usr/lib/x": "1"}),
        # and a directory in its place: the link goes
        ([{"usr/": "", "usr/lib/": "", "lib": "-> usr/lib"}, {"lib/": "", "lib/x": "1"}],
         {"usr/": "", "usr/lib/": "", "lib/": "", "lib/x": "1"}),
        ([{"a": "1", "b": "=> a"}], {"a": "1", "b": "1"}),
        ([{"a": "1", "b": "=> a"}, {"a": "2"}], {"a": "2", "b": "1"}),
        ([{"a": "1", "b": "=> a"}, {".wh.a": ""}], {"b": "1"}),
        ([{"a": "1"}, {"b": "=> a"}], {"a": "1", "b": "1"}),
        ([{"a": "-> elsewhere", "b": "=> a"}], {"a": "-> elsewhere", "b": "-> elsewhere"}),
        ([{"./a": "1"}, {"/b": "2"}], {"a": "1", "b": "2"}),
        ([{"../../a": "1"}], {"a": "1"}),
    ],
)  # fmt: skip
def test_stacking(layers: list[Layer], expected: Layer) -> None:
    assert merged(*layers) == expected


def test_links_are_followed_and_loops_end() -> None:
    tree = Tree(
        [
            packed(
                {
                    "etc/": "",
                    "etc/real": "1",
                    "abs": "-> /etc/real",
                    "rel": "-> ./etc/../etc/real",
                    "up": "-> ../../etc/real",
                    "loop": "-> loop",
                    "nowhere": "-> gone",
                }
            )
        ]
    )
    assert [tree.resolve(name) for name in ("abs", "rel", "up")] == ["etc/real"] * 3
    assert tree.resolve("loop") is None and tree.resolve("nowhere") is None
    assert tree.read(["abs", "rel", "loop"]) == {"abs": b"1", "rel": b"1"}


def test_a_hard_link_to_nothing_is_damage() -> None:
    with pytest.raises(InputError, match="a hard link to gone"):
        Tree([packed({"a": "=> gone"})])


def test_the_same_layers_give_the_same_bytes() -> None:
    def written() -> bytes:
        target = io.BytesIO()
        Tree([packed({"b": "1", "a": "=> b", "d/": ""})]).write_tar(target)
        return target.getvalue()

    assert written() == written()
