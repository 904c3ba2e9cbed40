"""The host's memory of its address: one small file that survives power cuts, and its copies."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from overlay_runtime.address import IPAddress, IPNetwork, usable
from overlay_runtime.errors import StateError
from overlay_runtime.files import write_atomic

DEFAULT_DIR = Path("/var/lib/edge-overlay")
FORMAT = 1
_NAME = "state.json"
_COPY = "state.json.bak"


@dataclass(frozen=True)
class State:
    """What a host remembers for ever: its range, its address, and who it is.

    `claimed_at` is seconds since 1970 by a clock that may be wrong: for people only.
    """

    cidr: IPNetwork
    address: IPAddress
    identity: str
    identity_source: str
    claimed_at: int


class StateStore:
    """Reads and writes the state directory (0700) of this host.

    `elsewhere` is a directory on another storage for one copy more, if there is such.
    """

    def __init__(self, directory: Path = DEFAULT_DIR, elsewhere: Path | None = None) -> None:
        self._directory = directory
        self._elsewhere = elsewhere
        self.recovered: str | None = None
        """Says why the last `load` had to use a copy; None if it had not to."""
        self.copy_problem: str | None = None
        """Why the copy on the other storage could not be written the last time."""

    def load(self) -> State | None:
        """Return what was stored, or None on a host that never stored anything.

        A file that is torn, empty, or lacks a field is recovered from the last good copy. Raises
        StateError if there was state and none of it can be read: nothing is ever guessed.
        """
        self.recovered = None
        faults = []
        for path in self._files():
            try:
                state = _decode(path.read_bytes())
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                faults.append(f"{path}: {error}")
                continue
            if path != self._directory / _NAME:
                why = faults[0] if faults else f"{self._directory / _NAME} is missing"
                self.recovered = f"{why}; recovered from {path}"
            return state
        if not faults:
            return None
        raise StateError(
            "the stored overlay address can't be read: " + "; ".join(faults),
            "restore the file from a backup, or run: edge-overlay reset",
        )

    def save(self, state: State) -> None:
        """Store `state`; when this returns it outlives a power cut. Raises StateError."""
        data = _encode(state)
        try:
            self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._directory.chmod(0o700)
            # The copy comes second: at any moment at least one of the two is whole.
            write_atomic(self._directory / _NAME, data, 0o600)
            write_atomic(self._directory / _COPY, data, 0o600)
        except OSError as error:
            raise StateError(
                f"the overlay address can't be stored: {error}",
                f"make {self._directory} writable and see that the disk isn't full",
            ) from error
        self.copy(state)

    def copy(self, state: State) -> None:
        """See to it that the other storage holds `state`. Never raises: see `copy_problem`."""
        self.copy_problem = None
        if self._elsewhere is None:
            return
        path, data = self._elsewhere / _NAME, _encode(state)
        try:
            if path.exists() and path.read_bytes() == data:
                return
            self._elsewhere.mkdir(mode=0o700, exist_ok=True)
            write_atomic(path, data, 0o600)
        except OSError as error:
            self.copy_problem = f"the copy of the overlay address can't be stored: {error}"

    def _files(self) -> list[Path]:
        """All places of the state, the first that can be read counts."""
        copies = [self._elsewhere / _NAME] if self._elsewhere else []
        return [self._directory / _NAME, self._directory / _COPY, *copies]

    def clear(self) -> bool:
        """Forget everything; return whether there was anything. Raises StateError."""
        found = False
        try:
            for path in self._files():
                found |= path.exists()
                path.unlink(missing_ok=True)
        except OSError as error:
            raise StateError(f"the stored address can't be removed: {error}", "") from error
        return found


def _checksum(body: dict[str, Any]) -> str:
    text = json.dumps(body, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def _encode(state: State) -> bytes:
    body = {
        "format": FORMAT,
        "cidr": str(state.cidr),
        "address": str(state.address),
        "identity": state.identity,
        "identity_source": state.identity_source,
        "claimed_at": state.claimed_at,
    }
    return json.dumps({**body, "checksum": _checksum(body)}, indent=1).encode() + b"\n"


def _decode(data: bytes) -> State:
    """Raises ValueError, and nothing else, for whatever is not a whole state file."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("empty" if not data.strip() else "torn or not JSON") from None
    if not isinstance(body, dict):
        raise ValueError("not a state file")
    checksum = body.pop("checksum", None)
    if checksum != _checksum(body):
        raise ValueError("checksum is wrong")
    if body.get("format") != FORMAT:
        raise ValueError(f"format {body.get('format')!r} is not known to this version")
    try:
        cidr = ipaddress.ip_network(body["cidr"])
        address = ipaddress.ip_address(body["address"])
        state = State(
            cidr=cidr,
            address=address,
            identity=str(body["identity"]),
            identity_source=str(body["identity_source"]),
            claimed_at=int(body["claimed_at"]),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"a field is missing or wrong: {error}") from None
    if not usable(address, cidr):
        raise ValueError(f"{address} is no host's address in {cidr}")
    return state
