"""`edge-build validate`, `schema` and `init`."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from builder.config import KEYS, read_text
from builder.errors import BuildError, InputError
from builder.validate import starter
from builder.validate.jsonschema import json_schema, network_config_schema
from builder.validate.report import FORMATS, render, summary
from overlay_runtime.config.document import MAX_BYTES
from overlay_runtime.userdata import netconfig
from overlay_runtime.userdata.check import findings
from overlay_runtime.userdata.finding import Finding, Severity

_FILE = click.Path(readable=False, allow_dash=True)
_VALIDATE_HELP = """Check user-data FILES: every problem of all of them at once.

A network-config (cloud-init's, version 2) is known by its name or its content.

Errors would be refused by `edge-build image`; warnings and notes are told and accepted.

\b
  edge-build validate user-data.yaml
  edge-build validate --format github sites/*.yaml      in a GitHub workflow
  edge-build validate --format sarif FILE > found.sarif
  edge-build validate -                                 from standard input

\b
Exit codes (sysexits(3)):
  0    no errors (with --strict: no warnings either)
  2    wrong use of the command line
  65   errors were found
  66   a file can't be read
"""


@click.command(help=_VALIDATE_HELP)
@click.argument("files", nargs=-1, required=True, type=_FILE)
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("--strict", is_flag=True, help="warnings count as errors")
@click.option("--quiet", is_flag=True, help="text: leave out notes and the summary")
def validate(files: tuple[str, ...], form: str, strict: bool, quiet: bool) -> None:
    found: list[Finding] = []
    failure: BuildError | None = None
    for name in files:
        try:
            found += _of(name)
        except BuildError as error:  # the others are checked nevertheless
            failure = failure or error
    if form == "text" and quiet:
        found = [one for one in found if one.severity is not Severity.NOTE]
    text = render(found, form)
    if text:
        click.echo(text)
    if form == "text" and not quiet:
        click.echo(summary(found, len(files)), err=True)
    if failure is not None:
        raise failure
    bad = (Severity.ERROR, Severity.WARNING) if strict else (Severity.ERROR,)
    if any(one.severity in bad for one in found):
        sys.exit(InputError.exit_code)


def _of(name: str) -> list[Finding]:
    if name != "-":
        return _about(read_text(Path(name), "the user-data file"), name)
    data = sys.stdin.buffer.read(MAX_BYTES + 1)
    try:
        return _about(data.decode("utf-8"), "<stdin>")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"<stdin>:{line}: this is not text in UTF-8", "save it as UTF-8"
        ) from error


def _about(text: str, name: str) -> list[Finding]:
    if netconfig.is_network_config(text, name):
        return netconfig.findings(text, name)
    return findings(text, name)


@click.command()
@click.option("--network-config", is_flag=True, help="of network-config, version 2, instead")
def schema(network_config: bool) -> None:
    """Print the schema of user-data (JSON Schema 2020-12), for editors.

    With the YAML extension of VS Code and others: save it, and write into the second line of
    user-data: `# yaml-language-server: $schema=user-data.schema.json`
    """
    shape = network_config_schema() if network_config else json_schema()
    click.echo(json.dumps(shape, indent=1))


@click.command()
@click.argument("file", type=click.Path(), default="user-data.yaml")
@click.option("--cidr", metavar="CIDR", help=KEYS["cidr"].help.split(";")[0])
@click.option("--hostname", metavar="NAME", help="host name; without it from the hardware")
@click.option("--user", metavar="NAME", help="who may log in  [default: edge]")
@click.option("--ssh-key", type=click.Path(), metavar="FILE", help="public key of that user")
@click.option("--peer", "peers", multiple=True, metavar="ADDRESS", help="host in another segment")
@click.option("--address", metavar="ADDRESS/PREFIX", help="static address  [default: DHCP]")
@click.option("--gateway", metavar="ADDRESS", help="default gateway beside --address")
@click.option("--nameserver", metavar="ADDRESS", help="name servers beside --address, with commas")
@click.option("--yes", is_flag=True, help="ask nothing: defaults for what is not given")
def init(
    file: str, cidr: str | None, hostname: str | None, user: str | None, ssh_key: str | None,
    peers: tuple[str, ...], address: str | None, gateway: str | None, nameserver: str | None,
    yes: bool,
) -> None:  # fmt: skip
    """Write a user-data FILE to start from, with a fresh secret (default: user-data.yaml).

    Asks for what is not given, unless standard input is no terminal.
    """
    ask = not yes and sys.stdin.isatty()
    usual = starter.Answers()
    if ask:
        cidr = cidr or click.prompt("Range of the overlay", default=usual.cidr)
        user = user or click.prompt("Who may log in", default=usual.user)
        ssh_key = ssh_key or click.prompt("Their public SSH key (file)", default=_own_key()) or None
        address = address or click.prompt("Static address with prefix length, or nothing for DHCP",
                                          default="", show_default=False) or None  # fmt: skip
        if address:
            gateway = gateway or click.prompt("Default gateway")
            nameserver = nameserver or click.prompt("Name servers, commas between")
    if not address and (gateway or nameserver):
        raise click.UsageError("--gateway and --nameserver need --address")
    keys = starter.public_keys(Path(ssh_key).expanduser()) if ssh_key else []
    answers = starter.Answers(cidr or usual.cidr, hostname, user or usual.user, keys, peers,
                              address, gateway, nameserver)  # fmt: skip
    starter.write(Path(file), starter.make(answers))
    click.echo(f"{file} written, with a fresh secret: keep it as you would a password.", err=True)
    if not keys:
        click.echo("Nobody can log in yet: put an SSH key into it.", err=True)
    click.echo(f"Next: edge-build image --user-data {file}", err=True)


def _own_key() -> str:
    home = Path("~/.ssh").expanduser()
    for name in ("id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"):
        if (home / name).is_file():
            return str(home / name)
    return ""
