"""Netlink as the kernel speaks it: messages, attributes, dumps and batches (netlink(7)).

An own codec, as forwarding entries are what this program exists for: a library that builds an
object of every attribute takes half a second for the entries of a thousand peers, 0.2 s to import,
and 16 MB. The kernel answers within the call that sends, so nothing here needs to be awaited.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

NETLINK_ROUTE, NETLINK_NETFILTER = 0, 12

NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND = 0x100, 0x200, 0x400, 0x800
_NLM_F_DUMP_INTR, _NLM_F_CAPPED, _NLM_F_ACK_TLVS = 0x10, 0x100, 0x200
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_NLA_F_NESTED, _NLA_TYPE = 0x8000, 0x3FFF
_NLMSGERR_ATTR_MSG = 1
_SOL_NETLINK, _EXT_ACK, _GET_STRICT_CHK = 270, 11, 12

HEADER = struct.Struct("=IHHII")
_ATTRIBUTE = struct.Struct("=HH")
_CHUNK = 128
"""Requests in one send. Each may be answered by an error of some 200 bytes, and all of these must
fit into the socket's buffer."""

_PATIENCE = struct.pack("=qq", 5, 0)
_BUFFER = 1 << 20
_READ = 1 << 17


class NetlinkError(OSError):
    """The kernel refused a request. `errno` and `strerror` are its own words."""


@dataclass(frozen=True)
class Request:
    """A message to the kernel: `kind` is nlmsg_type, `body` the family's header and attributes."""

    kind: int
    flags: int
    body: bytes


def attribute(kind: int, data: bytes) -> bytes:
    """Return one attribute, padded."""
    length = _ATTRIBUTE.size + len(data)
    return _ATTRIBUTE.pack(length, kind) + data + bytes(-length & 3)


def nested(kind: int, *attributes: bytes) -> bytes:
    """Return an attribute that consists of others."""
    return attribute(kind | _NLA_F_NESTED, b"".join(attributes))


def u8(kind: int, value: int) -> bytes:
    """Return an attribute with a byte."""
    return attribute(kind, bytes([value]))


def u32(kind: int, value: int) -> bytes:
    """Return an attribute with a 32-bit number."""
    return attribute(kind, value.to_bytes(4, "little" if _LITTLE else "big"))


def text(kind: int, value: str) -> bytes:
    """Return an attribute with text, ended by a zero byte."""
    return attribute(kind, value.encode() + b"\0")


def attributes(data: bytes, offset: int = 0) -> dict[int, bytes]:
    """Return the attributes in `data`, by type; of one that comes twice the last."""
    found = {}
    end = len(data)
    while offset + 4 <= end:
        length, kind = _ATTRIBUTE.unpack_from(data, offset)
        if length < 4:
            break
        found[kind & _NLA_TYPE] = data[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def every(data: bytes) -> list[bytes]:
    """Return the contents of all attributes in `data`, in order: of a list."""
    found = []
    offset = 0
    while offset + 4 <= len(data):
        length = _ATTRIBUTE.unpack_from(data, offset)[0]
        if length < 4:
            break
        found.append(data[offset + 4 : offset + length])
        offset += (length + 3) & ~3
    return found


def number(data: bytes | None) -> int:
    """Return an attribute's number, of any width in the machine's byte order; 0 if it is absent."""
    return int.from_bytes(data or b"", "little" if _LITTLE else "big")


def string(data: bytes | None) -> str:
    """Return an attribute's text; empty if it is absent."""
    return (data or b"").rstrip(b"\0").decode("utf-8", "replace")


_LITTLE = struct.pack("=H", 1) == b"\1\0"


class Netlink:
    """A netlink socket of this network namespace for requests. Not for events."""

    def __init__(self, protocol: int = NETLINK_ROUTE) -> None:
        """Open it. Raises OSError."""
        self._sequence = 0
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol
        )
        self._socket.setsockopt(_SOL_NETLINK, _EXT_ACK, 1)
        self._socket.setsockopt(_SOL_NETLINK, _GET_STRICT_CHK, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _PATIENCE)
        self._socket.bind((0, 0))
        self.port = int(self._socket.getsockname()[0])
        """Our port id: the kernel names it in the events that our requests cause."""

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def dump(self, kind: int, body: bytes) -> list[bytes]:
        """Return the payloads of a whole table. Raises NetlinkError.

        A table that changed meanwhile is read again (NLM_F_DUMP_INTR), but not for ever.
        """
        for _ in range(3):
            found, whole = self._dump(kind, body)
            if whole:
                break
        return found

    def request(self, request: Request) -> None:
        """Do one thing. Raises NetlinkError if the kernel refuses."""
        [error] = self.batch([request])
        if error:
            raise error

    def get(self, kind: int, body: bytes) -> bytes | None:
        """Return the answer to a question about one thing, or None if it doesn't exist."""
        sequence = self._send([Request(kind, NLM_F_REQUEST | NLM_F_ACK, body)])
        answer = None
        for answered, what, _, payload in self._answers():
            if answered != sequence:
                continue
            if what != _NLMSG_ERROR:
                answer = payload
                continue
            error = _error(payload, 0)
            if error and error.errno not in (errno.ENOENT, errno.ESRCH, errno.ENODEV):
                raise error
            break
        return answer

    def batch(self, requests: Sequence[Request]) -> list[NetlinkError | None]:
        """Do many things, each by itself; return what became of each, None for success."""
        results: list[NetlinkError | None] = []
        for start in range(0, len(requests), _CHUNK):
            results += self._chunk(requests[start : start + _CHUNK])
        return results

    def _chunk(self, requests: Sequence[Request]) -> list[NetlinkError | None]:
        results: list[NetlinkError | None] = [None] * len(requests)
        # Errors are told in any case; that the last one is acknowledged tells the end.
        asked = [Request(r.kind, r.flags | NLM_F_REQUEST, r.body) for r in requests[:-1]]
        last = requests[-1]
        asked.append(Request(last.kind, last.flags | NLM_F_REQUEST | NLM_F_ACK, last.body))
        first = self._send(asked)
        for sequence, what, flags, payload in self._answers():
            place = sequence - first
            if what != _NLMSG_ERROR or not 0 <= place < len(requests):
                continue
            results[place] = _error(payload, flags)
            if place == len(requests) - 1:
                return results
        return results

    def transact(self, begin: Request, requests: Sequence[Request], end: Request) -> None:
        """Do all of them or none (nfnetlink's batches). Raises NetlinkError, the first one."""
        last = requests[-1]
        asked = [*requests[:-1], Request(last.kind, last.flags | NLM_F_ACK, last.body)]
        framed = [
            Request(each.kind, each.flags | NLM_F_REQUEST, each.body)
            for each in (begin, *asked, end)
        ]
        first = self._send(framed)
        fault: NetlinkError | None = None
        for sequence, what, flags, payload in self._answers():
            place = sequence - first
            if what != _NLMSG_ERROR or not 0 <= place < len(framed):
                continue
            fault = fault or _error(payload, flags)
            # An error about the beginning means that nothing of it was read.
            if place >= len(requests) or place == 0:
                break
        if fault:
            raise fault

    def send(self, messages: bytes) -> None:
        """Send what is framed already. Raises NetlinkError."""
        try:
            self._socket.send(messages)
        except OSError as error:
            raise NetlinkError(error.errno, error.strerror) from None

    def framed(self, request: Request) -> bytes:
        """Return a message with its header, under the next sequence number."""
        self._sequence = self._sequence % 0x7FFFFFFF + 1
        return HEADER.pack(
            HEADER.size + len(request.body), request.kind, request.flags, self._sequence, self.port
        ) + request.body + bytes(-len(request.body) & 3)  # fmt: skip

    def _send(self, requests: Sequence[Request]) -> int:
        """Send; return the sequence number of the first."""
        if self._sequence > 0x7FFF0000:
            self._sequence = 0
        first = self._sequence + 1
        self.send(b"".join(map(self.framed, requests)))
        return first

    def _dump(self, kind: int, body: bytes) -> tuple[list[bytes], bool]:
        sequence = self._send([Request(kind, NLM_F_REQUEST | NLM_F_DUMP, body)])
        found: list[bytes] = []
        whole = True
        for answered, what, flags, payload in self._answers():
            if answered != sequence:
                continue
            whole = whole and not flags & _NLM_F_DUMP_INTR
            if what == _NLMSG_DONE:
                code = number(payload[:4])
                if code:
                    raise NetlinkError(2**32 - code, os.strerror(2**32 - code))
                break
            if what == _NLMSG_ERROR:
                raise _error(payload, flags) or NetlinkError(errno.EIO, "no answer to a dump")
            found.append(payload)
        return found, whole

    def _answers(self) -> Iterator[tuple[int, int, int, bytes]]:
        """Yield (sequence, type, flags, payload) of whatever comes. Raises NetlinkError."""
        while True:
            try:
                data = self._socket.recv(_READ)
            except BlockingIOError:
                raise NetlinkError(errno.ETIMEDOUT, "the kernel does not answer") from None
            except OSError as error:
                raise NetlinkError(error.errno, error.strerror) from None
            offset = 0
            while offset + HEADER.size <= len(data):
                length, what, flags, sequence, _ = HEADER.unpack_from(data, offset)
                if length < HEADER.size:
                    break
                yield sequence, what, flags, data[offset + HEADER.size : offset + length]
                offset += (length + 3) & ~3


def _error(payload: bytes, flags: int) -> NetlinkError | None:
    """Read struct nlmsgerr, and after it the kernel's explanation if there is one."""
    code = -int.from_bytes(payload[:4], "little" if _LITTLE else "big", signed=True)
    if not code:
        return None
    told = ""
    if flags & _NLM_F_ACK_TLVS:
        request = HEADER.unpack_from(payload, 4)[0]
        after = 4 + (HEADER.size if flags & _NLM_F_CAPPED else (request + 3) & ~3)
        told = string(attributes(payload, after).get(_NLMSGERR_ATTR_MSG))
    words = os.strerror(code)
    return NetlinkError(code, f"{words}: {told}" if told else words)
