"""Fetching by HTTP(S), within a time."""

from __future__ import annotations

import re
import time
import urllib.parse
from dataclasses import dataclass, field

from overlay_runtime.stages.tree import Tree

_MOST = 1 << 31
_PIECE = 1 << 16


@dataclass(frozen=True)
class Fetched:
    """What came, and the name that the server or the URL gives it."""

    data: bytes = field(repr=False)
    name: str = ""


def fetch(url: str, limit: float, tree: Tree) -> Fetched:
    """Fetch a URL within `limit` seconds; certificates are checked. Raises OSError with a reason
    that holds nothing of the URL but its host, ValueError for a URL that is none."""
    parts = urllib.parse.urlsplit(url)
    if parts.scheme == "file":
        path = urllib.parse.unquote(parts.path)
        return Fetched(tree.read(path), path.rpartition("/")[2])
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
            data = bytearray()
            while piece := answer.read(_PIECE):
                data += piece
                if time.monotonic() > until:
                    raise TimeoutError
                if len(data) > _MOST:
                    raise OSError(f"more than {_MOST} bytes")
            said = answer.headers.get("Content-Disposition", "")
            return Fetched(bytes(data), _name(said, answer.url))
    except HTTPError as error:
        raise OSError(f"{parts.hostname} answers {error.code}") from None
    except TimeoutError:
        raise OSError(f"{parts.hostname} did not answer within {limit:.0f} s") from None
    except URLError as error:
        why = error.reason.strerror if isinstance(error.reason, OSError) else ""
        raise OSError(f"{parts.hostname} can't be reached: {why or error.reason}") from None
    except HTTPException as error:
        raise OSError(f"{parts.hostname}: {type(error).__name__}") from None


def _name(disposition: str, url: str) -> str:
    found = re.search(r'filename="?([^";/\\]+)', disposition)
    name = found[1].strip() if found else urllib.parse.unquote(
        urllib.parse.urlsplit(url).path.rpartition("/")[2]
    )  # fmt: skip
    return "" if "/" in name or name in (".", "..") else name
