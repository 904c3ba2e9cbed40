"""The status as metrics in Prometheus' text format 0.0.4. Pure; docs/metrics.md lists the names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

from overlay_runtime import __version__
from overlay_runtime.counters import Counters
from overlay_runtime.table import kubernetes_mtu

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_STATES = ("waiting", "claiming", "up")
_PEER_STATES = ("up", "lost", "claiming", "conflict")

Sample = tuple[dict[str, str], float]
_Status = dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """A name of the documented ones, and how its samples come from the status and the time."""

    name: str
    kind: str
    help: str
    samples: Callable[[_Status, float], Iterable[Sample]]


def _one(path: str) -> Callable[[_Status, float], Iterator[Sample]]:
    def samples(status: _Status, _now: float) -> Iterator[Sample]:
        value: Any = status
        for key in path.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        if isinstance(value, int | float):
            yield {}, value

    return samples


def _info(status: _Status, _now: float) -> Iterator[Sample]:
    overlay = status.get("overlay") or {}
    labels = {key: str(overlay.get(key) or "") for key in ("address", "cidr", "interface")}
    yield {"version": __version__, **labels, "host": status.get("host", {}).get("id", "")}, 1


def _states(status: _Status, _now: float) -> Iterator[Sample]:
    for state in _STATES:
        yield {"state": state}, status["state"] == state


def _peers(status: _Status, _now: float) -> Iterator[Sample]:
    count = Counter(peer["state"] for peer in status.get("peers", ()))
    for state in _PEER_STATES:
        yield {"state": state}, count[state]


def _transports(status: _Status, _now: float) -> Iterator[Sample]:
    count = Counter(p["transport"] or "none" for p in status.get("peers", ()))
    for transport in ("ipv6-link-local", "ipv4", "ipv6", "none"):
        yield {"transport": transport}, count[transport]


def _each_peer(value: Callable[[_Status, float], float | None]) -> Callable[..., Iterator[Sample]]:
    def samples(status: _Status, now: float) -> Iterator[Sample]:
        for peer in status.get("peers", ()):
            number = value(peer, now)
            if number is not None:
                yield {"peer": peer["id"], "name": peer["name"]}, number

    return samples


def _dropped(status: _Status, _now: float) -> Iterator[Sample]:
    for rule, packets in sorted((status.get("firewall") or {}).get("dropped", {}).items()):
        yield {"rule": rule}, packets


def _firewall(status: _Status, _now: float) -> Iterator[Sample]:
    if isinstance(firewall := status.get("firewall"), dict):
        yield {}, firewall.get("state") == "on"


def _length(key: str) -> Callable[[_Status, float], Iterator[Sample]]:
    return lambda status, _now: iter([({}, float(len(status.get(key) or ())))])


def _age(status: _Status, now: float) -> Iterator[Sample]:
    if isinstance(started := status.get("started"), int | float):
        yield {}, now - started


def _kubernetes(status: _Status, _now: float) -> Iterator[Sample]:
    if (mtu := kubernetes_mtu(status)) is not None:
        yield {}, mtu


_COUNTED = {
    "beacons_sent": "Beacons sent.",
    "beacons_received": "Datagrams received on the beacon port.",
    "beacons_bad": "Datagrams refused because they are not signed with our secret.",
    "beacons_malformed": "Beacons signed with our secret that could not be understood.",
    "beacons_stale": "Genuine beacons that were no news, or of a boot not yet proven.",
    "beacons_dropped": "Beacons not answered because of a rate limit.",
    "kernel_corrections": "Corrections of what the kernel held.",
    "kernel_refusals": "Requests that the kernel refused.",
    "rounds": "Rounds in which everything was looked at.",
    "netlink_overruns": "Times that events of the kernel were lost.",
    "address_conflicts": "Times that another host used this host's overlay address.",
    "transport_changes": "Times that a peer began to be reached another way.",
    "defences": "Answers to another host's claim of this host's overlay address.",
}

METRICS: tuple[Metric, ...] = (
    Metric("info", "gauge", "Always 1; the labels say what and where this is.", _info),
    Metric("state", "gauge", "1 for the overlay's present state, 0 for the others.", _states),
    Metric("problems", "gauge", "Problems that `edge-overlay status` shows.", _length("problems")),
    Metric("uptime_seconds", "gauge", "Seconds since the agent's start.", _age),
    Metric("mtu_bytes", "gauge", "MTU of scbr-100.", _one("overlay.mtu")),
    Metric("kubernetes_mtu_bytes", "gauge", "Largest MTU that fits every way across the overlay.",
           _kubernetes),
    Metric("peers", "gauge", "Other hosts, by state.", _peers),
    Metric("peers_by_transport", "gauge", "Other hosts, by how they are reached.", _transports),
    Metric("peer_up", "gauge", "Whether a host is heard.",
           _each_peer(lambda peer, _now: peer["state"] == "up")),
    Metric("peer_last_seen_seconds", "gauge", "Seconds since a host was heard.",
           _each_peer(lambda peer, now: now - peer["last_seen"])),
    Metric("peer_path_mtu_bytes", "gauge", "Largest IP packet known to reach a host.",
           _each_peer(lambda peer, _now: peer.get("path_mtu"))),
    Metric("strangers", "gauge", "Hosts that know the secret but can't be in this overlay.",
           _length("strangers")),
    Metric("duplicates", "gauge", "Other hosts with this host's identity.", _length("duplicates")),
    Metric("foreign_senders", "gauge", "Addresses that lately sent beacons without our secret.",
           _length("foreign")),
    Metric("firewall_on", "gauge", "Whether the overlay's packet filter is in place.", _firewall),
    Metric("firewall_dropped_packets_total", "counter", "Packets dropped, by rule.", _dropped),
    *(
        Metric(f"{field.name}_total", "counter", _COUNTED[field.name],
               _one(f"counters.{field.name}"))
        for field in fields(Counters)
    ),
)  # fmt: skip
PREFIX = "edge_overlay_"


def render(status: _Status, now: float) -> str:
    """Return the metrics of a status, as the status file has it, at `now` (BOOTTIME seconds)."""
    lines: list[str] = []
    for metric in METRICS:
        samples = list(metric.samples(status, now))
        if not samples:
            continue
        name = PREFIX + metric.name
        lines += [f"# HELP {name} {_escaped(metric.help)}", f"# TYPE {name} {metric.kind}"]
        lines += [f"{name}{_labels(labels)} {_number(value)}" for labels, value in samples]
    return "\n".join(lines) + "\n"


def _labels(labels: dict[str, str]) -> str:
    inner = ",".join(f'{key}="{_quoted(value)}"' for key, value in labels.items())
    return f"{{{inner}}}" if inner else ""


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _quoted(text: str) -> str:
    return _escaped(text).replace('"', r"\"")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else f"{value:.3f}"
