"""Descriptions of networks, and the host's directories with them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from overlay_runtime.network.render import Rendered, render
from overlay_runtime.network.wanted import Wanted, find_wanted
from overlay_runtime.paths import Paths, find_paths

HEAD = "#cloud-config\noverlay: {cidr: 100.64.0.0/23, secret: 0123456789abcdef0123}\n"


def paths_in(tmp_path: Path) -> Paths:
    paths = find_paths(str(tmp_path), str(tmp_path / "run/edge-overlay"), str(tmp_path / "state"))
    paths.run_dir.mkdir(parents=True, exist_ok=True)
    return replace(paths, embedded=tmp_path / "user-data", root=tmp_path)


def block(*lines: str, site: str = "") -> str:
    """User-data with these lines below `interfaces`, and one below `network`."""
    given = [f"      {site}"] if site else []
    return HEAD + "\n".join(
        ["stylus:", "  site:", "    network:", *given, "      interfaces:",
         *(f"        {line}" for line in lines), ""]
    )  # fmt: skip


def wanted_of(paths: Paths, user_data: str = "", volume: str = "", v2: str = "") -> Wanted:
    for path, text in ((paths.embedded, user_data), (paths.volume / "user-data", volume),
                       (paths.volume / "network-config", v2)):  # fmt: skip
        if text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    found = find_wanted(paths)
    assert found is not None
    return found


def rendered(tmp_path: Path, **given: str) -> Rendered:
    return render(wanted_of(paths_in(tmp_path), **given), tmp_path)


def file_of(made: Rendered, name: str) -> str:
    """A file with its drop-in, as networkd reads it."""
    files = made.bundle.files
    path = f"systemd/network/{name}"
    return files[path] + files.get(f"{path}.d/50-edge.conf", "")


def sections(text: str) -> list[tuple[str, set[str]]]:
    """A file as a list of sections, each with its lines."""
    made: list[tuple[str, set[str]]] = []
    for line in text.splitlines():
        if line.startswith("["):
            made.append((line, set()))
        elif line and not line.startswith("#"):
            made[-1][1].add(line)
    return made


def settings(text: str, section: str) -> set[str]:
    """All lines of the sections of this name."""
    return {line for name, lines in sections(text) if name == f"[{section}]" for line in lines}
