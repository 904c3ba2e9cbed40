"""A host's files in a folder: user-data, the agent's status, and what there is of Kubernetes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from overlay_runtime.kubernetes import record as records
from overlay_runtime.kubernetes.apply import Outcome, apply
from overlay_runtime.kubernetes.facts import gather
from overlay_runtime.kubernetes.model import Plan
from overlay_runtime.kubernetes.plan import make_plan
from overlay_runtime.kubernetes.running import Running
from overlay_runtime.paths import Paths, find_paths
from overlay_runtime.status import boottime

OWN, VIP, CIDR = "100.64.192.5", "100.64.192.1", "100.64.192.0/24"
USER_DATA = f"#cloud-config\noverlay:\n  cidr: {CIDR}\n  secret: sixteen characters\n"
UNIT = "[Service]\nExecStart={}\n[Install]\nWantedBy=multi-user.target\n"
K3S, AGENT = "k3s.service", "k3s-agent.service"
DROP_IN = "etc/rancher/k3s/config.yaml.d/90-edge-overlay.yaml"


class Host:
    """One folder that is a host's root."""

    def __init__(self, root: Path, kubernetes: str = "", more: str = "") -> None:
        self.root = root
        self.paths: Paths = find_paths(str(root))
        self.user_data(kubernetes, more)
        self.up()

    def write(self, path: str, text: str) -> Path:
        """Write a file, whatever there was."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def read(self, path: str) -> str:
        """Read a file."""
        return (self.root / path).read_text()

    def user_data(self, kubernetes: str = "", more: str = "") -> None:
        """Give user-data; `kubernetes` is the block, `more` other keys."""
        block = f"  kubernetes: {{{kubernetes}}}\n" if kubernetes else ""
        self.write("run/edge-overlay/user-data", USER_DATA + block + more)

    def up(self, own: str | None = OWN, vip: str = VIP, **other: Any) -> None:
        """Let the agent say that the overlay is up (or, without an address, that it is not)."""
        status = {
            "state": "up" if own else "waiting", "problems": [], "written": boottime(),
            "overlay": {"interface": "scbr-100", "cidr": CIDR, "address": own, "vip": vip,
                        "mtu": 1430, "vni": 100, "port": 4797},
            "host": {"name": "one"}, "underlay": [], "peers": [], **other,
        }  # fmt: skip
        self.write("run/edge-overlay/status.json", json.dumps(status))

    def unit(self, name: str, command: str = "/bin/true", *, enabled: bool = True) -> None:
        """Install a unit of Kubernetes'."""
        path = self.write(f"etc/systemd/system/{name}", UNIT.format(command))
        link = self.root / "etc/systemd/system/multi-user.target.wants" / name
        link.parent.mkdir(exist_ok=True)
        if enabled and not link.is_symlink():
            link.symlink_to(path)

    def plan(self, starting: str | None = None) -> Plan:
        """What is to be."""
        return make_plan(self.root, gather(self.paths), records.load(self.paths), starting)

    def apply(self, starting: str | None = None, *, adopt: bool = False) -> Outcome:
        """Bring it about, without a look at what runs."""
        return apply(self.paths, starting, adopt=adopt, running=lambda _plan, _paths: Running())

    def problems(self) -> list[str]:
        """What status would show."""
        found = json.loads(self.read("run/edge-overlay/notices/kubernetes.json"))
        return list(found["problems"])
