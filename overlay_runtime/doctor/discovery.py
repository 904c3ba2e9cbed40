"""Checks of who is there, by what the agent's status says."""

from __future__ import annotations

import ipaddress
from typing import Any

from overlay_runtime.doctor.filters import blocking_rules
from overlay_runtime.doctor.model import (
    Host,
    Result,
    Verdict,
    named,
    patience,
    unknown_without_agent,
    who,
)
from overlay_runtime.doctor.ports import holders


def agent(host: Host) -> Result:
    """Is the agent there, and is the overlay up?"""
    state, problems = host.status["state"], host.status["problems"]
    if state == "up" and not problems:
        return Result("ok", f"up, {host.overlay.get('address')}")
    if state == "up":
        return Result("warning", f"up, but: {named(problems, 2)}", "see `edge-overlay status`")
    remedy = "read `journalctl -u edge-overlay`; start it: systemctl restart edge-overlay"
    if state in ("waiting", "claiming"):
        return Result("warning", f"{state}: {named(problems, 2) or 'just a moment'}", remedy)
    if state == "off" and (reason := host.status.get("reason")):
        return Result("ok", f"off: {reason}")
    if state == "off":
        return Result("fault", "user-data has no `overlay:` block", "add one; see README.md")
    return Result("fault", named(problems, 2) or "not running", remedy)


def broadcast_blocked(host: Host) -> Result:
    """Are peers heard by unicast only, or do they hear us so only?"""
    if answer := unknown_without_agent(host):
        return answer
    old = [p for p in host.up_peers if host.now - p.get("since", host.now) > patience(p)]
    told = [p for p in old if isinstance(p.get("heard"), dict)]
    if not told:
        return Result("unknown", "no host has been known for long enough")
    # Peers beyond a router are never heard by broadcast: only those over link-local, or of a
    # network of ours, are on this segment.
    near = [p for p in told if _near(host, p)]
    # It is up, so what doesn't come by broadcast comes by unicast.
    deaf = [who(p) for p in near if not _lately(host, p, p["heard"].get("broadcast"))]
    # Only what a peer sends to this host alone can tell. How long ago means nothing: in a crowd
    # that is seldom, but that it no longer hears us is told at once.
    unheard = [who(p) for p in near if p["heard"].get("unicast") and not p["heard"].get("hears_us")]
    if not near:
        return Result("ok", "no peer is on a segment of this host")
    if not deaf and not unheard:
        return Result("ok", f"{len(near)} hosts are heard by broadcast, and hear ours")
    found = []
    if deaf:
        found.append(f"heard by unicast only: {named(deaf)}")
    if unheard:
        found.append(f"don't hear our broadcasts: {named(unheard)}")
    return Result(
        "warning", "; ".join(found),
        "known hosts go on, new ones are not found: allow UDP broadcasts and multicast to ff02::1 "
        f"on port {host.overlay['port'] + 1} on the switch (storm control, client isolation), or "
        "list hosts as `peers:`",
    )  # fmt: skip


def beacon_port_blocked(host: Host) -> Result:
    """Do beacons get through at all?"""
    if answer := unknown_without_agent(host):
        return answer
    port = host.overlay["port"] + 1
    held = holders(host, port)
    if held and host.status.get("pid") not in held:
        return Result("fault", f"UDP port {port} is taken by "
                      + named([f"{name} ({pid})" for pid, name in held.items()]),
                      "end that process, or set another `port` on every host")  # fmt: skip
    lost = [p for p in host.peers if p["state"] == "lost"]
    if blocking := blocking_rules(host, port, some=bool(lost)):
        heard = len(host.peers) - len(lost)
        text = f"a packet filter of this host drops UDP port {port}: {blocking[0]}"
        return Result("warning" if heard else "fault",
                      f"{text}; {heard} hosts are heard all the same" if heard else text,
                      f"allow UDP port {port} in and out")  # fmt: skip
    remedy = (
        f"allow UDP ports {port - 1} and {port} between the hosts: on firewalls between them, in "
        "security groups, and on the hosts themselves"
    )
    if lost and len(lost) == len(host.peers):
        silent = host.now - max(p["last_seen"] for p in lost)
        text = f"no host has been heard for {silent:.0f} s: {named([who(p) for p in lost])}"
        # A single one may be switched off.
        verdict: Verdict = "fault" if len(lost) > 1 else "warning"
        return Result(verdict, text, remedy)
    counters = host.status.get("counters") or {}
    if not host.peers and counters.get("beacons_sent", 0) > 20:
        received = counters.get("beacons_received", 0)
        text = f"{counters['beacons_sent']} beacons were sent, {received} came, no host is known"
        return Result("warning", text, f"if there are other hosts: {remedy}")
    if not host.peers:
        return Result("unknown", "no other host is known yet")
    silent_ones = f"; silent: {named([who(p) for p in lost])}" if lost else ""
    heard_ones = f"{len(host.peers) - len(lost)} of {len(host.peers)} hosts are heard"
    return Result("ok", heard_ones + silent_ones)


def duplicate_identity(host: Host) -> Result:
    """Does another living host sign with this host's id?"""
    if answer := unknown_without_agent(host):
        return answer
    found = [f"{d.get('name')}: {d.get('why')}" for d in host.status.get("duplicates") or []]
    if found:
        return Result("fault", named(found),
                      "a cloned disk or machine? run `edge-overlay reset` on the copy, and give it "
                      "a machine-id and a product UUID of its own")  # fmt: skip
    return Result("ok", "nobody else has this host's identity")


def foreign_cluster(host: Host) -> Result:
    """Are there hosts of another cluster, or with another secret, on the segment?"""
    if answer := unknown_without_agent(host):
        return answer
    strangers = [f"{s['id']}: {s['reason']}" for s in host.status.get("strangers") or []]
    foreign = [str(f["source"]) for f in host.status.get("foreign") or []]
    if strangers:
        return Result("warning", f"with our secret, but: {named(strangers)}",
                      "give every host the same `cidr`, `vni` and `port`, or another cluster "
                      "another secret")  # fmt: skip
    if foreign:
        return Result("warning", f"not signed with our secret: {named(foreign)}",
                      "another cluster? then nothing needs doing, or give it another `port`; a "
                      "host of this one? then its `secret` differs")  # fmt: skip
    return Result("ok", "only hosts of this cluster are heard")


def address_conflict(host: Host) -> Result:
    """Does somebody use this host's address or MAC address, or two hosts the same?"""
    if answer := unknown_without_agent(host):
        return answer
    found = [f"{who(p)}: {p.get('conflict') or 'in conflict'}"
             for p in host.peers if p["state"] == "conflict"]  # fmt: skip
    if found:
        return Result("fault", named(found),
                      "run `edge-overlay reset` and restart the service on the host that came "
                      "last")  # fmt: skip
    return Result("ok", "no address is used twice")


def _near(host: Host, peer: dict[str, Any]) -> bool:
    """Whether a peer is on a segment of this host: beyond a router, broadcasts aren't expected."""
    if peer["transport"] == "ipv6-link-local":
        return True
    networks = [
        ipaddress.ip_interface(address).network
        for nic in host.status.get("underlay") or []
        for address in nic["addresses"]
        if "." in address
    ]
    listed = [ipaddress.ip_address(address) for address in peer["physical"] if "." in address]
    return any(address in network for address in listed for network in networks)


def _lately(host: Host, peer: dict[str, Any], at: float | None) -> bool:
    return at is not None and host.now - at <= patience(peer)
