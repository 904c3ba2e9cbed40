"""The command line of `edge-build embed`."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

import click

from builder import process
from builder.embed.remaster import TOOLS, Iso, embed
from builder.errors import BuildError, InputError, OutputError
from builder.kairos.admins import refusal
from builder.kairos.iso import VOLUME_ID
from builder.progress import Progress
from builder.userdata import load_user_data
from builder.workspace import check_writable, exclusive, require_space

_HELP = """Put user-data into an ISO that is already there.

The ISO is one that Kairos's AuroraBoot or edge-build has made. The user-data is checked as `image`
does it; the result is read back: it must hold the user-data, and boot and be otherwise as before.
Takes a second or two, and no root.

\b
  edge-build embed user-data.yaml kairos.iso                     in place
  edge-build embed user-data.yaml kairos.iso --output shop.iso   a copy
  edge-build embed --show shop.iso                               print what is embedded
"""
_VOLUME_NAME = 16 * 2048 + 40
"""Where an ISO has it, in bytes."""
_PATH = click.Path(readable=False, path_type=Path)


@click.command("embed", help=_HELP)
@click.argument("paths", nargs=-1, type=_PATH, metavar="[USER_DATA] ISO")
@click.option("--output", type=_PATH, metavar="FILE", help="write a copy, leave the ISO as it is")
@click.option("--show", is_flag=True, help="print the user-data in ISO on stdout, change nothing")
@click.option("--cidr", metavar="CIDR", help="overlay network; wins over the file's")
@click.option("--hostname", metavar="NAME", help="host name; wins over the file's")
@click.option("--quiet", is_flag=True, help="only warnings and errors")
def embed_command(
    paths: tuple[Path, ...],
    output: Path | None,
    show: bool,
    cidr: str | None,
    hostname: str | None,
    quiet: bool,
) -> None:
    wanted = 1 if show else 2
    if len(paths) != wanted:
        raise click.UsageError("expected: " + ("--show ISO" if show else "USER_DATA ISO"))
    process.require_tools(TOOLS)
    if show:
        _show(paths[0])
        return
    progress = Progress(quiet=quiet)
    os.umask(0o022)
    source, final = paths[1], output or paths[1]
    kairos = _is_kairos(source)
    text = load_user_data(paths[0], cidr, hostname, kairos=kairos)
    for warning in (*text.warnings, refusal(text.text) if kairos else None):
        if warning:
            progress.warn(warning)
    final = _final(source, final)
    with progress.step(f"User-data into {final}") as step:
        checksum = _embed(source, final, text.text.encode())
        step.note = "read back and compared"
    progress.say(f"{final}  {final.stat().st_size / 1e6:.0f} MB  sha256 {checksum}")


def _is_kairos(iso: Path) -> bool:
    """By the volume's name (ECMA-119, 8.4.6); whether it is a whole ISO is looked at later."""
    try:
        with iso.open("rb") as stream:
            stream.seek(_VOLUME_NAME)
            return stream.read(32).rstrip(b" ") == VOLUME_ID.encode()
    except OSError:
        return False


def _final(source: Path, final: Path) -> Path:
    """The file to write; a link stays a link, what it points to is replaced."""
    final = final.resolve()
    if final.is_dir():
        raise OutputError(f"{final} is a directory", "name a file with --output")
    check_writable(final.parent)
    if source.is_file():
        require_space(final.parent, source.stat().st_size, "the copy of the ISO")
    return final


def _embed(source: Path, final: Path, user_data: bytes) -> str:
    log, wanted = _log(), False
    try:
        iso = Iso(source, log)
        lock = final.parent / f".{final.name}.lock"
        with (
            tempfile.TemporaryDirectory(prefix="edge-build-embed-") as work,
            exclusive(lock, str(final)),
        ):
            checksum = embed(iso, user_data, final, Path(work), log)
        lock.unlink(missing_ok=True)
    except BuildError as error:
        wanted = error.log is not None
        raise
    finally:
        if not wanted:
            log.unlink()
    return checksum


def _show(path: Path) -> None:
    log = _log()
    try:
        found = Iso(path, log).user_data(log)
    finally:
        log.unlink()
    if found is None:
        raise InputError(f"{path} has no user-data in it", "edge-build embed USER_DATA ISO")
    sys.stdout.buffer.write(found)
    sys.stdout.buffer.flush()


def _log() -> Path:
    with tempfile.NamedTemporaryFile(prefix="edge-build-", suffix=".log", delete=False) as log:
        return Path(log.name)
