"""A bundle onto the host: files below /run, variables of services, and who has to reread what.

Nothing here outlives a boot, so that a host without our unit is a host with DHCP.
"""

from __future__ import annotations

import grp
import logging
import os
import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from overlay_runtime.files import write_atomic
from overlay_runtime.network.bundle import LINK_PREFIX, NETWORK_DIR, PREFIX, RESOLVED, Bundle
from overlay_runtime.network.proxies import (
    ALL_VARIABLES,
    for_logins,
    for_user_services,
    has_password,
)

log = logging.getLogger(__name__)

_LOGINS = "edge-overlay/proxy.sh"
_USER_SERVICES = "environment.d/50-edge-proxy.conf"
_GROUP, _ADMINS = "systemd-network", "sudo"
_FROM_COMMAND_LINE = re.compile(r"7[01]-.*\.network")
_SHIFTED = "zz-15-edge-"
_LIMIT_S = 20.0


def place(bundle: Bundle | None, root: Path) -> bool:
    """Make /run of this root say what a bundle says, and nothing else of ours; None: nothing.

    Returns whether any file is another one than before. Raises OSError.
    """
    run = root / "run"
    files = dict(bundle.files) if bundle else {}
    changed = False
    for path in _ours(run):
        if str(path.relative_to(run)) not in files:
            path.unlink(missing_ok=True)
            changed = True
    for name, text in files.items():
        changed |= _write(run / name, text, 0o640, _GROUP if "network/" in name else None)
    if bundle and bundle.devices:
        _yield_command_line(run / NETWORK_DIR)
    environment = dict(bundle.environment) if bundle else {}
    _environment_files(run, environment)
    return changed


def tell_running(bundle: Bundle | None) -> None:
    """Make PID 1, networkd, resolved and udev act on what was placed, as far as they run.

    systemd's own environment is set, not DefaultEnvironment=: for that PID 1 would have to reload
    in the middle of a boot, and run all generators again.
    """
    environment = dict(bundle.environment) if bundle else {}
    gone = [name for name in ALL_VARIABLES if name not in environment]
    _systemctl("unset-environment", *gone)
    if environment:
        # By its own environment: every user can read a program's arguments.
        _run("systemctl", "import-environment", *environment, environment=environment)
    if bundle and any(name.endswith(".link") for name in bundle.files):
        _run("udevadm", "control", "--reload")
        _run("udevadm", "trigger", "--settle", "--action=add", "--subsystem-match=net")
    if _active("systemd-networkd.service"):
        _run("networkctl", "reload")
    if _active("systemd-resolved.service"):
        _systemctl("reload-or-restart", "--no-block", "systemd-resolved.service")


def start(unit: str) -> None:
    """Start a unit, and don't wait for it."""
    _systemctl("start", "--no-block", unit)


def stop(*units: str, wait: bool = False) -> None:
    """Stop units, and perhaps wait until they have ended."""
    _systemctl("stop", *(() if wait else ("--no-block",)), *units)


def _ours(run: Path) -> list[Path]:
    directory = run / NETWORK_DIR
    found = [*directory.glob(f"{PREFIX}*"), *directory.glob(f"{LINK_PREFIX}*.link")]
    inside = [path for one in found if one.is_dir() for path in one.glob("*.conf")]
    resolved = [run / RESOLVED] if (run / RESOLVED).exists() else []
    return [*(one for one in found if not one.is_dir()), *inside, *resolved]


def _write(path: Path, text: str, mode: int, group: str | None) -> bool:
    """Write a file if it is another one; return whether it was."""
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    data = text.encode()
    try:
        if path.read_bytes() == data:
            return False
    except FileNotFoundError:
        pass
    number = _group(group) if group else None
    # Without the group networkd could not read it: it is no secret.
    write_atomic(path, data, 0o644 if number is None else mode, sync=False)
    if number is not None:
        os.chown(path, 0, number)
    return True


def _group(name: str) -> int | None:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return None


def _yield_command_line(directory: Path) -> None:
    """Files that systemd-network-generator made of `ip=` on the kernel's command line, often of a
    network boot, come after the description of the site, and still before plain DHCP."""
    for path in directory.glob("*.network"):
        if _FROM_COMMAND_LINE.fullmatch(path.name):
            path.rename(path.with_name(_SHIFTED + path.name))


def _environment_files(run: Path, environment: Mapping[str, str]) -> None:
    for name, text in ((_LOGINS, for_logins(environment)),
                       (_USER_SERVICES, for_user_services(environment))):  # fmt: skip
        path = run / name
        if not environment:
            path.unlink(missing_ok=True)
            continue
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        secret = has_password(environment)
        write_atomic(path, text.encode(), 0o640 if secret else 0o644, sync=False)
        number = _group(_ADMINS)
        if secret and number is not None:
            os.chown(path, 0, number)


def _active(unit: str) -> bool:
    return _run("systemctl", "--quiet", "is-active", unit, quiet=True)


def _systemctl(*words: str) -> bool:
    return _run("systemctl", *words)


def _run(*words: str, quiet: bool = False, environment: Mapping[str, str] | None = None) -> bool:
    """Run a program; what fails is told without what it said, which may hold a password."""
    try:
        done = subprocess.run(words, capture_output=True, timeout=_LIMIT_S, check=False,
                              env={**os.environ, **(environment or {})})  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("%s %s: %s", words[0], words[1], type(error).__name__)
        return False
    if done.returncode != 0 and not quiet:
        log.warning("%s %s: exit %d", words[0], words[1], done.returncode)
    return done.returncode == 0
