"""systemd-networkd and -resolved: what they have now, and the symlinks that enable a unit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from overlay_runtime.host.tools import attempt

UNIT, RESOLVED, WAIT_ONLINE = (
    "systemd-networkd.service", "systemd-resolved.service", "systemd-networkd-wait-online.service",
)  # fmt: skip
RESOLV_CONF = "/run/systemd/resolve/resolv.conf"
_UNIT_PATHS = ("etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system")
_IN_CHARGE = ("configured", "configuring", "pending", "initialized")


@dataclass(frozen=True)
class LinkState:
    """What networkd says of a link: whether it is in charge, and by which file."""

    in_charge: bool
    state: str
    file: str


def link_state(root: Path, index: int) -> LinkState:
    """Read /run/systemd/netif/links, which networkd writes for sd-network(3)."""
    try:
        lines = (root / "run/systemd/netif/links" / str(index)).read_text().splitlines()
    except OSError:
        return LinkState(False, "unknown to it", "")
    values = dict(line.split("=", 1) for line in lines if "=" in line)
    state = values.get("ADMIN_STATE", "unknown to it")
    return LinkState(state in _IN_CHARGE, state, values.get("NETWORK_FILE", ""))


def unit_file(root: Path, unit: str) -> Path | None:
    """Return a unit's file; None if there is none or it is masked."""
    for place in _UNIT_PATHS:
        path = root / place / unit
        if path.is_file():
            return path
    return None


def enabling_links(root: Path, unit: str) -> dict[Path, str]:
    """Return the symlinks that `systemctl enable` makes (systemd.unit(5), [Install]), with their
    targets, also for the units of `Also=`; only those of units that are there."""
    links: dict[Path, str] = {}
    seen: set[str] = set()
    todo = [unit]
    while todo:
        name = todo.pop()
        path = _vendor_file(root, name)
        if name in seen or path is None:
            continue
        seen.add(name)
        install = _install(path)
        todo += install.get("Also", [])
        target = "/" + str(path.relative_to(root))
        etc = root / "etc/systemd/system"
        for alias in install.get("Alias", []):
            links[etc / alias] = target
        for key, suffix in (("WantedBy", "wants"), ("RequiredBy", "requires")):
            for other in install.get(key, []):
                links[etc / f"{other}.{suffix}" / name] = target
    return links


def _vendor_file(root: Path, unit: str) -> Path | None:
    return next((p for d in _UNIT_PATHS[1:] if (p := root / d / unit).is_file()), None)


def _install(path: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    section = ""
    for line in path.read_text(errors="replace").splitlines():
        if line.startswith("["):
            section = line.strip()
        elif section == "[Install]" and "=" in line and line[0] not in "#;":
            key, value = line.split("=", 1)
            found.setdefault(key.strip(), []).extend(value.split())
    return found


def name_servers(path: Path) -> tuple[str, ...]:
    """Return the name servers of a resolv.conf(5), () if it can't be read."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    return tuple(w[1] for line in lines if len(w := line.split()) > 1 and w[0] == "nameserver")


def search_domains(path: Path) -> tuple[str, ...]:
    """Return the search domains of a resolv.conf(5)."""
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        return ()
    found = [line.split()[1:] for line in lines if line.startswith(("search", "domain"))]
    return tuple(word for word in (found[-1] if found else ()) if word != ".")


def reload() -> None:
    """Let a running networkd read its files again. Raises nothing: a restart follows where it
    matters."""
    attempt("networkctl", "reload")
