"""`edge-build cni-values`: what a CNI is to be told."""

from __future__ import annotations

import ipaddress
from pathlib import Path

import click

from builder.config import read_text
from builder.errors import InputError
from builder.templates import TEMPLATES
from overlay_runtime.address import IPNetwork
from overlay_runtime.config.keys import OverlayConfig
from overlay_runtime.config.schema import parse_user_data
from overlay_runtime.errors import ConfigError
from overlay_runtime.kubernetes import cni

_LIBRARY = TEMPLATES / "edge" / "usr" / "lib" / "edge-overlay"
_LEAST_MTU, _MOST_MTU = 1280, 9000

_HELP = """Print values for a CNI, so that it uses scbr-100.

\b
  edge-build cni-values calico                       Palette's Calico pack
  edge-build cni-values flannel --form helm          the project's own chart
  edge-build cni-values canal --form rke2            a manifest for RKE2's own chart
  edge-build cni-values cilium --user-data user-data.yaml --output values.yaml

CNIs find the MTU out on the host. Give --mtu where the path to some hosts is narrower than to
others: `edge-overlay status` tells the number. Where the overlay's UDP port is also the CNI's
(--user-data), the CNI gets another one.

\b
Exit codes (sysexits(3)):
  0    printed, or written
  2    wrong use of the command line
  65   user-data is wrong
  66   user-data can't be read
  73   the output can't be written
"""


@click.command("cni-values", help=_HELP)
@click.argument("name", metavar="calico|flannel|cilium|canal", type=click.Choice(cni.CNIS))
@click.option("--form", type=click.Choice(cni.FORMS), default="pack", show_default=True,
              help="of Palette's pack, the project's chart, or RKE2's chart")  # fmt: skip
@click.option("--user-data", type=click.Path(readable=False), metavar="FILE",
              help="whose `overlay:` block counts")  # fmt: skip
@click.option("--mtu", type=click.IntRange(_LEAST_MTU, _MOST_MTU), metavar="BYTES",
              help="that fit scbr-100  [default: `mtu` of user-data, else as found]")  # fmt: skip
@click.option("--pods", metavar="CIDR", help="Calico: the pool of pods' addresses")
@click.option("--output", type=click.Path(dir_okay=False), metavar="FILE",
              help="instead of standard output")  # fmt: skip
def cni_values(
    name: str, form: str, user_data: str | None, mtu: int | None, pods: str | None,
    output: str | None,
) -> None:  # fmt: skip
    if name == "canal" and form != "rke2":
        raise click.UsageError("canal is RKE2's: use --form rke2")
    if pods is not None and (name != "calico" or form == "pack"):
        raise click.UsageError("--pods is for calico with --form helm or rke2")
    overlay = _overlay(Path(user_data)) if user_data is not None else OverlayConfig()
    pool = _network(pods) if pods is not None else None
    if pool is not None and pool.version != overlay.cidr.version:
        raise click.UsageError(f"--pods {pods} is not of the overlay's IP version")
    text = cni.values(name, form, mtu, overlay=overlay, pods=pool, templates=_LIBRARY)
    if output is None:
        click.echo(text, nl=False)
    else:
        Path(output).write_text(text)
    if cni.clash(name, overlay.port, form):
        port = cni.default_port(name, form)
        click.echo(f"The overlay's UDP ports are {overlay.port} and {overlay.port + 1}: {name} is "
                   f"told to leave {port}, its own.", err=True)  # fmt: skip


def _overlay(path: Path) -> OverlayConfig:
    """Return the overlay block of user-data. Raises MissingFileError or InputError."""
    try:
        found = parse_user_data(read_text(path, "the user-data file"), str(path)).overlay
    except ConfigError as error:
        problems = [problem.render() for problem in error.problems]
        raise InputError(f"{path} can't be used", "mend what is named above", problems) from error
    if found is None:
        raise InputError(f"{path} has no `overlay:` block", "add it, or leave --user-data out")
    return found


def _network(text: str) -> IPNetwork:
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise click.UsageError(f"--pods: {error}") from error
