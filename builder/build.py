"""The build itself, as one list of steps: base, edge layer, then each output."""

from __future__ import annotations

from pathlib import Path

from builder import process
from builder.artifact import Artifact
from builder.bake.layer import make_edge_layer
from builder.bake.vendor import vendored_dependencies
from builder.base import archive, debian
from builder.base.archive import ArchiveState
from builder.base.debian import BaseFiles
from builder.cache import Cache, digest
from builder.errors import OutputError, UnavailableError
from builder.output import iso, oci
from builder.output.iso_template import iso_template
from builder.plan import Plan
from builder.progress import Progress
from builder.workspace import (
    adopt,
    check_writable,
    exclusive,
    remove_parts,
    require_space,
    temporary_tree,
)

_EDGE_BYTES = 64 << 20
_ISO_BYTES = 320 << 20
_OCI_BYTES = 320 << 20


def build(plan: Plan, progress: Progress) -> list[Artifact]:
    """Carry out the plan; raises BuildError, and leaves no half output or temporary tree."""
    cache = Cache(plan.cache_dir)
    state = prepare(plan, cache, progress)
    log = plan.log_path
    with exclusive(plan.output / f".{plan.name}.lock", str(plan.output / plan.name)):
        remove_parts(plan.output, plan.name)
        log.write_bytes(b"")
        adopt(log)
        with progress.step(f"Debian base ({plan.base.sources[0].suite})") as step:
            entry = debian.make_base(plan.base, state, cache, log, step.detail)
            step.note = "from cache" if entry.was_cached else "made by mmdebstrap"
        base = BaseFiles(entry.path)
        with temporary_tree(cache.work) as work:
            layer = _edge_layer(plan, base, state, cache, work, progress)
            return _outputs(plan, base, layer, state, cache, work, progress)


def prepare(plan: Plan, cache: Cache, progress: Progress) -> ArchiveState:
    """Everything that can be wrong is found here, before a minute of work is spent.

    Returns the archive's state, which the base is to be made from.
    """
    tools = {"iso": iso.TOOLS, "oci": oci.TOOLS}
    process.require_tools(sorted({tool for f in plan.formats for tool in tools[f]}))
    check_writable(plan.output)
    check_writable(plan.cache_dir)
    if plan.load:
        oci.check_daemon()
    for path in (plan.iso_path, plan.oci_path, plan.log_path):
        if path.is_dir():
            raise OutputError(f"{path} is a directory", "remove it, or choose another --name")
    with progress.step("Debian mirror") as step:
        state, age = _archive_state(plan, cache, progress)
        step.note = "asked" if age == 0 else f"last asked {_duration(age)} ago"
    if not _has_base(plan, cache, state):
        debian.check_able_to_build(cache)
    images = ("iso" in plan.formats) * _ISO_BYTES + ("oci" in plan.formats) * _OCI_BYTES
    require_space(plan.cache_dir, _EDGE_BYTES + images, "the build")
    require_space(plan.output, images, "the output")
    return state


def _archive_state(plan: Plan, cache: Cache, progress: Progress) -> tuple[ArchiveState, float]:
    """The archive's state to build from, and how old that knowledge is in seconds.

    A base that must be made is made of the archive as it is now, so it is asked now. With a base
    at hand and the mirror gone, the base serves, unless a refresh was asked for.
    """
    sources, max_age = plan.base.sources, plan.archive_max_age_s
    known = archive.last_state(sources, plan.cache_dir)
    have_base = known is not None and _has_base(plan, cache, known[0])
    try:
        return archive.current_state(sources, plan.cache_dir, max_age if have_base else 0.0)
    except UnavailableError as error:
        if known is None or not have_base or not max_age:
            raise
        progress.warn(f"{error.message}; using the base of {_duration(known[1])} ago")
        return known


def _has_base(plan: Plan, cache: Cache, state: ArchiveState) -> bool:
    return cache.find("base", digest(plan.base.inputs(state))) is not None


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} s"


def _edge_layer(
    plan: Plan, base: BaseFiles, state: ArchiveState, cache: Cache, work: Path, progress: Progress
) -> Path:
    with progress.step("Edge layer (runtime, units, user-data)") as step:
        vendor = vendored_dependencies(cache, plan.log_path)
        step.note = "dependencies from cache" if vendor.was_cached else "dependencies fetched"
        about = {"base": base.directory.name, "archive": dict(state.releases)}
        return make_edge_layer(
            plan.user_data, vendor.path / "vendor", about, work, state.date, plan.log_path
        )


def _outputs(
    plan: Plan,
    base: BaseFiles,
    layer: Path,
    state: ArchiveState,
    cache: Cache,
    work: Path,
    progress: Progress,
) -> list[Artifact]:
    made: list[Artifact] = []
    log = plan.log_path
    if "iso" in plan.formats:
        with progress.step(f"ISO {plan.iso_path}") as step:
            size = layer.stat().st_size
            template = iso_template(base, plan.iso, size, cache, work, state.date, log)
            step.note = "frame from cache" if template.was_cached else "frame made by xorriso"
            checksum = iso.write_iso(template, layer, plan.iso_path)
        made.append(Artifact.of("iso", plan.iso_path, checksum))
    if "oci" in plan.formats:
        with progress.step(f"OCI archive {plan.oci_path}") as step:
            lower, was_cached = oci.base_layer(base, cache, log)
            step.note = "base layer from cache" if was_cached else "base layer made"
            layers = [lower, oci.edge_layer(layer, work, log)]
            checksum = oci.write_archive(layers, plan.tag, plan.oci_path, state.date)
        made.append(Artifact.of("oci", plan.oci_path, checksum))
    if plan.load:
        with progress.step(f"Loading {plan.tag} into Docker") as step:
            step.note = oci.load_into_docker(plan.oci_path, plan.tag)
    return made
