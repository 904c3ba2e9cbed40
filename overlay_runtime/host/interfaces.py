"""/etc/network/interfaces as interfaces(5) has it: stanzas, with what they source. Pure but for
reading the files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from overlay_runtime.errors import HostError

_DIRECTORY_NAMES = re.compile(r"[a-zA-Z0-9_-]+$")
_AUTO = ("auto", "allow-auto", "allow-hotplug")
_STARTS = ("iface", "auto", "mapping", "source", "source-directory", "rename", "no-auto-down",
           "no-scripts", "template")  # fmt: skip
_DEEPEST = 8


@dataclass
class Stanza:
    """`iface NAME FAMILY METHOD` and its options, which may repeat."""

    name: str
    family: str
    method: str
    where: str
    options: list[tuple[str, str]] = field(default_factory=list)

    def all(self, *names: str) -> list[str]:
        """Return the values of options, in file order."""
        return [value for name, value in self.options if name in names]

    def first(self, name: str) -> str:
        """Return an option's value, "" without one."""
        return next(iter(self.all(name)), "")


@dataclass
class Interfaces:
    """All stanzas, and the names that ifupdown brings up by itself."""

    stanzas: list[Stanza] = field(default_factory=list)
    automatic: set[str] = field(default_factory=set)


def read_interfaces(root: Path) -> Interfaces:
    """Read /etc/network/interfaces and all that it sources. Raises HostError for what is beyond
    this program: mappings, templates."""
    found = Interfaces()
    path = root / "etc/network/interfaces"
    if path.exists():
        _read(root, path, found, 0)
    return found


def _read(root: Path, path: Path, found: Interfaces, depth: int) -> None:
    if depth > _DEEPEST:
        raise HostError(f"{path}: files source each other in a circle", "mend it, then repeat")
    current: Stanza | None = None
    for number, words in _lines(path):
        start, rest = words[0], words[1:]
        where = f"{path}:{number}"
        if start in ("mapping", "template", "rename"):
            raise HostError(f"{where}: `{start}` can't be carried over",
                            "write the NIC's own stanza instead")  # fmt: skip
        if start == "iface":
            current = _stanza(where, rest)
            found.stanzas.append(current)
        elif start in _AUTO or start.startswith("allow-"):
            current = None
            if start in _AUTO:
                found.automatic.update(name.split("=")[0] for name in rest)
        elif start in ("source", "source-directory"):
            current = None
            for sourced in _sourced(root, path, start, " ".join(rest)):
                _read(root, sourced, found, depth + 1)
        elif start in _STARTS:
            current = None
        elif current is not None:
            current.options.append((start.replace("_", "-"), " ".join(rest)))


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    try:
        text = path.read_text(errors="replace")
    except OSError as error:
        raise HostError(f"{path} can't be read: {error.strerror}", "try as root") from error
    number, kept = 0, ""
    for line in text.splitlines():
        number += 1
        if line.endswith("\\"):
            kept += line[:-1] + " "
            continue
        words = (kept + line).split()
        kept = ""
        if words and not words[0].startswith("#"):
            yield number, words


def _stanza(where: str, rest: list[str]) -> Stanza:
    if "inherits" in rest:
        raise HostError(f"{where}: `inherits` can't be carried over", "write the stanza out")
    if len(rest) == 1:  # ifupdown 0.8.36: family and method are chosen by the options
        return Stanza(rest[0], "", "", where)
    if len(rest) < 3:
        raise HostError(f"{where}: `iface` needs a name, a family and a method", "mend it")
    return Stanza(rest[0], rest[1], rest[2], where)


def _sourced(root: Path, path: Path, how: str, pattern: str) -> list[Path]:
    place = root / pattern.lstrip("/") if pattern.startswith("/") else path.parent / pattern
    matches = sorted(Path(place.anchor).glob(str(place.relative_to(place.anchor))))
    if how == "source":
        return [match for match in matches if match.is_file()]
    return [
        file
        for match in matches if match.is_dir()
        for file in sorted(match.iterdir())
        if file.is_file() and _DIRECTORY_NAMES.match(file.name)
    ]  # fmt: skip
