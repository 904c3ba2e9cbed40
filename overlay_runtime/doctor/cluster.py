"""The check of Kubernetes: is it on the overlay?"""

from __future__ import annotations

from overlay_runtime.doctor.model import Host, Result, named


def kubernetes(host: Host) -> Result:
    """Does what was written for Kubernetes, and what runs of it, lead to the overlay?"""
    from overlay_runtime.kubernetes import record as records
    from overlay_runtime.kubernetes.facts import gather
    from overlay_runtime.kubernetes.plan import make_plan
    from overlay_runtime.kubernetes.running import look

    paths = host.paths
    if paths is None:
        return Result("unknown", "where the host's files are is not known")
    if not records.readable(paths):
        return Result("unknown", "it can be read by root only: sudo edge-overlay doctor")
    plan = make_plan(paths.root, gather(paths), records.load(paths))
    name = plan.detected.distribution
    if plan.overlay is None:
        return Result("unknown", plan.withheld or "there is no overlay")
    if name is None:
        return Result("warning" if plan.detected.several else "ok", plan.withheld)
    running = look(plan, paths)
    found = [str(one) for one in (*plan.contradictions, *running.contradictions)]
    if found:
        return Result("fault", named(found, 3), "edge-overlay kubernetes")
    if plan.withheld:
        return Result("warning", plan.withheld, "edge-overlay kubernetes")
    missing = [f.path for f in plan.files if not (paths.root / f.path.lstrip("/")).exists()]
    if missing:
        return Result("warning", f"not written: {named(missing)}",
                      "systemctl start edge-overlay-kubernetes")  # fmt: skip
    if running.stale:
        return Result("warning", named(running.stale), "restart it when it suits you")
    return Result("ok", f"{name} is on the overlay")
