"""User-data on a Kairos host, whose own agent has fetched it: files of /oem, and of the live ISO.

Kairos reads those directories in this order, each recursively and by name, and merges: what comes
later wins. Of the `overlay:` block no keys are merged here: the last file that has one counts, so
that every message names a file and a line. Where its agent leaves user-data: live, on the ISO's
`/config.yaml`; installed, in `/oem/90_custom.yaml`; from a `cidata` volume or a cloud, below
`/oem/95_userdata`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from overlay_runtime.config.schema import parse_user_data
from overlay_runtime.config.volumes import Volume
from overlay_runtime.errors import ConfigError

log = logging.getLogger(__name__)

RELEASE = "etc/kairos-release"
_LIVE = "run/initramfs/live"
_OEM = "oem"
_SUFFIXES = (".yaml", ".yml")
_LONGEST = 4 << 20


def is_kairos(root: Path) -> bool:
    """Whether this host runs a Kairos image."""
    return (root / RELEASE).exists()


def find_user_data(root: Path) -> Volume | None:
    """The file whose `overlay:` block counts, as if a volume had it, or None if no file has one.

    A wrong block counts as well: the agent reports it, or takes the image's. Never raises.
    """
    found = None
    for path in files(root):
        try:
            if path.stat().st_size > _LONGEST:
                continue
            data = path.read_bytes()
        except OSError as error:
            log.error("%s can't be read: %s", path, error.strerror)
            continue
        if _has_block(data):
            name = f"/{path.relative_to(root)}"
            found = Volume(name, {"user-data": data}, origin=name)
    return found


def files(root: Path) -> Iterator[Path]:
    """Return the files of user-data in the order in which Kairos reads them."""
    for folder in (root / _LIVE, root / _OEM):
        paths = folder.glob("*") if folder.name != _OEM else folder.rglob("*")
        yield from sorted(p for p in paths if p.suffix in _SUFFIXES and p.is_file())


def _has_block(data: bytes) -> bool:
    try:
        text = data.decode("utf-8")
        return parse_user_data(text, "").overlay is not None
    except UnicodeDecodeError:
        return False
    except ConfigError:
        return b"\noverlay:" in b"\n" + data
