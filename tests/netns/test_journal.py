"""Log lines with fields in a real journal: a systemd-journald in a mount namespace of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.netns.lab import REPOSITORY

_JOURNALD = """
set -eu
mount -t tmpfs none /run
conf=/run/systemd/journald.conf.d
mkdir -p /run/systemd/journal $conf /run/log/journal
printf '[Journal]\\nStorage=volatile\\nAudit=no\\nReadKMsg=no\\n' > $conf/test.conf
/usr/lib/systemd/systemd-journald & journald=$!
trap 'kill $journald; wait $journald || true' EXIT
for i in $(seq 100); do [ -S /run/systemd/journal/socket ] && break; sleep 0.1; done
"$PYTHON" -m tests.netns.test_journal
for i in $(seq 100); do
    journalctl --directory /run/log/journal --no-pager --output json \\
        EDGE_OVERLAY_EVENT=peer-up EDGE_OVERLAY_EVENT=peer-lost > "$FOUND"
    [ "$(wc -l < "$FOUND")" -ge 2 ] && break
    sleep 0.1
done
"""


def _status(*states: str) -> dict[str, Any]:
    peers = [{"id": str(n) * 16, "name": f"till\nPRIORITY={n}", "address": f"100.64.192.{n}",
              "transport": "ipv4", "physical": ["10.9.0.2"], "last_seen": 1.0, "state": state}
             for n, state in enumerate(states)]  # fmt: skip
    return {"state": "up", "problems": [], "overlay": {"address": "100.64.192.9"}, "peers": peers}


def _speak(directory: Path) -> None:
    """What the agent does when a peer comes and another goes."""
    from overlay_runtime.logs import set_up
    from overlay_runtime.report import Teller

    set_up(debug=False)
    teller = Teller(directory / "metrics.prom")
    teller.tell(_status("up"))
    teller.tell(_status("lost"))


def test_the_journal_finds_events_by_their_fields(tmp_path: Path) -> None:
    found = tmp_path / "found"
    done = subprocess.run(
        ["unshare", "--mount", "--propagation", "private", "sh", "-c", _JOURNALD],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=40,
        env=os.environ | {"PYTHON": sys.executable, "FOUND": str(found), "JOURNAL_STREAM": "8:1",
                          "TELLER_DIRECTORY": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    up, lost = (json.loads(line) for line in found.read_text().splitlines())
    assert (up["EDGE_OVERLAY_EVENT"], lost["EDGE_OVERLAY_EVENT"]) == ("peer-up", "peer-lost")
    # A newline in a name begins no field of its own.
    assert (up["PRIORITY"], lost["PRIORITY"]) == ("6", "4")
    for entry in (up, lost):
        assert entry["SYSLOG_IDENTIFIER"] == "edge-overlay"
        assert entry["EDGE_OVERLAY_PEER"] == "0" * 16
        assert entry["EDGE_OVERLAY_ADDRESS"] == "100.64.192.0"
        assert entry["EDGE_OVERLAY_NAME"] == "till\nPRIORITY=0"
        assert entry["CODE_FILE"].endswith("overlay_runtime/report.py")


if __name__ == "__main__":
    _speak(Path(os.environ["TELLER_DIRECTORY"]))
