"""What runs: processes, listening sockets and certificates that say otherwise than our files.

We start and stop nothing of Kubernetes'. What it has to be restarted for is told.
"""

from __future__ import annotations

import base64
import ipaddress
import re
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from overlay_runtime.address import IPAddress
from overlay_runtime.config.cluster import K3S, KUBEADM, RKE2
from overlay_runtime.kubernetes import units
from overlay_runtime.kubernetes.detect import UNITS, set_up
from overlay_runtime.kubernetes.model import (
    Contradiction,
    Overlay,
    Plan,
    address,
    certificate_names,
)
from overlay_runtime.paths import Paths

_ETCD_PORTS = {2379: "clients", 2380: "peers"}
_CERTIFICATES = {
    K3S: "var/lib/rancher/k3s/server/tls/serving-kube-apiserver.crt",
    RKE2: "var/lib/rancher/rke2/server/tls/serving-kube-apiserver.crt",
    KUBEADM: "etc/kubernetes/pki/apiserver.crt",
}
_FLAGS = {
    "kubelet": ("node-ip",),
    "kube-apiserver": ("advertise-address",),
    "etcd": ("initial-advertise-peer-urls", "advertise-client-urls"),
    "flanneld": ("iface",),
}
_TOOL_SECONDS = 5.0
_LISTENING = "0A"
"""In /proc/net/tcp: TCP_LISTEN (include/net/tcp_states.h)."""


@dataclass
class Running:
    """What contradicts the overlay in what runs, and what runs with files of before."""

    contradictions: list[Contradiction] = field(default_factory=list)
    stale: list[str] = field(default_factory=list)


def look(plan: Plan, paths: Paths) -> Running:
    """Look at what runs. Never raises; what can't be seen is left out."""
    running = Running()
    if plan.overlay is None or plan.detected.distribution is None:
        return running
    overlay, root = plan.overlay, paths.root
    found = list(_processes(root, overlay))
    if plan.detected.server:
        found += _etcd(root, overlay)
    else:  # an etcd on an agent is somebody else's
        found = [one for one in found if "process etcd" not in one.where]
    running.contradictions += found
    running.contradictions += left_vip(plan, root, has_address)
    if not plan.withheld:
        running.contradictions += _certificate(root, plan, overlay)
        running.stale += stale(plan, paths)
    return running


def stale(plan: Plan, paths: Paths, ask: Callable[[str], float | None] | None = None) -> list[str]:
    """Say which units run with what our files said before. `ask`: when a unit's process began."""
    from overlay_runtime.kubernetes.apply import changes

    found, changed = [], changes(paths)
    for unit in UNITS[str(plan.detected.distribution)]:
        began = (ask or _began)(unit)
        later = [path for path, at in changed.items() if began is not None and at > began]
        # kubelet takes up static pods by itself, and kubeadm's files are read by people.
        later = [path for path in later if path.endswith(("90-edge-overlay.yaml", "kubelet.env"))]
        if later:
            found.append(
                f"{unit} runs with what {later[0]} said before: `systemctl restart {unit}` when it "
                "suits you"
            )
    return found


def _began(unit: str) -> float | None:
    """When the unit's main process began, in seconds of CLOCK_MONOTONIC, or None without one."""
    words = ["systemctl", "show", "-p", "MainPID", "-p", "ExecMainStartTimestampMonotonic", unit]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_TOOL_SECONDS,
                              stdin=subprocess.DEVNULL, check=True)  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return None
    values = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if values.get("MainPID", "0") == "0":
        return None
    try:
        return int(values["ExecMainStartTimestampMonotonic"]) / 1e6
    except (KeyError, ValueError):
        return None


def left_vip(plan: Plan, root: Path, held: Callable[[IPAddress], bool]) -> Iterator[Contradiction]:
    """Look for a VIP that nobody holds any more. `kubeadm reset` ends kube-vip at once, which then
    leaves the VIP on the NIC: two hosts answer for it, and this one reaches only itself there, so
    that it can't join again."""
    overlay = plan.overlay
    if overlay is None or plan.cluster.kube_vip.enabled is False or not held(overlay.vip):
        return
    if set_up(root, str(plan.detected.distribution)):
        return
    if any(name == "kube-vip" for name, _, _ in _programs(root)):
        return
    yield Contradiction(
        overlay.interface, f"{overlay.vip} is left on it, without Kubernetes or kube-vip here",
        "the VIP on the host whose kube-vip has the lease",
        f"`ip address delete {overlay.vip}/{overlay.vip.max_prefixlen} dev {overlay.interface}`",
    )  # fmt: skip


def _programs(root: Path) -> Iterator[tuple[str, list[str], Path]]:
    """What runs: name, command line, and the process's directory below /proc."""
    for path in sorted((root / "proc").glob("[0-9]*/cmdline")):
        try:
            words = path.read_bytes().decode("utf-8", errors="replace").split("\0")
        except OSError:
            continue
        yield Path(words[0]).name, words, path.parent


def _processes(root: Path, overlay: Overlay) -> Iterator[Contradiction]:
    """Command lines. k3s hides its own (it may have secrets), so its kubelet is not seen here."""
    for name, words, process in _programs(root):
        if name not in _FLAGS or not _in_hosts_network(process, overlay):
            continue
        for flag in _FLAGS[name]:
            value = next(iter(units.flags(words).get(flag, [])[-1:]), "")
            if value and not _fits(value, overlay):
                expected = overlay.interface if flag == "iface" else str(overlay.address)
                yield Contradiction(f"the process {name} ({process.name})", f"--{flag}={value}",
                                    expected, "correct its configuration, then restart it"
                                    )  # fmt: skip


def _in_hosts_network(process: Path, overlay: Overlay) -> bool:
    """Whether a process sees the overlay: a pod may have an etcd, or a whole cluster, of its own.

    Read from its list of interfaces, which needs no capability, unlike the link to its namespace.
    """
    try:
        lines = (process / "net/dev").read_text().splitlines()
    except OSError:
        return False
    return any(line.partition(":")[0].strip() == overlay.interface for line in lines)


def _fits(value: str, overlay: Overlay) -> bool:
    own = str(overlay.address)
    if value == overlay.interface or value.split(",")[0] == own:
        return True
    hosts = re.findall(r"https?://\[?([0-9a-fA-F:.]+?)\]?:\d+", value)
    return bool(hosts) and all(host == own for host in hosts)


def _etcd(root: Path, overlay: Overlay) -> Iterator[Contradiction]:
    """Where etcd listens, whoever starts it: k3s has it inside, RKE2 and kubeadm in a pod."""
    told: set[tuple[IPAddress, int]] = set()
    for at, port in listening(root):
        away = not (at.is_loopback or at.is_unspecified or at in (overlay.address, overlay.vip))
        if port in _ETCD_PORTS and away and (at, port) not in told:
            told.add((at, port))
            yield Contradiction("a running etcd", f"it listens for {_ETCD_PORTS[port]} at {at}",
                                str(overlay.address), "see what the configuration says of node-ip "
                                "or advertiseAddress")  # fmt: skip


def listening(root: Path) -> Iterator[tuple[IPAddress, int]]:
    """Return the addresses and ports at which somebody accepts TCP connections (proc(5))."""
    for name, length in (("tcp", 8), ("tcp6", 32)):
        try:
            lines = (root / "proc/net" / name).read_text().splitlines()[1:]
        except OSError:
            continue
        for fields in (line.split() for line in lines):
            host, _, port = fields[1].partition(":") if len(fields) > 3 else ("", "", "")
            if len(host) == length and fields[3] == _LISTENING:
                words = [host[i : i + 8] for i in range(0, length, 8)]
                packed = b"".join(int(word, 16).to_bytes(4, "little") for word in words)
                found = ipaddress.ip_address(packed)
                mapped = getattr(found, "ipv4_mapped", None)
                yield mapped or found, int(port, 16)


def _certificate(root: Path, plan: Plan, overlay: Overlay) -> Iterator[Contradiction]:
    path = _CERTIFICATES[str(plan.detected.distribution)]
    missing = [name for name in certificate_names(plan.cluster, overlay)
               if not _has_name(_der(root / path), name)]  # fmt: skip
    if (root / path).exists() and missing and plan.detected.server:
        remedy = "restart it: it makes a new one"
        if plan.detected.distribution == KUBEADM:
            remedy = ("add the names to certSANs in the ConfigMap kubeadm-config, remove the "
                      "certificate and its key, then `kubeadm init phase certs apiserver --config` "
                      "with that")  # fmt: skip
        yield Contradiction(f"/{path}", "the API server's certificate lacks " + ", ".join(missing),
                            "a certificate with all names", remedy)  # fmt: skip


def _der(path: Path) -> bytes:
    try:
        text = path.read_text(errors="replace")
    except OSError:
        return b""
    match = re.search(r"-----BEGIN CERTIFICATE-----([^-]+)-----END", text)
    try:
        return base64.b64decode(match[1]) if match else b""
    except ValueError:
        return b""


def _has_name(der: bytes, name: str) -> bool:
    """Whether a certificate has the name: [7] iPAddress or [2] dNSName (RFC 5280, 4.2.1.6).

    Looked for as bytes: the standard library reads no certificates from files.
    """
    at = address(name)
    data, tag = (at.packed, 0x87) if at else (name.encode("ascii", errors="replace"), 0x82)
    return len(data) < 128 and bytes([tag, len(data)]) + data in der


def has_address(at: IPAddress) -> bool:
    """Return whether an address is one of this host's, by asking the kernel for a socket."""
    family = socket.AF_INET6 if at.version == 6 else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(at), 0))
    except OSError:
        return False
    return True
