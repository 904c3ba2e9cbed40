"""`edge-build kairos-extension`: for those who make their Kairos image with kairos-init."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import click

from builder import __version__
from builder.bake.vendor import vendored_dependencies
from builder.cache import Cache, default_cache_dir
from builder.errors import OutputError
from builder.kairos.layer import Fit, fill_tree, pack
from builder.progress import Progress
from builder.templates import TEMPLATES, render_tree
from builder.userdata import load_user_data
from builder.workspace import check_writable, make_directory

ARCHIVE = "edge-overlay.tar.gz"
_EPOCH = 315_532_800
"""1980: the same input gives the same bytes; what it is unpacked into has its own times."""

_HELP = """Write a stage extension for kairos-init.

The directory goes into the image at /etc/kairos-init/stage-extensions, and kairos-init is called
with -x. It installs the packages that the overlay needs, and then the overlay itself.

\b
  edge-build kairos-extension --user-data user-data.yaml --output stage-extensions
  # in the Dockerfile:
  COPY stage-extensions /etc/kairos-init/stage-extensions
  RUN kairos-init -x … && rm -rf /etc/kairos-init/stage-extensions

The user-data with the secret is in it: keep it as you keep the image. With
`RUN --mount=type=bind,source=stage-extensions,target=/etc/kairos-init/stage-extensions` in place of
COPY it is in no layer but the one that holds the overlay.
"""


def write_extension(user_data: str | None, vendor: Path, target: Path) -> list[Path]:
    """Write the extension's files into `target`, whole or not at all; returns them."""
    with tempfile.TemporaryDirectory(prefix=".edge-build-", dir=target) as directory:
        work = Path(directory)
        about = {"made-for": "kairos-init"}
        tree = fill_tree(work / "edge", user_data, vendor, about, Fit())
        layer = pack(tree, work, _EPOCH, lambda _folder: False)
        made = work / "made"
        made.mkdir()
        render_tree(TEMPLATES / "kairos-extension", made, {"version": __version__})
        shutil.move(layer.packed, made / ARCHIVE)
        (made / ARCHIVE).chmod(0o600)
        names = sorted(path.name for path in made.iterdir())
        for name in names:
            (made / name).replace(target / name)
    return [target / name for name in names]


@click.command("kairos-extension", help=_HELP)
@click.option("--user-data", metavar="FILE", type=click.Path(readable=False, path_type=Path))
@click.option("--output", metavar="DIR", default="stage-extensions", show_default=True)
@click.option("--cache-dir", metavar="DIR", envvar="EDGE_BUILD_CACHE_DIR", help="cache")
@click.option("--quiet", is_flag=True, help="only warnings and errors")
def kairos_extension(
    user_data: Path | None, output: str, cache_dir: str | None, quiet: bool
) -> None:
    progress = Progress(quiet=quiet)
    os.umask(0o022)
    text = None
    if user_data is None:
        progress.warn("no --user-data: the hosts take it from a `cidata` volume or from /oem")
    else:
        embedded = load_user_data(user_data, None, None, kairos=True)
        text = embedded.text
        for warning in embedded.warnings:
            progress.warn(warning)
    target = Path(output).resolve()
    if target.is_file():
        raise OutputError(f"{target} is a file", "name a directory with --output")
    make_directory(target)
    check_writable(target)
    cache = Cache(Path(cache_dir or default_cache_dir()))
    with progress.step(f"Stage extension {target}") as step, tempfile.TemporaryDirectory() as logs:
        vendor = vendored_dependencies(cache, Path(logs) / "log")
        made = write_extension(text, vendor.path / "vendor", target)
        step.note = ", ".join(path.name for path in made)
