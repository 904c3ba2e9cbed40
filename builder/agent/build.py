"""`edge-build agent`: the package and the tarball, from one tree."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder import process
from builder.agent import deb, tarball
from builder.agent.tree import make_tree
from builder.artifact import Artifact
from builder.bake.vendor import vendored_dependencies
from builder.cache import Cache
from builder.output.checksum import checksummed_file, read_checksum
from builder.progress import Progress
from builder.userdata import load_user_data
from builder.workspace import (
    adopt,
    check_writable,
    exclusive,
    remove_parts,
    temporary_tree,
)

SUFFIXES = {"deb": ".deb", "tar": ".tar.gz"}
DEFAULT_NAME = "edge-overlay"


def build_agent(
    output: Path,
    name: str,
    formats: Sequence[str],
    user_data: Path | None,
    cache_dir: Path,
    progress: Progress,
) -> list[Artifact]:
    """Make `output/name.deb` and `output/name.tar.gz`, and their checksums.

    Without `formats` both. Raises InputError for wrong user-data, MissingToolError,
    UnavailableError, OutputError.
    """
    wanted = tuple(dict.fromkeys(formats)) or tuple(SUFFIXES)
    if "deb" in wanted:
        process.require_tools(deb.TOOLS)
    embedded = load_user_data(user_data, None, None) if user_data else None
    for warning in embedded.warnings if embedded else ():
        progress.warn(warning)
    check_writable(output)
    check_writable(cache_dir)
    cache, log = Cache(cache_dir), output / f"{name}.log"
    with exclusive(output / f".{name}.lock", str(output / name)):
        remove_parts(output, name)
        log.write_bytes(b"")
        adopt(log)
        vendor = vendored_dependencies(cache, log).path / "vendor"
        with temporary_tree(cache.work) as work:
            root = work / "root"
            make_tree(root, vendor, embedded.text if embedded else None)
            # The tarball first: the package adds a directory of its own to the tree.
            return [
                _write(kind, root, output / f"{name}{SUFFIXES[kind]}", log, progress)
                for kind in sorted(wanted, reverse=True)
            ]


def _write(kind: str, root: Path, final: Path, log: Path, progress: Progress) -> Artifact:
    with progress.step(f"{_WORDS[kind]} {final}"), checksummed_file(final) as made:
        if kind == "deb":
            deb.write_deb(root, made, log)
        else:
            tarball.write_tarball(root, made)
    return Artifact(kind, str(final), final.stat().st_size, read_checksum(final))


_WORDS = {"deb": "Debian package", "tar": "Tarball"}
