"""`files`: content, decoded and rendered, with permissions and owner (yip, `pkg/plugins/files.go`).

What can't be decoded leaves the file that is there as it is; Kairos empties it.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import io
import re
import zlib
from collections.abc import Mapping
from typing import Any

from overlay_runtime.stages.actions.directories import clean, make_parents, regular
from overlay_runtime.stages.actions.owners import FILE_MODE, owner_of
from overlay_runtime.stages.context import Context, Refused, reason
from overlay_runtime.stages.tree import Incoming

_LARGEST = 1 << 28
"""Bytes that come out of gzip."""


def apply(context: Context, step: Mapping[str, Any]) -> None:
    """Write each file."""
    for number, item in enumerate(step["files"], start=1):
        try:
            _write(context, item, number)
        except (OSError, ValueError, Refused) as error:
            context.failed(f"file {number} can't be written: {reason(error)}")
    if step["files"]:
        context.did(f"{len(step['files'])} files")


def _write(context: Context, item: Mapping[str, Any], number: int) -> None:
    path = clean(item["path"])
    content = decoded(item["content"], item["encoding"])
    if b"{{" in content:
        text = content.decode(errors="surrogateescape")
        content = context.rendered(text, f"file {number}").encode(errors="surrogateescape")
    store(context, path, content, item, f"file {number}")


def store(
    context: Context, path: str, content: bytes | Incoming, item: Mapping[str, Any], called: str
) -> None:
    """Write a file with the permissions and the owner that `item` names.

    Raises OSError, ValueError, Refused."""
    mode, tree = item["permissions"], context.tree
    there = regular(context, path)
    if mode is None:
        context.note(f"{called} has no `permissions`: 0644 if it is new, else as it was "
                     "(Kairos: 0000)")  # fmt: skip
    elif mode & ~0o777:
        context.note(f"{called}: of its permissions {mode & 0o777:04o} is used, as by Kairos")
    wanted = FILE_MODE if mode is None else mode & 0o777
    above = wanted if wanted >= 0o700 else wanted + 0o100
    make_parents(context, path, 0o755 if mode is None else above, item["owner"], item["group"])
    if isinstance(content, bytes):
        tree.write(path, content, 0o600)
    else:
        tree.adopt(path, content)
    if mode is not None or not there:
        tree.chmod(path, wanted)
    tree.chown(path, *owner_of(context, item))


def decoded(content: str, encoding: str) -> bytes:
    """Return what an encoded text stands for; an unknown encoding is none, as for yip. Raises
    Refused."""
    data = content.encode(errors="surrogateescape")
    if encoding in ("b64", "base64"):
        return _base64(data)
    if encoding in ("gz", "gzip"):
        return _gzip(data)
    if encoding in ("gz+base64", "gzip+base64", "gz+b64", "gzip+b64"):
        return _gzip(_base64(data))
    return data


def _base64(data: bytes) -> bytes:
    try:
        return base64.b64decode(re.sub(rb"[\r\n]", b"", data), validate=True)
    except (binascii.Error, ValueError):
        raise Refused("its content is no base64") from None


def _gzip(data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            found = file.read(_LARGEST + 1)
    except (OSError, EOFError, zlib.error):
        raise Refused("its content is no gzip") from None
    if len(found) > _LARGEST:
        raise Refused(f"its content is more than {_LARGEST >> 20} MiB")
    return found
