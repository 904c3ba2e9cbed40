"""Logging to the journal, with fields, by its native protocol; else one line each to stderr.

The protocol: systemd.io/JOURNAL_NATIVE_PROTOCOL. Fields beyond the usual ones:

    EDGE_OVERLAY_EVENT     one of changes.EVENTS
    EDGE_OVERLAY_PEER      host id of the peer that it is about
    EDGE_OVERLAY_NAME      its name
    EDGE_OVERLAY_ADDRESS   the overlay address that it is about

`logging`'s `extra` carries them: see `event`. No secret is ever logged, so none is in a field.
"""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import struct
import sys
from collections.abc import Iterable
from pathlib import Path

from overlay_runtime.changes import BAD, Change

JOURNAL_SOCKET = Path("/run/systemd/journal/socket")
IDENTIFIER = "edge-overlay"

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.DEBUG, 7))
_EXTRA = "edge_overlay_"
_LONGEST = 8192
"""Bytes of a field's value. A datagram always fits into the socket's buffer so; longer ones would
need a sealed memfd, and nothing here is longer."""


def event(log: logging.Logger, change: Change) -> None:
    """Log something that happened, with its fields."""
    fields = {"event": change.event, "peer": change.peer, "name": change.name,
              "address": change.address}  # fmt: skip
    level = logging.WARNING if change.event in BAD else logging.INFO
    extra = {_EXTRA + key: value for key, value in fields.items() if value}
    log.log(level, "%s", change.text, extra=extra, stacklevel=2)


def entry(record: logging.LogRecord, message: str) -> bytes:
    """Return a log record as one entry of the native protocol."""
    fields: list[tuple[str, str]] = [
        ("MESSAGE", message),
        ("PRIORITY", str(_priority(record))),
        ("SYSLOG_IDENTIFIER", IDENTIFIER),
        ("LOGGER", record.name),
        ("CODE_FILE", record.pathname),
        ("CODE_LINE", str(record.lineno)),
        ("CODE_FUNC", record.funcName or ""),
    ]
    extras = ((k, v) for k, v in vars(record).items() if k.startswith(_EXTRA))
    return _serialized(fields + [(key.upper(), str(value)) for key, value in extras])


def _priority(record: logging.LogRecord) -> int:
    return next((p for level, p in _PRIORITIES if record.levelno >= level), 7)


def _serialized(fields: Iterable[tuple[str, str]]) -> bytes:
    data = b""
    for name, text in fields:
        value = text.encode(errors="replace")[:_LONGEST]
        if b"\n" in value:  # whose length is told: a newline in a value can't begin another field
            data += name.encode() + b"\n" + struct.pack("<Q", len(value)) + value + b"\n"
        else:
            data += name.encode() + b"=" + value + b"\n"
    return data


class JournalHandler(logging.Handler):
    """Sends each record to journald; to `fallback` what it doesn't take. Never waits."""

    def __init__(self, path: Path, fallback: logging.Handler) -> None:
        """Raises OSError if nobody listens at `path`."""
        super().__init__()
        self._fallback = fallback
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        try:
            self._socket.setblocking(False)
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record."""
        data = entry(record, self.format(record))
        try:
            try:
                self._socket.send(data)
            except OSError as error:
                if isinstance(error, BlockingIOError):
                    raise
                self._socket.connect(str(self._path))  # journald has been started again
                self._socket.send(data)
        except OSError:
            self._fallback.handle(record)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()


class _PrefixFormatter(logging.Formatter):
    """Lines as sd-daemon(3) has them: the journal reads the priority from the prefix."""

    def format(self, record: logging.LogRecord) -> str:
        lines = super().format(record).splitlines() or [""]
        return "\n".join(f"<{_priority(record)}>{line}" for line in lines)


def set_up(*, debug: bool, journal: Path = JOURNAL_SOCKET) -> None:
    """Log to the journal if standard error leads there, else to standard error."""
    handler: logging.Handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(_PrefixFormatter("%(message)s"))
        with contextlib.suppress(OSError):
            handler = JournalHandler(journal, handler)
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.INFO)
    logging.getLogger("overlay_runtime").setLevel(logging.DEBUG if debug else logging.INFO)
