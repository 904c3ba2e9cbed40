"""The command line: `edge-build image` and what belongs to it."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import click

from builder import __version__
from builder.agent.build import build_agent
from builder.artifact import Artifact
from builder.build import build
from builder.cache import Cache, default_cache_dir
from builder.cni_values import cni_values
from builder.config import FORMATS, KEYS, checked, defaults, read_config
from builder.embed.command import embed_command
from builder.errors import (
    BuildError,
    DiskFullError,
    InterruptedBuildError,
    OutputError,
)
from builder.kairos.extension import kairos_extension
from builder.kairos.plan import make_kairos_plan
from builder.plan import DAY_S, make_plan
from builder.progress import Progress
from builder.validate.commands import init, schema, validate

_EXIT_CODES = """\b
Exit codes (sysexits(3)):
  0    built
  2    wrong use of the command line
  65   user-data, edge.yaml or the base is wrong: mend it
  66   a file or an image that you named isn't there
  69   a tool, the Debian mirror, PyPI, Docker or a registry is missing
  70   a tool failed, or a bug: see the log
  73   the output can't be written
  74   the disk is full
  75   another build is using the same output or cache: try again
  77   needs root, or a login at the registry
  130  interrupted
"""

_IMAGE_HELP = f"""Build Edge installer images.

Takes a base (Debian, made here and cached) and a user-data file, and writes images whose hosts
come up with the bridge scbr-100, where each keeps its address for ever.

\b
  edge-build image --user-data user-data.yaml
  edge-build image --user-data user-data.yaml --format iso --format oci --load
  edge-build image --config edge.yaml --hostname shop-17 --name shop-17
  edge-build image --user-data user-data.yaml --base oci-archive:kairos.tar

With --base, any Kairos image is the base instead of Debian. It is named as in
containers-transports(5):

\b
  REF               the Docker daemon's image, else pulled from its registry
  docker:REF        always pulled (with the credentials of `docker login`)
  docker-daemon:REF never pulled
  oci-archive:FILE  an OCI archive, or what `docker save` wrote: no daemon
  oci:DIR           an OCI layout: no daemon
  dir:DIR           a root file system as it lies there: no daemon

The first build takes about a minute and needs root (mmdebstrap makes a Debian tree); later ones
take seconds. Values are taken from flags first, then edge.yaml, then defaults.

{_EXIT_CODES}"""


_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Directory(click.Path):
    """A directory that need not exist; an empty name would mean the current one."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not value:
            self.fail("the name of a directory is expected, found nothing", param, ctx)
        return super().convert(value, param, ctx)


_CACHE = _Directory(file_okay=False)
_FILE = click.Path(readable=False)  # whether it can be read is found where it is read


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="edge-build")
def cli() -> None:
    """Builds OS images for Edge hosts whose overlay addresses never change."""


def _help(key: str) -> str:
    default = KEYS[key].default
    text = KEYS[key].help
    shown = " ".join(default) if isinstance(default, tuple) else default
    return f"{text}  [default: {shown}]" if shown else text


@cli.command(help=_IMAGE_HELP)
@click.option("--user-data", type=_FILE, metavar="FILE", help=_help("user-data"))
@click.option("--config", "config", type=_FILE, metavar="FILE", help="settings (edge.yaml)")
@click.option(
    "--format", "formats", type=click.Choice(FORMATS), multiple=True, help=_help("formats")
)
@click.option("--output", type=click.Path(), metavar="DIR", help=_help("output"))
@click.option("--name", metavar="NAME", help=_help("name"))
@click.option("--cidr", metavar="CIDR", help=_help("cidr"))
@click.option("--hostname", metavar="NAME", help=_help("hostname"))
@click.option("--base", metavar="IMAGE", help=_help("base.image"))
@click.option("--mirror", metavar="URL", help=_help("base.mirror"))
@click.option("--package", "packages", multiple=True, metavar="NAME", help=_help("base.packages"))
@click.option("--tag", metavar="REF", help=_help("oci.tag"))
@click.option("--load", is_flag=True, default=None, help=_help("oci.load") + " (implies oci)")
@click.option("--push", is_flag=True, default=None, help=_help("oci.push") + " (implies oci, load)")
@click.option(
    "--cache-dir",
    type=_CACHE,
    envvar="EDGE_BUILD_CACHE_DIR",
    default=default_cache_dir,
    metavar="DIR",
    help="where bases are kept  [default: ~/.cache/edge-build, or $EDGE_BUILD_CACHE_DIR]",
)
@click.option("--refresh", is_flag=True, help="ask the mirror for updates now (else once a day)")
@click.option("--json", "as_json", is_flag=True, help="print what was made as JSON on stdout")
@click.option("--quiet", is_flag=True, help="only warnings and errors")
def image(**flags: Any) -> None:
    progress = Progress(quiet=bool(flags["quiet"]))
    started = time.monotonic()
    os.umask(0o022)
    settings, given = _settings(flags)
    if settings["base.image"] is not None:
        from builder.kairos.build import build_kairos  # takes docker-py with it: half a second

        kairos = make_kairos_plan(settings, given, flags["cache_dir"])
        _warn(kairos.warnings, progress)
        artifacts = build_kairos(kairos, progress)
    else:
        plan = make_plan(settings, flags["cache_dir"], 0.0 if flags["refresh"] else DAY_S)
        _warn(plan.warnings, progress)
        artifacts = build(plan, progress)
    if flags["as_json"]:
        click.echo(json.dumps([vars(artifact) for artifact in artifacts], indent=1))
    _summary(artifacts, time.monotonic() - started, progress)


def _warn(warnings: tuple[str, ...], progress: Progress) -> None:
    for warning in warnings:
        progress.warn(warning)


def _settings(flags: dict[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """Flags over edge.yaml over defaults, and which keys somebody set."""
    settings = defaults()
    read = read_config(Path(flags["config"])) if flags["config"] is not None else {}
    settings |= read
    given = {
        "user-data": flags["user_data"],
        "formats": tuple(dict.fromkeys(flags["formats"])) or None,
        "output": flags["output"],
        "name": flags["name"],
        "cidr": flags["cidr"],
        "hostname": flags["hostname"],
        "base.image": flags["base"],
        "base.mirror": flags["mirror"],
        "base.packages": flags["packages"] or None,
        "oci.tag": flags["tag"],
        "oci.load": flags["load"],
        "oci.push": flags["push"],
    }
    flagged = {name: checked(name, value) for name, value in given.items() if value is not None}
    return settings | flagged, set(read) | set(flagged)


def _summary(artifacts: list[Artifact], seconds: float, progress: Progress) -> None:
    for artifact in artifacts:
        size = f"{artifact.size / 1e6:.0f} MB"
        progress.say(f"{artifact.where}  {size}  sha256 {artifact.sha256}")
    progress.say(f"done in {seconds:.1f} s")


_AGENT_HELP = f"""Make the overlay's agent for hosts that already run.

A Debian package and a self-contained tarball (install.sh) with the same files. Installing changes
nothing of the host's network; `edge-overlay host prepare` does, and can take it back.

\b
  edge-build agent
  edge-build agent --user-data user-data.yaml --format deb --output build

{_EXIT_CODES}"""


@cli.command(help=_AGENT_HELP)
@click.option("--user-data", type=_FILE, metavar="FILE", help="embedded, as in images")
@click.option("--format", "formats", type=click.Choice(["deb", "tar"]), multiple=True,
              help="what to make  [default: both]")  # fmt: skip
@click.option("--output", type=click.Path(), metavar="DIR", default="build", show_default=True)
@click.option("--name", metavar="NAME", default="edge-overlay", show_default=True,
              help="of the files, without suffix")  # fmt: skip
@click.option("--cache-dir", type=_CACHE, envvar="EDGE_BUILD_CACHE_DIR",
              default=default_cache_dir, metavar="DIR", help="as in image")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="print what was made as JSON on stdout")
@click.option("--quiet", is_flag=True, help="only warnings and errors")
def agent(**flags: Any) -> None:
    progress = Progress(quiet=bool(flags["quiet"]))
    started = time.monotonic()
    os.umask(0o022)
    artifacts = build_agent(
        Path(checked("output", flags["output"])).resolve(), checked("name", flags["name"]),
        flags["formats"], Path(flags["user_data"]) if flags["user_data"] else None,
        Path(flags["cache_dir"]).resolve(), progress,
    )  # fmt: skip
    if flags["as_json"]:
        click.echo(json.dumps([vars(artifact) for artifact in artifacts], indent=1))
    _summary(artifacts, time.monotonic() - started, progress)


cli.add_command(validate)
cli.add_command(schema)
cli.add_command(init)
cli.add_command(embed_command)
cli.add_command(kairos_extension)
cli.add_command(cni_values)


@cli.command("clear-cache")
@click.option("--cache-dir", type=_CACHE, envvar="EDGE_BUILD_CACHE_DIR", default=default_cache_dir)
def clear_cache(cache_dir: str) -> None:
    """Remove all cached bases (and nothing else that lies in the cache directory)."""
    freed = Cache(Path(cache_dir)).clear()
    click.echo(f"freed {freed >> 20} MiB in {cache_dir}")


@contextlib.contextmanager
def _signals_interrupt() -> Iterator[None]:
    """SIGTERM and SIGHUP unwind the build as Ctrl-C does, so that nothing is left behind.

    Once it unwinds, further signals don't interrupt the cleaning up. Signals that are ignored
    (nohup) stay so.
    """
    heeded = [s for s in _ENDING if signal.getsignal(s) is not signal.SIG_IGN]

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for number in heeded:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def report(error: BuildError) -> None:
    """Print an error as a person reads it, on standard error."""
    for problem in getattr(error, "problems", ()):
        click.echo(problem, err=True)
    if error.tail:
        click.echo("\n".join(f"  | {line}" for line in error.tail), err=True)
    click.echo(f"edge-build: error: {error.message}.", err=True)
    if error.remedy:
        click.echo(f"  what to do: {error.remedy}", err=True)
    if error.log:
        click.echo(f"  whole log: {error.log}", err=True)


def _from_system(failure: OSError) -> BuildError:
    where = f"{failure.filename}: " if failure.filename else ""
    what = f"{where}{failure.strerror or failure}"
    if failure.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(f"the disk is full: {what}", "free some space, then build again")
    return OutputError(what, "check the paths given, and their permissions")


def _bug() -> BuildError:
    """An error that nobody foresaw: a sentence to the user, and a file with what a report needs."""
    with tempfile.NamedTemporaryFile(
        "w", prefix="edge-build-", suffix=".log", delete=False
    ) as report_file:
        report_file.write(traceback.format_exc())
    last = traceback.format_exc().strip().splitlines()[-1]
    return BuildError(
        f"a bug in edge-build: {last}", "report it with the log", log=Path(report_file.name)
    )


def main() -> None:
    """Entry point; exits with the code of the error class (see `edge-build image --help`)."""
    try:
        with _signals_interrupt():
            cli.main(standalone_mode=False)
    except click.exceptions.Abort:
        error: BuildError = InterruptedBuildError("interrupted; nothing half made was left")
    except KeyboardInterrupt:
        error = InterruptedBuildError("interrupted; nothing half made was left")
    except click.ClickException as usage:
        usage.show()
        sys.exit(usage.exit_code)
    except BuildError as failure:
        error = failure
    except OSError as failure:
        error = _from_system(failure)
    except Exception:  # noqa: BLE001 (nobody gets a bare traceback; it goes into the report)
        error = _bug()
    else:
        return
    report(error)
    sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
