"""The transaction on the disk: written and synced before anything is changed (write-ahead).

    /var/lib/edge-overlay/host/        0700
        transaction.json               the journal: state, plan, each path before and after
        before/0000, after/0000        copies of the files, by the number of their change
        pending                        there while the transaction waits for its end or a roll-back
        confirmed                      made by `host confirm`

Each change stands in the journal with what the path was and what it becomes, so that any prefix
of them can be taken back: whatever the path is, it is known whether that is before, after, or
somebody else's.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from overlay_runtime.errors import HostError
from overlay_runtime.files import write_atomic
from overlay_runtime.host.filestate import FileState, beside, keep, put, sync_directory

State = Literal[
    "planned", "changing", "verifying", "waiting", "done", "rolling-back", "rolled-back",
    "undoing", "undone",
]  # fmt: skip
ENDED = ("done", "rolled-back", "undone")
_FORMAT = 1


@dataclass(frozen=True)
class Wanted:
    """What a path is to become: a file with `data`, a symlink to `target`, or nothing (neither).
    `mtime` in ns, 0: now."""

    path: Path
    data: bytes | None = None
    target: str | None = None
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: int = 0


@dataclass(frozen=True)
class Change:
    """A path, what it was, and what it becomes."""

    path: Path
    before: FileState
    after: FileState


@dataclass
class Transaction:
    """One preparation of the host, and its way back. `about` is the plan's record for the switch
    (`switch.py`) and the verification (`verify.py`), as JSON has it."""

    home: Path
    identity: str
    state: State
    changes: tuple[Change, ...]
    made_directories: tuple[Path, ...]
    about: dict[str, Any]
    boot: str
    step: str = ""
    reason: str = ""
    deadline: float = 0.0
    """CLOCK_BOOTTIME, in seconds: until then the operator has to confirm."""
    worker: int = 0
    problems: list[str] = field(default_factory=list)

    def record(self, state: State | None = None, step: str | None = None) -> None:
        """Write the journal, synced. Raises OSError."""
        self.state, self.step = state or self.state, self.step if step is None else step
        content = {
            "format": _FORMAT,
            **{name: getattr(self, name) for name in _PLAIN},
            "made_directories": [str(path) for path in self.made_directories],
            "changes": [
                {"path": str(c.path), "before": asdict(c.before), "after": asdict(c.after)}
                for c in self.changes
            ],
        }
        data = json.dumps(content, indent=1).encode() + b"\n"
        write_atomic(self.home / "transaction.json", data, 0o600)
        if self.state in ENDED:
            (self.home / "pending").unlink(missing_ok=True)
            sync_directory(self.home)
        elif not (self.home / "pending").exists():
            write_atomic(self.home / "pending", b"", 0o600)

    def redo(self, change: Change) -> None:
        """Make a change. Raises OSError, HostError."""
        number = self.changes.index(change)
        for directory in reversed(change.path.parents):
            directory.mkdir(mode=0o755, exist_ok=True)
        put(change.path, change.after, self.home / "after" / f"{number:04}")

    def take_back(self, change: Change) -> None:
        """Make a path what it was; what somebody else made of it is kept in `kept/`.

        Raises OSError.
        """
        number = self.changes.index(change)
        if change.path.parent.is_dir():
            beside(change.path).unlink(missing_ok=True)  # of a process that was killed
        now = FileState.of(change.path)
        if now == change.before:
            return
        if now.kind == "file" and not _known(now, change):
            kept = self.home / "kept"
            kept.mkdir(mode=0o700, exist_ok=True)
            keep(change.path, kept / f"{number:04}-{change.path.name}")
        if change.before.kind != "absent":
            for directory in reversed(change.path.parents):
                directory.mkdir(mode=0o755, exist_ok=True)
        elif not change.path.parent.is_dir():
            return
        put(change.path, change.before, self.home / "before" / f"{number:04}")

    def remove_directories(self) -> None:
        """Remove the directories that the transaction made, unless something lies in them."""
        for directory in sorted(self.made_directories, key=lambda d: -len(d.parts)):
            if directory.is_dir() and not any(directory.iterdir()):
                directory.rmdir()

    def foreign(self) -> list[Path]:
        """Return the paths that are neither as before nor as after: changed by somebody since."""
        return [c.path for c in self.changes if not _known(FileState.of(c.path), c)]


_PLAIN = ("identity", "state", "about", "boot", "step", "reason", "deadline", "worker", "problems")


def begin(home: Path, wanted: Sequence[Wanted], about: Mapping[str, Any]) -> Transaction:
    """Write a new transaction, and all that it needs to be taken back, to the disk.

    Nothing else is changed. Raises HostError if another one is under way, OSError.
    """
    before = load(home)
    if before is not None:
        refuse_second(before)
    if home.exists():
        shutil.rmtree(home)
    home.mkdir(mode=0o700, parents=True)
    for name in ("before", "after"):
        (home / name).mkdir(mode=0o700)
    changes = []
    for number, one in enumerate(wanted):
        state = FileState.of(one.path)
        if state.kind == "file":
            keep(one.path, home / "before" / f"{number:04}")
        changes.append(Change(one.path, state, _after(one, home / "after" / f"{number:04}")))
    for directory in (home / "before", home / "after", home, home.parent):
        sync_directory(directory)
    made = Transaction(
        home, secrets.token_hex(8), "planned", tuple(changes), _missing(wanted), dict(about),
        boot_id(),
    )  # fmt: skip
    made.record()
    return made


def refuse_second(before: Transaction) -> None:
    """Raise HostError unless this transaction has been taken back."""
    if before.state == "done":
        raise HostError("this host is prepared already", "`edge-overlay host undo` takes it back")
    if before.state not in ENDED:
        raise HostError(
            f"a transaction is under way already ({before.state})",
            "wait for its end, confirm it with `edge-overlay host confirm`, or take it back with "
            "`edge-overlay host undo`",
        )


def load(home: Path) -> Transaction | None:
    """Read the journal; None if there is none. Raises HostError if it can't be read."""
    path = home / "transaction.json"
    try:
        content = json.loads(path.read_bytes())
        if content.pop("format") != _FORMAT:
            raise HostError(f"{path} was written by another version", "use that one")
        content["made_directories"] = tuple(map(Path, content["made_directories"]))
        content["changes"] = tuple(
            Change(Path(c["path"]), FileState.loaded(c["before"]), FileState.loaded(c["after"]))
            for c in content["changes"]
        )
        return Transaction(home, **content)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise HostError(f"{path} can't be read: {error.strerror}", "try as root") from error
    except (ValueError, KeyError, TypeError) as error:
        raise HostError(f"{path} is damaged", "its copies lie in `before/` beside it") from error


def boot_id() -> str:
    """Return what tells this boot from others (random(4))."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _known(now: FileState, change: Change) -> bool:
    return now.same_content(change.before) or now.same_content(change.after)


def _after(wanted: Wanted, copy: Path) -> FileState:
    if wanted.target is not None:
        return FileState("symlink", target=wanted.target)
    if wanted.data is None:
        return FileState("absent")
    copy.write_bytes(wanted.data)
    copy.chmod(wanted.mode)
    os.chown(copy, wanted.uid, wanted.gid)
    if wanted.mtime:
        os.utime(copy, ns=(wanted.mtime, wanted.mtime))
    with copy.open("rb") as file:
        os.fsync(file.fileno())
    return FileState.of(copy)


def _missing(wanted: Sequence[Wanted]) -> tuple[Path, ...]:
    """Return the directories that the changes will make."""
    parents = {parent for one in wanted for parent in one.path.parents}
    return tuple(sorted(parent for parent in parents if not parent.exists()))
