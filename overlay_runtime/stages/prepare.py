"""Early at boot, by `edge-overlay gather`: which stages there are, and what is cloud-init's.

A unit starts only if its stage's name is below /run/edge-overlay/stages: Python takes seconds to
start on slow hardware. cloud-init's keys of #cloud-config files below /system/oem and so on go to
cloud-init as vendor-data, which user-data overrides: the stage runner never acts on them.
"""

from __future__ import annotations

import hashlib
import json
import logging
import re
import shutil
from pathlib import Path
from typing import Any

from overlay_runtime.config.load import fault_of
from overlay_runtime.config.multipart import multipart
from overlay_runtime.config.passwords import as_on_kairos
from overlay_runtime.config.sources import meta_data
from overlay_runtime.files import write_atomic
from overlay_runtime.notices import Notice, tell
from overlay_runtime.paths import Paths
from overlay_runtime.stages.cmdline import config_uri
from overlay_runtime.stages.sources import (
    Documents,
    find_sources,
    is_cloud_config,
    names_with_parts,
)
from overlay_runtime.stages.tree import Tree
from overlay_runtime.userdata import cloud
from overlay_runtime.userdata.lookup import entries
from overlay_runtime.userdata.plain import plain

log = logging.getLogger(__name__)

_SEED = "var/lib/cloud/seed/nocloud"
_BOOT = ("rootfs", "initramfs", "fs", "boot", "network", "reconcile")
_CLOUD_INIT = frozenset(key.name for key in cloud.KEYS)
_HEADER = b"#cloud-config\n"
_APPEND = "list(append)+dict(recurse_list)+str()"
"""The directories' keys and the volume's vendor-data: lists are put together."""


def expect_all(paths: Paths) -> None:
    """Let every stage of the boot start. For as long as nobody knows which there are: `gather` may
    come to its end, or not. Never raises."""
    try:
        _write_names(set(_BOOT), paths)
    except OSError as error:
        log.error("stages can't be prepared: %s", error.strerror)


def prepare(root: str, paths: Paths, identity: str | None = None) -> None:
    """Write the names of the stages, and vendor-data. Never raises: a boot must go on."""
    try:
        tree = Tree(Path(root))
        documents = Documents(find_sources(paths, tree))
        names = names_with_parts(documents.stages())
        if config_uri(tree) or documents.sources.unreadable:
            # What it holds is known when it is fetched. And what can't be read from here, behind
            # the sandbox of gather's unit, the stages can perhaps read.
            names.update(_BOOT)
        _write_names(names, paths)
        # A stage that isn't run tells nothing: what is wrong about whole files is told here.
        tell(
            paths.notices,
            Notice("stages", tuple(f"stages: {text}" for text in documents.problems[:20])),
        )
        _vendor_data(Path(root), documents, identity)
    except Exception as error:  # noqa: BLE001 # told by its place: its message may hold a secret
        log.error("stages can't be prepared: %s", fault_of(error))


def _write_names(names: set[str], paths: Paths) -> None:
    if paths.stages.exists():
        shutil.rmtree(paths.stages)
    paths.stages.mkdir(mode=0o755, parents=True)
    for name in names:
        if "/" not in name and name not in ("", ".", "..") and len(name) < 200:
            (paths.stages / name).touch()


def _vendor_data(root: Path, documents: Documents, identity: str | None) -> None:
    keys: dict[str, Any] = {}
    for _, source, top in documents.read:
        if not source.user_data and is_cloud_config(source.text):
            for name, entry in entries(top).items():
                if name in _CLOUD_INIT and entry.value.data is not None:
                    _merge(keys, name, plain(entry.value))
    seed = root / _SEED
    if not keys:
        return
    if isinstance(keys.get("users"), list):
        keys["users"] = [as_on_kairos(user) for user in keys["users"]]
    ours = _HEADER + json.dumps(keys).encode(errors="replace") + b"\n"  # JSON is YAML
    _name_instance(root, seed, ours, identity)
    place = seed / "vendor-data"
    theirs = place.read_bytes() if place.exists() else b""
    if theirs.strip():
        ours = multipart("vendor-data", ((ours, _APPEND), (theirs, _APPEND)))
    write_atomic(place, ours, 0o600, sync=False)


def _name_instance(root: Path, seed: Path, ours: bytes, identity: str | None) -> None:
    """Make the seed, where there is no user-data; and let the instance be another one when these
    keys change, or cloud-init would not act on them again. The volume's own meta-data stays."""
    place = seed / "meta-data"
    if not seed.is_dir():
        seed.mkdir(mode=0o700, parents=True)
        write_atomic(seed / "user-data", _HEADER + b"{}\n", 0o600, sync=False)
        write_atomic(place, meta_data(root, ours, identity), 0o600, sync=False)
        return
    try:
        meta = json.loads(place.read_bytes())
    except (OSError, ValueError):
        return
    instance = meta.get("instance-id") if isinstance(meta, dict) else None
    if isinstance(instance, str) and re.fullmatch(r"edge-[^-]+-[0-9a-f]{12}", instance):
        named = f"{instance}-{hashlib.sha256(ours).hexdigest()[:12]}"
        text = json.dumps({**meta, "instance-id": named})
        write_atomic(place, text.encode() + b"\n", 0o600, sync=False)


def _merge(keys: dict[str, Any], name: str, value: Any) -> None:
    """Lists are put together, mappings too; of everything else the last file's counts."""
    old = keys.get(name)
    if isinstance(old, list) and isinstance(value, list):
        keys[name] = [*old, *value]
    elif isinstance(old, dict) and isinstance(value, dict):
        keys[name] = {**old, **value}
    else:
        keys[name] = value
