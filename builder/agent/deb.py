"""The Debian package, by dpkg-deb(1)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from builder import __version__, process
from builder.agent.tree import EPOCH, set_times
from builder.templates import TEMPLATES, render_tree

TOOLS = ("dpkg-deb",)


def write_deb(root: Path, made: Path, log: Path) -> None:
    """Pack the tree below `root`, which gains its DEBIAN directory, into `made`.

    Raises ToolFailedError.
    """
    files = sorted(path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
    size = sum(path.stat().st_size for path in files)
    sums = "".join(
        f"{hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()}  "
        f"{path.relative_to(root)}\n"
        for path in files
    )
    control = root / "DEBIAN"
    control.mkdir(mode=0o755)
    values = {"version": __version__, "installed_size": -(-size // 1024)}
    render_tree(TEMPLATES / "agent" / "deb", control, values)
    (control / "md5sums").write_text(sums)
    for path in control.iterdir():
        path.chmod(0o644 if path.name in ("control", "md5sums") else 0o755)
    set_times(root)
    words: list[str | Path] = ["dpkg-deb", "--root-owner-group", "--uniform-compression", "-Zxz"]
    environment = {"SOURCE_DATE_EPOCH": str(EPOCH)}
    process.run([*words, "--build", root, made], log, env=environment)
