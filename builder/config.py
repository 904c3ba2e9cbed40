"""`edge.yaml`: one table of keys, from which come types, defaults, flags' help and checks."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from builder.errors import InputError, MissingFileError
from overlay_runtime.config import checks
from overlay_runtime.config.document import MAX_BYTES, Value, read_document
from overlay_runtime.errors import ConfigError, Position, Problem

FORMATS = ("iso", "oci")


class _Unfit(Exception):
    """A value that a key can't take: what is expected instead, and how to mend it."""

    def __init__(self, expected: str, remedy: str = "") -> None:
        super().__init__(expected)
        self.remedy = remedy


def _text(pattern: str, expected: str) -> Callable[[Any], str]:
    def check(data: Any) -> str:
        if not isinstance(data, str) or not re.fullmatch(pattern, data):
            raise _Unfit(expected)
        return data

    return check


def _path(data: Any) -> str:
    if not isinstance(data, str) or not data or "\0" in data:
        raise _Unfit("a path")
    return data


def _flag(data: Any) -> bool:
    if not isinstance(data, bool):
        raise _Unfit("true or false")
    return data


def _seconds(data: Any) -> int:
    if isinstance(data, bool) or not isinstance(data, int) or not -1 <= data <= 3600:
        raise _Unfit("a number of seconds, 0 to 3600 (-1: wait for ever)")
    return data


def _cidr(data: Any) -> str:
    """Checked as the overlay's own schema checks it."""
    try:
        return str(checks.cidr(Value(data, Position("", 1, 1))))
    except checks.Wrong as wrong:
        raise _Unfit("a network in private or shared space", wrong.remedy) from None


def _list_of(item: Callable[[Any], str], expected: str) -> Callable[[Any], tuple[str, ...]]:
    def check(data: Any) -> tuple[str, ...]:
        if not isinstance(data, list) or not data:
            raise _Unfit(expected)
        return tuple(item(one) for one in data)

    return check


def _format(data: Any) -> str:
    if data not in FORMATS:
        raise _Unfit(f"a list of formats: {', '.join(FORMATS)}")
    return str(data)


_URL = _text(r"(https?|file|ftp)://\S+", "a URL such as http://deb.debian.org/debian")
_WORD = _text(r"[a-z][a-z0-9.-]*", "a name in lower case, such as trixie")
_PACKAGE = _text(r"[a-z0-9][a-z0-9+.-]+", "a list of Debian package names")
_NAME = _text(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}", "a file name without a directory, such as shop")
_TAG = _text(
    r"([a-z0-9.-]+(:[0-9]+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?",
    "an image reference such as example.org/edge:1.0",
)
_HOSTNAME = _text(
    r"(?=.{1,64}$)(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*",
    "a host name (RFC 1123) such as shop-17",
)
_BASE = _text(r"\S(.*\S)?", "a base image, such as quay.io/kairos/debian:… or oci-archive:FILE.tar")
_ARGUMENT = _text(r"[^\s\"'$;{}\\]+", "a list of kernel arguments, each without spaces or quotes")


@dataclass(frozen=True)
class Key:
    """One key of edge.yaml: its check, its default, and a line of help."""

    check: Callable[[Any], Any]
    default: Any
    help: str


KEYS: dict[str, Key] = {
    "user-data": Key(_path, None, "the user-data file to embed (#cloud-config)"),
    "formats": Key(_list_of(_format, "a list of formats"), ("iso",), "what to build: iso, oci"),
    "output": Key(_path, "build", "directory for the images"),
    "name": Key(_NAME, "edge-installer", "file name of the images, without suffix"),
    "cidr": Key(_cidr, None, "overlay network; wins over `overlay.cidr` in user-data"),
    "hostname": Key(_HOSTNAME, None, "host name; wins over `hostname` in user-data"),
    "base.image": Key(
        _BASE,
        None,
        "a Kairos image instead of the Debian base: REF, docker-daemon:REF, docker:REF, "
        "oci-archive:FILE, oci:DIR or dir:DIR",
    ),
    "base.suite": Key(_WORD, "trixie", "Debian suite"),
    "base.mirror": Key(_URL, "http://deb.debian.org/debian", "Debian archive"),
    "base.security-mirror": Key(
        _URL, "http://deb.debian.org/debian-security", "archive of Debian's security updates"
    ),
    "base.components": Key(
        _list_of(_WORD, "a list of components"), ("main",), "archive components (main, …)"
    ),
    "base.packages": Key(_list_of(_PACKAGE, "a list of packages"), (), "further Debian packages"),
    "iso.kernel-arguments": Key(
        _list_of(_ARGUMENT, "a list of kernel arguments"), (), "further kernel arguments"
    ),
    "iso.menu-timeout": Key(_seconds, 3, "seconds that the boot menu waits"),
    "oci.tag": Key(_TAG, "edge-installer:latest", "reference of the OCI image"),
    "oci.load": Key(_flag, False, "load the OCI image into the Docker daemon"),
    "oci.push": Key(_flag, False, "push the OCI image to the registry that its reference names"),
}
"""Every key by its dotted name; the single source of edge.yaml."""

_PATHS = ("user-data", "output")
_PATH_PREFIXES = ("oci-archive", "oci", "dir")
"""Of `base.image`: what stands behind them is a path."""


def defaults() -> dict[str, Any]:
    """Every key's default, by dotted name."""
    return {name: key.default for name, key in KEYS.items()}


def checked(name: str, data: Any) -> Any:
    """A flag's value, checked as the key of that name would be; raises InputError."""
    value = list(data) if isinstance(data, tuple) else data
    try:
        return KEYS[name].check(value)
    except _Unfit as unfit:
        message = f"{name}: {_shown(value)} is not {unfit}"
        raise InputError(message, unfit.remedy or KEYS[name].help) from None


def read_config(path: Path) -> dict[str, Any]:
    """The keys that `path` sets, by dotted name; relative paths in it start at its directory.

    Raises MissingFileError, or InputError with every problem's line and column.
    """
    text = read_text(path, "edge.yaml")
    problems: list[Problem] = []
    try:
        found = _flatten(read_document(text, str(path)), "", problems)
    except ConfigError as error:
        problems.extend(error.problems)
        found = {}
    values: dict[str, Any] = {}
    for name, value in found.items():
        data = _plain(value)
        try:
            values[name] = KEYS[name].check(data)
        except _Unfit as unfit:
            found_words = f"{name}: found {value.kind()}: {_shown(data)}"
            remedy = unfit.remedy or KEYS[name].help
            problems.append(Problem(value.position, found_words, str(unfit), remedy))
    if problems:
        lines = [p.render() for p in sorted(problems, key=lambda p: p.position)]
        raise InputError(f"{path} can't be used", "mend the file, then build again", lines)
    for name in _PATHS:
        if values.get(name):
            values[name] = str(path.parent / values[name])
    if base := values.get("base.image"):
        prefix, colon, rest = base.partition(":")
        if colon and prefix in _PATH_PREFIXES:
            values["base.image"] = f"{prefix}:{path.parent / rest}"
    return values


def read_text(path: Path, what: str) -> str:
    """A text file that the user named; raises MissingFileError or InputError, never OSError."""
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise InputError(f"{what} {path} is longer than {MAX_BYTES} bytes", "is it the file?")
        return content.decode("utf-8")
    except OSError as error:
        raise MissingFileError(
            f"can't read {what} {path}: {error.strerror}", "check the path and its permissions"
        ) from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}:{line}: {what} is not text in UTF-8", "is it the right file? save it as UTF-8"
        ) from error


def suggestion(word: str, known: Mapping[str, object] | list[str]) -> str:
    """`did you mean X?`, or an empty string."""
    close = difflib.get_close_matches(word, list(known), n=1, cutoff=0.7)
    return f"did you mean {close[0]!r}?" if close else ""


def _flatten(value: Value, prefix: str, problems: list[Problem]) -> dict[str, Value]:
    """Dotted names → values; unknown keys and wrong shapes become problems."""
    sections = {name.partition(".")[0] for name in KEYS if "." in name}
    if not isinstance(value.data, dict):
        where = f"{prefix.rstrip('.')}: " if prefix else ""
        problems.append(
            Problem(value.position, f"{where}found {value.kind()}", "a mapping of keys", "")
        )
        return {}
    flat: dict[str, Value] = {}
    for key, entry in value.data.items():
        name = prefix + key
        if name in KEYS:
            flat[name] = entry.value
        elif name in sections:
            flat |= _flatten(entry.value, f"{name}.", problems)
        else:
            known = [k.removeprefix(prefix) for k in [*KEYS, *sections] if k.startswith(prefix)]
            hint = suggestion(key, known) or f"known here: {', '.join(sorted(known))}"
            problems.append(Problem(entry.key, f"unknown key {name!r}", "", hint))
    return flat


def _plain(value: Value) -> Any:
    """The value without its positions."""
    if isinstance(value.data, dict):
        return {key: _plain(entry.value) for key, entry in value.data.items()}
    if isinstance(value.data, tuple):
        return [_plain(item) for item in value.data]
    return value.data


def _shown(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 60 else f"{text[:57]}…"
