"""Fetching by HTTP(S), within a time."""

from __future__ import annotations

import io
import re
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import IO, BinaryIO

from overlay_runtime.stages.tree import Tree

_MOST = 1 << 36
_MOST_IN_MEMORY = 1 << 24
_PIECE = 1 << 16


@dataclass(frozen=True)
class Fetched:
    """What came, and the name that the server or the URL gives it."""

    data: bytes = field(repr=False)
    name: str = ""


def fetch(url: str, limit: float, tree: Tree) -> Fetched:
    """Fetch something small, as `fetch_into` does."""
    made = io.BytesIO()
    name = fetch_into(url, limit, tree, made, _MOST_IN_MEMORY)
    return Fetched(made.getvalue(), name)


def fetch_into(url: str, limit: float, tree: Tree, file: BinaryIO, most: int = _MOST) -> str:
    """Fetch a URL into a file within `limit` seconds, and return the name that it has there.

    Certificates are checked. Raises OSError with a reason that holds nothing of the URL but its
    host, ValueError for a URL that is none."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        path = urllib.parse.unquote(parts.path)
        with tree.open_file(path) as source:
            _copy(source, file, most, time.monotonic() + limit)
        return path.rpartition("/")[2]
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("a URL that starts with http:// or https:// is expected")
    # Imported where it is needed: it takes a tenth of a second.
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    until = time.monotonic() + limit
    request = Request(url, headers={"User-Agent": "edge-overlay"})
    try:
        with urlopen(request, timeout=max(limit, 0.001)) as answer:
            _copy(answer, file, most, until)
            return _name(answer.headers.get("Content-Disposition", ""), answer.url)
    except HTTPError as error:
        raise OSError(f"{parts.hostname} answers {error.code}") from None
    except TimeoutError:
        raise OSError(f"{parts.hostname} did not answer within {limit:.0f} s") from None
    except URLError as error:
        why = error.reason.strerror if isinstance(error.reason, OSError) else ""
        raise OSError(f"{parts.hostname} can't be reached: {why or error.reason}") from None
    except HTTPException as error:
        raise OSError(f"{parts.hostname}: {type(error).__name__}") from None


def _copy(source: IO[bytes], file: BinaryIO, most: int, until: float) -> None:
    """Copy in pieces: what is fetched may be larger than the memory."""
    left = most
    while piece := source.read(_PIECE):
        left -= len(piece)
        if time.monotonic() > until:
            raise TimeoutError
        if left < 0:
            raise OSError(f"more than {most} bytes")
        file.write(piece)


def _name(disposition: str, url: str) -> str:
    found = re.search(r'filename="?([^";/\\]+)', disposition)
    name = found[1].strip() if found else urllib.parse.unquote(
        urllib.parse.urlsplit(url).path.rpartition("/")[2]
    )  # fmt: skip
    return "" if "/" in name or name in (".", "..") else name
