"""A build from a Kairos base, as one list of steps: base, edge layer, then each output."""

from __future__ import annotations

import errno
from dataclasses import replace
from pathlib import Path

from builder import process
from builder.artifact import Artifact
from builder.bake.vendor import vendored_dependencies
from builder.cache import Cache
from builder.errors import DiskFullError, OutputError
from builder.kairos import bootfiles, daemon, derived, iso
from builder.kairos.base import OpenedBase, open_base
from builder.kairos.layer import EdgeLayer, make_kairos_layer
from builder.kairos.plan import KairosPlan
from builder.kairos.python import brought_python, read_pins
from builder.kairos.tree import TarLayer, Tree
from builder.progress import Progress
from builder.workspace import (
    adopt,
    check_writable,
    exclusive,
    remove_parts,
    require_space,
    temporary_tree,
)

_SPARE = 64 << 20


def build_kairos(plan: KairosPlan, progress: Progress) -> list[Artifact]:
    """Carry out the plan; raises BuildError, and leaves no half output or temporary tree."""
    prepare(plan)
    cache = Cache(plan.cache_dir)
    with exclusive(plan.output / f".{plan.name}.lock", str(plan.output / plan.name)):
        remove_parts(plan.output, plan.name)
        plan.log_path.write_bytes(b"")
        adopt(plan.log_path)
        with temporary_tree(cache.work) as work:
            base = _base(plan, work, progress)
            edge, tree = _edge(plan, base, cache, work, progress)
            return _outputs(plan, base, edge, tree, work, progress)


def prepare(plan: KairosPlan) -> None:
    """What can be wrong and isn't the base's fault: tools, places, the daemon."""
    if "iso" in plan.formats:
        process.require_tools(iso.TOOLS)
        bootfiles.check_grub(efi=False)
    process.require_tools(["setpriv"])
    check_writable(plan.output)
    check_writable(plan.cache_dir)
    if plan.load:
        with daemon.daemon_client():
            pass
    for path in (plan.iso_path, plan.oci_path, plan.log_path):
        if path.is_dir():
            raise OutputError(f"{path} is a directory", "remove it, or choose another --name")


def _base(plan: KairosPlan, work: Path, progress: Progress) -> OpenedBase:
    with progress.step(f"Kairos base {plan.base}") as step:
        try:
            base = open_base(plan.base, work, step)
        except OSError as error:
            raise _full(error, plan) from error
        version = base.facts.release.get("KAIROS_VERSION", "unknown version")
        found = f"{base.facts.flavor or 'unknown flavour'} {version}"
        step.note = ", ".join(filter(None, (step.note, found)))
    for warning in base.facts.warnings:
        progress.warn(warning)
    size = sum(entry.info.size for entry in base.tree.entries.values() if entry.content)
    stored = sum(layer.blob.size for layer in base.image.layers)
    iso_size = "iso" in plan.formats and size // 2
    oci_size = "oci" in plan.formats and stored
    require_space(plan.cache_dir, iso_size + _SPARE, "the build")
    require_space(plan.output, iso_size + oci_size + _SPARE, "the output")
    return base


def _edge(
    plan: KairosPlan, base: OpenedBase, cache: Cache, work: Path, progress: Progress
) -> tuple[EdgeLayer, Tree]:
    python = None if base.facts.python else _bring_python(plan, cache, progress)
    with progress.step("Edge layer (runtime, units, user-data)") as step:
        vendor = vendored_dependencies(cache, plan.log_path)
        step.note = "dependencies from cache" if vendor.was_cached else "dependencies fetched"
        made = vendor.path / "vendor"
        edge = make_kairos_layer(plan.user_data, made, python, base.facts, base.tree, work)
        top = TarLayer("the edge layer", edge.open_tar, edge.diff_id)
        return edge, base.tree.with_layer(top)


def _bring_python(plan: KairosPlan, cache: Cache, progress: Progress) -> Path:
    """The overlay's own interpreter, for a base without one; the user is told."""
    title = f"Python {read_pins().version} (the base has none that is new enough)"
    with progress.step(title) as step:
        entry = brought_python(cache, plan.mirror, plan.log_path)
        step.note = "from cache" if entry.was_cached else "fetched"
        return entry.path / "python"


def _outputs(
    plan: KairosPlan,
    base: OpenedBase,
    edge: EdgeLayer,
    tree: Tree,
    work: Path,
    progress: Progress,
) -> list[Artifact]:
    made: list[Artifact] = []
    epoch = base.facts.time
    if "iso" in plan.formats:
        with progress.step(f"ISO {plan.iso_path}") as step:
            content = iso.Content(tree, base.facts, plan.user_data)
            try:
                checksum = iso.write_iso(content, plan.iso, plan.iso_path, work, plan.log_path)
            except OSError as error:
                raise _full(error, plan) from error
            step.note = "read back and compared"
        made.append(Artifact.of("iso", plan.iso_path, checksum))
    if "oci" in plan.formats:
        image = derived.derive(base.image, edge, epoch)
        with progress.step(f"OCI archive {plan.oci_path}") as step:
            checksum = derived.write_archive(image, plan.tag, plan.oci_path, epoch)
            step.note = f"image sha256:{image.image_id}"
        made.append(replace(Artifact.of("oci", plan.oci_path, checksum), image=image.image_id))
    if plan.load:
        with progress.step(f"Loading {plan.tag} into Docker") as step:
            daemon.load_image(plan.oci_path, plan.tag, step)
    if plan.push:
        with progress.step(f"Pushing {plan.tag}") as step:
            daemon.push_image(plan.tag, step)
    return made


def _full(error: OSError, plan: KairosPlan) -> Exception:
    """A full disk said as such; everything else as it is."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFullError(
            f"the disk filled up in {plan.cache_dir}",
            "free some space, or put the cache elsewhere with --cache-dir",
            log=plan.log_path,
        )
    return error
