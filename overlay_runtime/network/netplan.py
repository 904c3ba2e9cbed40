"""netplan's generator: a v2 document → files for networkd and udev.

Only these are taken. What else it makes (overrides of wait-online, clean-up for Open vSwitch, udev
rules for NetworkManager) would change what our own units say.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from overlay_runtime.errors import OverlayError
from overlay_runtime.network.bundle import LINK_PREFIX, PREFIX

GENERATOR = Path("/usr/libexec/netplan/generate")
"""Of Debian's netplan-generator (trixie) and netplan.io (bookworm)."""

_LIMIT_S = 20.0
_NAME = "edge.yaml"
_ITS_PREFIX = "10-netplan-"
_PLAIN_LINK = re.compile(r"(WakeOnLan=off|MTUBytes=\d+)")
_AS_DEFAULT = (
    "NamePolicy=keep kernel database onboard slot path\n"
    "AlternativeNamesPolicy=database onboard slot path mac\n"
    "MACAddressPolicy=persistent\n"
)
"""What 99-default.link says, which counts no more for a NIC that has a file of its own."""


class NetplanError(OverlayError):
    """netplan refuses a document. The message is netplan's own first line."""

    exit_code = 78  # EX_CONFIG


def generate(document: Mapping[str, Any], scratch: Path) -> dict[str, str]:
    """Return the text of networkd's and udev's files by their names, under names of ours.

    `document` is what stands below `network:`; `scratch` a directory for the work. Raises
    NetplanError if netplan refuses it or can't be run, OSError if the disk does.
    """
    with tempfile.TemporaryDirectory(prefix="netplan-", dir=scratch) as root:
        given = Path(root, "etc/netplan")
        given.mkdir(parents=True)
        (given / _NAME).touch(mode=0o600)
        # JSON is YAML: nothing of a document's text can be taken for something else.
        (given / _NAME).write_text(json.dumps({"network": dict(document)}, indent=1))
        _run(root)
        return _collected(Path(root, "run/systemd/network"))


def _run(root: str) -> None:
    try:
        done = subprocess.run(
            [GENERATOR, "--root-dir", root], capture_output=True, text=True, errors="replace",
            timeout=_LIMIT_S, check=False, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/sbin:/usr/bin"},
        )  # fmt: skip
    except FileNotFoundError:
        raise NetplanError(f"{GENERATOR} is not there", "install netplan-generator") from None
    except subprocess.TimeoutExpired:
        raise NetplanError(f"netplan did not end within {_LIMIT_S:.0f} s") from None
    if done.returncode != 0:
        raise NetplanError(f"netplan refuses it: {_said(done.stderr) or f'exit {done.returncode}'}")


def _said(stderr: str) -> str:
    """Return the error without its place, which is one in our document, and without a line of
    that document."""
    for line in stderr.splitlines():
        found = re.match(
            rf".*{re.escape(_NAME)}:\d+:\d+: (Error in network definition: )?(.+)", line
        )
        if found:
            return found[2].strip()[:300]
    lines = [line for line in stderr.splitlines() if line.strip() and "WARNING" not in line]
    return lines[0].strip()[:300] if lines else ""


def _collected(directory: Path) -> dict[str, str]:
    files = {}
    for path in sorted(one for one in directory.glob(f"{_ITS_PREFIX}*") if one.is_file()):
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".link" and not _changes_link(text):
            continue
        if path.suffix == ".link" and "\nName=" not in text:
            text += _AS_DEFAULT
        prefix = LINK_PREFIX if path.suffix == ".link" else PREFIX
        files[prefix + path.name.removeprefix(_ITS_PREFIX)] = text
    return files


def _changes_link(text: str) -> bool:
    """Whether a .link file says something that networkd's own file does not: if not, it would only
    keep 99-default.link from naming the NIC."""
    settings = text.partition("[Link]")[2].split()
    return any(not _PLAIN_LINK.fullmatch(one) for one in settings)
