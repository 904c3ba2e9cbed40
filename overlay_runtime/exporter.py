"""Gives out the metrics: to a file, always, and by HTTP where that is asked for.

The server answers `GET /metrics` and nothing else. It is bounded: whoever connects to it may cost
this host next to nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

from overlay_runtime.files import write_atomic
from overlay_runtime.metrics import CONTENT_TYPE

log = logging.getLogger(__name__)

_REQUEST_SECONDS = 5.0
_LONGEST_REQUEST = 4096
_MOST_CONNECTIONS = 8


class MetricsFile:
    """The file. A failure is logged once, not every five seconds."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._failed = False

    def write(self, text: str) -> None:
        """Replace the file (0644). Never raises."""
        try:
            write_atomic(self._path, text.encode(), 0o644, sync=False)
            self._failed = False
        except OSError as error:
            if not self._failed:
                log.warning("metrics can't be written to %s: %s", self._path, error.strerror)
            self._failed = True


class MetricsServer:
    """The HTTP server."""

    def __init__(self, listen: str, text: Callable[[], str]) -> None:
        """`listen` is ADDRESS:PORT, as the schema checked it; `text` returns the metrics."""
        host, _, port = listen.rpartition(":")
        self._host, self._port = host.strip("[]"), int(port)
        self._text = text
        self._open = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Begin to listen. Raises OSError."""
        self._server = await asyncio.start_server(
            self._serve, self._host, self._port, limit=_LONGEST_REQUEST, backlog=_MOST_CONNECTIONS
        )

    def close(self) -> None:
        """Stop listening."""
        if self._server:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= _MOST_CONNECTIONS:
                async with asyncio.timeout(_REQUEST_SECONDS):
                    await self._answer(reader, writer)
                    writer.close()
                    await writer.wait_closed()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            pass  # theirs to notice
        finally:
            self._open -= 1
            writer.transport.abort()  # or what nobody reads would be kept for ever

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = await reader.readuntil(b"\r\n\r\n")
        method, _, rest = request.partition(b" ")
        path = rest.partition(b" ")[0].partition(b"?")[0]
        if path != b"/metrics":
            writer.write(_response("404 Not Found", "the metrics are at /metrics\n"))
        elif method not in (b"GET", b"HEAD"):
            writer.write(_response("405 Method Not Allowed", "", "Allow: GET, HEAD\r\n"))
        else:
            writer.write(_response("200 OK", self._text(), head_only=method == b"HEAD"))


def _response(status: str, text: str, more: str = "", *, head_only: bool = False) -> bytes:
    body = text.encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: {CONTENT_TYPE}\r\nContent-Length: {len(body)}\r\n"
        f"{more}Connection: close\r\n\r\n"
    )
    return head.encode() + (b"" if head_only else body)
