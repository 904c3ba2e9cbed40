"""Which user-data counts on this host: `edge-overlay gather`, early at boot.

A volume labelled cidata goes before the user-data that was baked into the image. The chosen file is
copied as it is, never merged: so every message names a file and a line that a person can look up.

cloud-init gets the volume's file too, even if its overlay block is wrong: the other keys are not
our business. Only what is no YAML, and so of no use to cloud-init either, is left out, and the
image's file given in its place: better a host with the image's users than one without any.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
import socket
from dataclasses import dataclass, field
from pathlib import Path

from overlay_runtime.config.document import is_yaml
from overlay_runtime.config.kairos import find_user_data, has_palette, ignored_network, is_kairos
from overlay_runtime.config.load import decode_text, fault_of
from overlay_runtime.config.passwords import with_kairos_passwords
from overlay_runtime.config.schema import HEADER, UserData, parse_user_data
from overlay_runtime.config.volumes import CIDATA as CIDATA
from overlay_runtime.config.volumes import Volume, find_volume
from overlay_runtime.errors import ConfigError, OverlayError, Problem
from overlay_runtime.files import write_atomic
from overlay_runtime.identity import find_identity, in_container
from overlay_runtime.notices import Notice, tell
from overlay_runtime.paths import Paths

log = logging.getLogger(__name__)

_NETWORK = re.compile(rb"\bnetwork['\"]?\s*:")
_SEED = "var/lib/cloud/seed/nocloud"
_AGENT = "usr/lib/edge-overlay/agent.json"
"""Where the agent was installed on a host that already ran: its cloud-init, if it has one, has a
source of its own, and gets no seed from here."""
_UNFINISHED = (
    "the search for a user-data volume did not come to its end: unplug the disc or stick that "
    "doesn't answer, then reboot"
)


@dataclass
class Choice:
    """The file whose overlay block counts, the file that cloud-init gets, and why."""

    overlay: bytes | None = None
    origin: str | None = None
    user_data: bytes | None = None
    others: dict[str, bytes] = field(default_factory=dict)
    """The volume's further files for cloud-init: meta-data and so on."""
    volume: dict[str, bytes] = field(default_factory=dict)
    """All files of the volume, for the stages and the network."""
    embedded: bytes | None = None
    """The image's file, whatever counts."""
    notes: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def gather(root: str, paths: Paths, identity: str | None) -> Choice:
    """Choose, copy to /run/edge-overlay, and seed cloud-init. Never raises: a boot must go on."""
    base, name = Path(root), str(paths.embedded)
    embedded, fault = _embedded(paths)
    # The image's file is put in place before any volume is looked at: a disc may hang, and what
    # stands on it may be stranger than this program foresees.
    choice = choose(None, embedded, name)
    choice.problems.append(_UNFINISHED)
    _store(choice, base, paths, identity)
    try:
        if is_kairos(base):
            choice = choose(find_user_data(base), embedded, name)
            choice.volume = {}  # Kairos's agent itself acts on the other keys
            _tell_of_the_network(choice, base, paths)
        else:
            choice = choose(find_volume(base), embedded, name)
    except Exception as error:  # noqa: BLE001 # told by its place: its message may hold the secret
        choice = choose(None, embedded, name)
        choice.problems.append(fault_of(error))
    choice.problems += [fault] if fault else []
    for text in choice.problems:
        log.error("%s", text)
    for text in choice.notes:
        log.info("%s", text)
    _store(choice, base, paths, identity)
    return choice


def _tell_of_the_network(choice: Choice, root: Path, paths: Paths) -> None:
    text = ignored_network(choice.overlay or b"", str(choice.origin))
    if text and has_palette(root):
        text = None
    if text:
        log.error("%s", text)
    tell(paths.notices, Notice("network", (text,) if text else ()))


def choose(volume: Volume | None, embedded: bytes | None, embedded_name: str) -> Choice:
    """Decide from what was found. Pure.

    The volume's overlay block counts if it is there and right. A wrong one is reported, and the
    embedded one counts, if there is one: better a network by the image than none.
    """
    choice = Choice(user_data=embedded, embedded=embedded)
    if embedded is not None:
        choice.overlay, choice.origin = embedded, embedded_name
    if volume is None:
        return choice
    choice.others = choice.volume = volume.files
    if volume.fault:
        choice.problems.append(f"the user-data volume {volume.device} can't be read: "
                               f"{volume.fault}")  # fmt: skip
        return choice
    if "user-data" not in volume.files:
        choice.notes.append(f"the volume {volume.device} has no file user-data")
        return choice
    data = volume.files["user-data"]
    if embedded is None or not _broken(data):
        choice.user_data = data
    else:
        choice.notes.append(f"cloud-init gets {embedded_name}: the volume's user-data is no YAML")
        # Not the volume's meta-data: with its instance-id, which stays the same when user-data is
        # mended, cloud-init would hold the host for set up.
        choice.others = {k: v for k, v in volume.files.items() if k != "meta-data"}
    parsed = _parse(data, volume.origin)
    if isinstance(parsed, UserData):
        if parsed.overlay is not None or embedded is None:
            choice.overlay, choice.origin = data, volume.origin
        else:
            choice.notes.append(
                f"the volume {volume.device} has no `overlay:` block: it is taken from "
                f"{embedded_name}"
            )
    elif embedded is None or not _has_block(embedded):
        # Nothing to fall back on: the agent itself reports what is wrong with this file.
        choice.overlay, choice.origin = data, volume.origin
    else:
        choice.problems += [
            f"user-data of the volume {volume.device}: {problem.render()}" for problem in parsed
        ]
        choice.notes.append(f"the `overlay:` block is taken from {embedded_name}")
    return choice


def _embedded(paths: Paths) -> tuple[bytes | None, str | None]:
    """Return the image's file, and what is wrong if it is there and can't be read."""
    try:
        return paths.embedded.read_bytes(), None
    except FileNotFoundError:
        return None, None
    except OSError as error:
        return None, f"{paths.embedded} can't be read: {error.strerror}"


def _broken(data: bytes) -> bool:
    """Whether cloud-init could do nothing with this: it says that it is YAML, and isn't.

    Everything else (a script, something compressed) is for cloud-init to judge.
    """
    header = HEADER.encode()
    return data.startswith(header) and not is_yaml(data.decode("utf-8", errors="replace"))


def _parse(data: bytes, origin: str) -> UserData | tuple[Problem, ...]:
    try:
        return parse_user_data(decode_text(data, origin), origin)
    except ConfigError as error:
        return error.problems


def _has_block(data: bytes) -> bool:
    try:
        return parse_user_data(decode_text(data, ""), "").overlay is not None
    except ConfigError:
        return False


def _store(choice: Choice, root: Path, paths: Paths, identity: str | None) -> None:
    """Put everything in its place. What can't be done (a full /run) keeps nothing else from it."""

    def mark() -> None:
        _mark_network(choice, paths)

    def write() -> None:
        _write(choice, paths)

    def seed() -> None:
        if choice.user_data is not None and not _has_its_own(root):
            _seed(root, choice.user_data, choice.others, identity)

    # The mark first: an empty file finds room where nothing else does.
    for store in (mark, write, seed):
        try:
            store()
        except OSError as error:
            log.error("user-data can't be copied: %s", error)
        except Exception as error:  # noqa: BLE001 # the search must go on; its message may hold the secret
            log.error("user-data can't be copied: %s", fault_of(error))


def _has_its_own(root: Path) -> bool:
    """Whether users and keys are others' business: Kairos's agent, the host's own cloud-init."""
    return is_kairos(root) or (root / _AGENT).exists()


def _write(choice: Choice, paths: Paths) -> None:
    if choice.overlay is None:
        paths.user_data.unlink(missing_ok=True)
    else:
        write_atomic(paths.user_data, choice.overlay, 0o600, sync=False)
    _keep_volume(choice, paths)
    # Without user-data too: the problems say why there is none.
    sources = {
        "origin": choice.origin,
        "overlay": choice.origin,
        "notes": choice.notes,
        "problems": choice.problems,
    }
    write_atomic(paths.sources, json.dumps(sources).encode(), 0o644, sync=False)


def _keep_volume(choice: Choice, paths: Paths) -> None:
    """Copy the volume's files for those who act on them: it may be unplugged any time."""
    if paths.volume.exists():
        shutil.rmtree(paths.volume)
    if not choice.volume:
        return
    paths.volume.mkdir(mode=0o700)
    for name, data in choice.volume.items():
        write_atomic(paths.volume / name, data, 0o600, sync=False)


def _mark_network(choice: Choice, paths: Paths) -> None:
    """Leave a mark if somebody may describe the network: without it no program starts to look."""
    paths.run_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    files = (choice.volume.get("user-data"), choice.embedded)
    if "network-config" in choice.volume or any(map(_may_describe, files)):
        paths.network_mark.touch(mode=0o644)
    else:
        paths.network_mark.unlink(missing_ok=True)


def _may_describe(data: bytes | None) -> bool:
    """Whether there may be a network block. In whatever order: `stylus` may be an alias (`*`)."""
    return bool(data and b"stylus" in data and _NETWORK.search(data))


def _seed(root: Path, data: bytes, others: dict[str, bytes], identity: str | None) -> None:
    """Give cloud-init the user-data, as a NoCloud seed directory.

    cloud-init ignores a volume without meta-data, and would not find the embedded file at all.
    """
    seed = root / _SEED
    if seed.exists():
        shutil.rmtree(seed)  # what an earlier boot found on a volume that is gone now
    seed.mkdir(mode=0o700, parents=True)
    meta = others.get("meta-data", b"")
    if not meta.strip():
        meta = meta_data(root, data, identity)
    write_atomic(seed / "user-data", with_kairos_passwords(data), 0o600, sync=False)
    write_atomic(seed / "meta-data", meta, 0o600, sync=False)
    for name in ("network-config", "vendor-data"):
        if name in others:
            write_atomic(seed / name, others[name], 0o600, sync=False)


def meta_data(root: Path, data: bytes, identity: str | None) -> bytes:
    """An instance-id that changes with the host and with the content: only then is cloud-init to
    run its once-per-instance modules again."""
    try:
        host = find_identity(root, identity).host_id
    except OverlayError:
        host = "unknown"
    content = hashlib.sha256(data).hexdigest()[:12]
    # A container has the name that its engine gave it, and whoever runs it looks for that one.
    name = socket.gethostname() if in_container(root) else f"edge-{host[:6]}"
    meta = {"instance-id": f"edge-{host}-{content}", "local-hostname": name}
    return json.dumps(meta).encode() + b"\n"  # JSON is YAML
