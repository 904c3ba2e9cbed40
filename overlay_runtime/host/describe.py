"""The plan in words. Pure."""

from __future__ import annotations

from overlay_runtime.host.plan import Plan


def describe(plan: Plan) -> str:
    """Return what is found and what will be done, as a person reads it."""
    lines = ["Now:"]
    for name, who in plan.managers.items():
        nic = plan.nics[name]
        held = ", ".join(map(str, nic.kept())) or "no address"
        via = f", gateway {' '.join(nic.gateways())}" if nic.gateways() else ""
        lines.append(f"  {name}: managed by {who}; {held}{via}")
    lines += ["", "Then, all by systemd-networkd:"]
    for name in plan.managers:
        one = plan.settings.get(name)
        lines.append(f"  {name}: " + (one.words() if one else "its present settings, unchanged"))
    if plan.about["stop"]:
        lines += ["", f"Stopped and masked: {', '.join(plan.about['stop'])}"]
    lines += ["", "Files:"]
    for wanted in plan.wanted:
        if wanted.target is not None:
            lines.append(f"  {wanted.path} → {wanted.target}")
        else:
            lines.append(f"  {wanted.path} {'is removed' if wanted.data is None else 'is written'}")
    about = plan.about
    watched = [*about["gateways"], *about["targets"]]
    lines += ["", f"Taken back by itself if {' or '.join(watched)} is lost for "
              f"{about['lost_after']:.0f} s" if watched else "Taken back by itself if an address "
              "is lost"]  # fmt: skip
    if about["confirm"]:
        lines[-1] += f", or if nobody confirms within {about['confirm_within']:.0f} s"
    lines[-1] += "."
    return "\n".join(lines + [f"Note: {note}." for note in plan.notes])
