"""The metrics, read by Prometheus' own parser."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from overlay_runtime.counters import Counters
from overlay_runtime.metrics import METRICS, PREFIX, render

DOCUMENT = Path(__file__).parents[3] / "docs/metrics.md"


def status(**fields: Any) -> dict[str, Any]:
    peer = {"id": "1" * 16, "name": 'a "quoted\\\nname', "state": "up", "transport": "ipv4",
            "last_seen": 90.0, "path_mtu": 1400}  # fmt: skip
    return {
        "state": "up", "problems": ["odd"], "started": 40.0, "host": {"id": "0" * 16},
        "overlay": {"interface": "scbr-100", "cidr": "100.64.192.0/23", "address": None,
                    "mtu": 1430},
        "peers": [peer, {**peer, "id": "2" * 16, "state": "lost", "path_mtu": None}],
        "strangers": [], "duplicates": [], "foreign": [{"source": "10.0.0.1", "seen": 1.0}],
        "firewall": {"state": "on", "reason": "", "dropped": {"not-a-peer": 7}},
        "counters": {**Counters(beacons_sent=12).as_dict()}, **fields,
    }  # fmt: skip


def _samples(found: dict[str, Any]) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(render(found, 100.0))
        for sample in family.samples
    }


def test_every_metric_is_there_and_right() -> None:
    got = _samples(status())
    assert {name for name, _ in got} == {PREFIX + metric.name for metric in METRICS}
    assert got[(PREFIX + "state", (("state", "up"),))] == 1
    assert got[(PREFIX + "state", (("state", "waiting"),))] == 0
    assert got[(PREFIX + "peers", (("state", "lost"),))] == 1
    # Nobody is left out, however hosts are reached.
    ways = status()
    peer = ways["peers"][0]
    names = ("ipv6-link-local", "ipv4", "ipv6", None)
    ways["peers"] = [{**peer, "id": str(n), "transport": name} for n, name in enumerate(names)]
    by_way = {k[1]: v for k, v in _samples(ways).items() if k[0] == PREFIX + "peers_by_transport"}
    assert by_way == {(("transport", name or "none"),): 1 for name in names}
    assert got[(PREFIX + "beacons_sent_total", ())] == 12
    assert got[(PREFIX + "uptime_seconds", ())] == 60
    assert got[(PREFIX + "kubernetes_mtu_bytes", ())] == 1350
    assert got[(PREFIX + "firewall_dropped_packets_total", (("rule", "not-a-peer"),))] == 7
    name, peer = ("name", 'a "quoted\\\nname'), ("peer", "1" * 16)
    assert got[(PREFIX + "peer_last_seen_seconds", (name, peer))] == 10


def test_an_agent_that_never_came_up_has_metrics_too() -> None:
    bare = {"state": "error", "problems": [], "overlay": {}, "host": {}, "peers": []}
    got = _samples(bare)
    assert got[(PREFIX + "state", (("state", "up"),))] == 0
    assert (PREFIX + "mtu_bytes", ()) not in got


def test_the_document_lists_them_all() -> None:
    rows = re.findall(r"^\| `(\w+)`[^|]*\| (\w+) \| (.*) \|$", DOCUMENT.read_text(), re.MULTILINE)
    assert rows == [(PREFIX + m.name, m.kind, m.help) for m in METRICS]
