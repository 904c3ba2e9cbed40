"""What k3s's and RKE2's configuration says, whoever wrote it.

They read `config.yaml`, then the files of `config.yaml.d` by name; a later value takes the place of
an earlier one, and `key+` appends to it (k3s, pkg/configfilearg/parser.go). The command line comes
after: there a single value wins, and lists get longer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from overlay_runtime.config.cluster import K3S, RKE2
from overlay_runtime.kubernetes import units
from overlay_runtime.kubernetes.detect import AGENT_UNITS, OURS, SERVER_UNITS
from overlay_runtime.kubernetes.model import API_PORT, HEADER, Detected, below
from overlay_runtime.kubernetes.reading import LONGEST, assignments, bytes_of, documents, text_of

_URL_NAMES = {K3S: "K3S_URL", RKE2: "RKE2_URL"}
"""In the environment of a unit."""


@dataclass
class Said:
    """What a configuration says: values by key, and where each was said last."""

    values: dict[str, list[str]] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def one(self, key: str) -> str:
        """Return a single value, or the first of a list; "" without the key."""
        return next(iter(self.values.get(key, ())), "")

    def add(self, key: str, values: list[str], where: str, *, append: bool) -> None:
        """Take a key in, as a later file has it."""
        before = self.values.get(key, []) if append else []
        self.values[key], self.where[key] = [*before, *values], where


def path_of(distribution: str) -> str:
    """Return the path of our drop-in."""
    return f"/etc/rancher/{distribution}/config.yaml.d/{OURS}"


def is_ours(root: Path, detected: Detected) -> bool:
    """Return whether our drop-in is there, from whichever installation of the runtime."""
    path = below(root, path_of(str(detected.distribution)))
    return text_of(path).startswith(f"# {HEADER}")


def said_by_user(root: Path, detected: Detected) -> Said:
    """Read what the user wrote: all files but ours, and the command line and environment."""
    return _read(root, detected, ours=None)


def said_in_all(root: Path, detected: Detected, ours: str) -> Said:
    """Read what Kubernetes will read when our drop-in has the content `ours`."""
    return _read(root, detected, ours=ours)


def api_port(detected: Detected, said: Said) -> int:
    """Return the port of the API server: k3s's can be set, RKE2's can't."""
    text = said.one("https-listen-port") if detected.distribution == K3S else ""
    right = text.isascii() and text.isdigit() and 0 < int(text[:6]) < 1 << 16
    return int(text) if right else API_PORT


def _read(root: Path, detected: Detected, ours: str | None) -> Said:
    name = str(detected.distribution)
    said = Said()
    folder = root / "etc/rancher" / name
    paths = [folder / "config.yaml"]
    more = folder / "config.yaml.d"
    names = {path.name for path in more.glob("*") if path.suffix.lower() in (".yaml", ".yml")}
    names = (names - {OURS}) | ({OURS} if ours is not None else set())
    paths += [more / one for one in sorted(names)]
    for path in paths:
        shown = f"/{path.relative_to(root)}"
        text = ours if path.name == OURS else _text(path, shown, said)
        for key, values in _keys(text or "", shown, said):
            said.add(key.removesuffix("+"), values, shown, append=key.endswith("+"))
    _take_command(root, detected, said)
    return said


def _take_command(root: Path, detected: Detected, said: Said) -> None:
    name = str(detected.distribution)
    unit = (SERVER_UNITS if detected.server else AGENT_UNITS)[name]
    found = [(f"the command line of {unit}", units.flags(units.command(root, unit)))]
    key = "k3s" if detected.server else "k3s-agent"
    block = detected.kairos.get(key) if name == K3S else None
    if isinstance(block, dict) and isinstance(block.get("args"), list):
        words = [word for text in block["args"] for word in str(text).split()]
        found.append((f"Kairos's key `{key}.args`", units.flags(words)))
    for where, flags in found:
        for flag, values in flags.items():
            several = flag in ("node-ip", "tls-san") or flag.endswith("-arg")
            said.add(flag, [v for text in values for v in _split(flag, text)], where,
                     append=several)  # fmt: skip
    url = _url(root, name, unit)
    if url and "server" not in said.values:
        said.add("server", [url], f"the environment of {unit}", append=False)


def _url(root: Path, name: str, unit: str) -> str:
    """Return the URL that k3s's installer or Kairos's provider gives a unit; "" without one."""
    found = ""
    stem = unit.removesuffix(".service")
    for path in (f"etc/systemd/system/{unit}.env", f"etc/default/{stem}", f"etc/sysconfig/{stem}",
                 f"usr/local/lib/systemd/system/{stem}.env",
                 f"etc/rancher/{name}/{stem}.env"):  # fmt: skip
        found = assignments(text_of(root / path)).get(_URL_NAMES[name], found)
    return found


def _text(path: Path, shown: str, said: Said) -> str:
    try:
        data = bytes_of(path, LONGEST + 1)
    except OSError as error:
        said.unreadable.append(f"{shown} can't be read: {error.strerror}")
        return ""
    if len(data) > LONGEST:
        said.unreadable.append(f"{shown} is too long to be read")
        return ""
    return data.decode("utf-8", errors="replace")


def _keys(text: str, shown: str, said: Said) -> Iterator[tuple[str, list[str]]]:
    found = documents(text)  # all of it text, as k3s makes arguments of it
    if found is None or len(found) > 1:
        said.unreadable.append(f"{shown} is not YAML: Kubernetes will not start with it")
        return
    document = found[0] if found else None
    for key, value in document.items() if isinstance(document, dict) else ():
        items = value if isinstance(value, list) else [value]
        texts = [item for item in items if isinstance(item, str)]
        yield str(key), [v for item in texts for v in _split(str(key).rstrip("+"), item)]


def _split(key: str, text: str) -> list[str]:
    """Lists may stand in one text with commas; arguments for others have commas of their own."""
    if key.endswith("-arg"):
        return [text]
    return [part.strip() for part in text.split(",")] if key in ("node-ip", "tls-san") else [text]
