"""k3s and RKE2: what their configuration says, and what ours adds to it.

They read `config.yaml`, then the files of `config.yaml.d` by name; a later value takes the place of
an earlier one, and `key+` appends to it (k3s, pkg/configfilearg/parser.go). The command line comes
after: there a single value wins, and lists get longer.

node-ip decides more than the kubelet's address: it is etcd's address for peers and clients, and the
default of advertise-address (k3s, pkg/cli/server/server.go and pkg/etcd/etcd.go). So no `etcd-arg`
is needed. `bind-address` stays at "all": the API server has to answer at the VIP, too, and at the
physical address for those outside.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from overlay_runtime.config.cluster import AGENT, INIT, K3S, RKE2, SERVER, Cluster
from overlay_runtime.kubernetes import units
from overlay_runtime.kubernetes.detect import AGENT_UNITS, OURS, SERVER_UNITS
from overlay_runtime.kubernetes.model import (
    API_PORT,
    HEADER,
    Contradiction,
    Detected,
    File,
    Overlay,
    Setting,
    address,
    url_host,
)
from overlay_runtime.kubernetes.reading import LONGEST, assignments, bytes_of, text_of

SUPERVISOR_PORT = {K3S: 6443, RKE2: 9345}
_ANYWHERE = ("", "0.0.0.0", "::")
_ENVIRONMENT = {K3S: "K3S_URL", RKE2: "RKE2_URL"}


@dataclass
class Said:
    """What a configuration says: values by key, and where each was said last."""

    values: dict[str, list[str]] = field(default_factory=dict)
    where: dict[str, str] = field(default_factory=dict)
    unreadable: list[str] = field(default_factory=list)

    def one(self, key: str) -> str:
        """Return a single value, or the first of a list; "" without the key."""
        return next(iter(self.values.get(key, ())), "")

    def add(self, key: str, values: list[str], where: str, *, append: bool) -> None:
        """Take a key in, as a later file has it."""
        before = self.values.get(key, []) if append else []
        self.values[key], self.where[key] = [*before, *values], where


def path_of(distribution: str) -> str:
    """Return the path of our drop-in."""
    return f"/etc/rancher/{distribution}/config.yaml.d/{OURS}"


def is_ours(root: Path, detected: Detected) -> bool:
    """Return whether our drop-in is there, from whichever installation of the runtime."""
    path = root / path_of(str(detected.distribution)).lstrip("/")
    return _text(path, "", Said()).startswith(f"# {HEADER}")


def said_by_user(root: Path, detected: Detected) -> Said:
    """Read what the user wrote: all files but ours, and the command line and environment."""
    return _read(root, detected, ours=None)


def said_in_all(root: Path, detected: Detected, ours: str) -> Said:
    """Read what Kubernetes will read when our drop-in has the content `ours`."""
    return _read(root, detected, ours=ours)


def plan(cluster: Cluster, detected: Detected, overlay: Overlay, user: Said) -> File:
    """Say what our drop-in has. Pure: what the user wrote is left to them, key by key."""
    name = str(detected.distribution)
    wanted = list(_wanted(name, cluster, detected, overlay, user))
    lines = [
        f"# {HEADER}",
        f"# It makes {name} use the overlay network {overlay.interface}. What another file of this",
        "# directory or config.yaml says is left to it: write a key there, and it is not written",
        "# here. `edge-overlay kubernetes` shows all of it; docs: edge-overlay(8).",
    ]
    for key, value, why in wanted:
        lines += [f"# {why}", f"{key}: {json.dumps(value)}"]  # JSON is YAML
    settings = tuple(Setting(key, _as_text(value), why) for key, value, why in wanted)
    return File(path_of(name), "\n".join(lines) + "\n", settings)


def _wanted(
    name: str, cluster: Cluster, detected: Detected, overlay: Overlay, user: Said
) -> Iterator[tuple[str, Any, str]]:
    def free(key: str) -> bool:
        return key not in user.values

    own, vip = str(overlay.address), str(overlay.vip)
    if free("node-ip"):
        yield (
            "node-ip",
            own,
            ("The node's address, and etcd's: it stays, whatever the physical network does."),
        )
    # RKE2 has no such key: its flannel is canal, a chart of its own.
    if name == K3S and free("flannel-iface") and _has_flannel(cluster, user):
        yield "flannel-iface", overlay.interface, "flannel's packets go through the overlay."
    if not detected.server:
        if detected.server is False and cluster.role == AGENT and free("server"):
            yield "server", server_url(name, overlay), "Where this host joins: the VIP."
        return
    if free("advertise-address"):
        yield (
            "advertise-address",
            own,
            ("What the API server tells the cluster, even if node-external-ip is set."),
        )
    names = [
        one for one in (vip, *cluster.external_names) if one not in user.values.get("tls-san", ())
    ]
    if names:
        yield "tls-san+", names, "The API server's certificate has the VIP and the names outside."
    if cluster.role == SERVER and free("server") and free("cluster-init"):
        yield "server", server_url(name, overlay), "Where this host joins: the VIP."
    if cluster.cni in ("calico", "cilium") and name == K3S:
        for key, value in (("flannel-backend", "none"), ("disable-network-policy", True)):
            if free(key):
                yield key, value, f"{cluster.cni} is the CNI, and has policies of its own."
    if cluster.cni and name == RKE2 and free("cni"):
        yield "cni", cluster.cni, "As named in user-data."
    if (name, cluster.role) == (K3S, INIT) and not any(
        key in user.values for key in ("cluster-init", "datastore-endpoint", "server")
    ):
        yield "cluster-init", True, "The first control plane: etcd, so that others can join."


def _has_flannel(cluster: Cluster, user: Said) -> bool:
    return user.one("flannel-backend") != "none" and cluster.cni in (None, "flannel")


def server_url(name: str, overlay: Overlay) -> str:
    """Return the URL by which hosts join: k3s's supervisor is at the API's port, RKE2's is not."""
    return f"https://{url_host(overlay.vip)}:{SUPERVISOR_PORT[name]}"


def api_port(detected: Detected, said: Said) -> int:
    """Return the port of the API server: k3s's can be set, RKE2's can't."""
    text = said.one("https-listen-port") if detected.distribution == K3S else ""
    right = text.isascii() and text.isdigit() and 0 < int(text[:6]) < 1 << 16
    return int(text) if right else API_PORT


def contradictions(
    cluster: Cluster, detected: Detected, overlay: Overlay, said: Said
) -> Iterator[Contradiction]:
    """Say what of a whole configuration keeps Kubernetes off the overlay."""
    own = str(overlay.address)
    for key in ("node-ip", "advertise-address"):
        yield from _not_ours(said, key, own, own)
    if detected.distribution == K3S and said.one("flannel-backend") != "none":
        yield from _not_ours(said, "flannel-iface", overlay.interface, overlay.interface)
        if said.one("flannel-external-ip").lower() == "true":
            yield _about(said, "flannel-external-ip", "false", "flannel would use node-external-ip")
    yield from _arguments(said, overlay)
    if not detected.server:
        yield from _joins_elsewhere(said, overlay)
        return
    if said.one("bind-address") not in _ANYWHERE:
        yield _about(said, "bind-address", "none", "the API server would not answer at the VIP")
    missing = [
        name
        for name in (str(overlay.vip), *cluster.external_names)
        if name not in said.values.get("tls-san", ())
    ]
    if missing and "tls-san" in said.where:
        yield Contradiction(
            said.where["tls-san"],
            f"tls-san takes the place of the list before it, which has {', '.join(missing)}",
            "a list that appends",
            "write the key as `tls-san+`",
        )
    yield from _joins_elsewhere(said, overlay)


def _not_ours(said: Said, key: str, expected: str, shown: str) -> Iterator[Contradiction]:
    """A list may have an address of the other family after the overlay's."""
    one = said.one(key)
    if key in said.values and (address(one) or one) != (address(expected) or expected):
        yield _about(said, key, shown, f"remove it, and edge-overlay writes {key}")


def _about(said: Said, key: str, expected: str, remedy: str) -> Contradiction:
    found = ", ".join(said.values[key])
    return Contradiction(said.where[key], f"{key}: {found}", expected, remedy)


def _arguments(said: Said, overlay: Overlay) -> Iterator[Contradiction]:
    """Arguments that are handed on to the kubelet, the API server and etcd."""
    own = str(overlay.address)
    for key, flag in (
        ("kubelet-arg", "node-ip"),
        ("kube-apiserver-arg", "advertise-address"),
    ):
        for text in said.values.get(key, ()):
            name, _, value = text.partition("=")
            if name.lstrip("-") == flag and value.split(",")[0] != own:
                yield Contradiction(said.where[key], f"{key}: {text}", own, "remove it")
    for text in said.values.get("etcd-arg", ()):
        name, _, value = text.partition("=")
        if name.lstrip("-").endswith("-urls") and own not in value:
            yield Contradiction(said.where["etcd-arg"], f"etcd-arg: {text}", f"an URL with {own}",
                                "remove it: node-ip decides etcd's addresses")  # fmt: skip


def _joins_elsewhere(said: Said, overlay: Overlay) -> Iterator[Contradiction]:
    url = said.one("server")
    try:
        host = address(urlsplit(url).hostname or "")
    except ValueError:
        return
    if host is not None and host != overlay.vip:
        yield Contradiction(said.where["server"], f"server: {url}", f"the VIP, {overlay.vip}",
                            "an address that can go away, or change, can't be joined for ever"
                            )  # fmt: skip


def _read(root: Path, detected: Detected, ours: str | None) -> Said:
    name = str(detected.distribution)
    said = Said()
    folder = root / "etc/rancher" / name
    paths = [folder / "config.yaml"]
    more = folder / "config.yaml.d"
    names = {path.name for path in more.glob("*") if path.suffix.lower() in (".yaml", ".yml")}
    names = (names - {OURS}) | ({OURS} if ours is not None else set())
    paths += [more / one for one in sorted(names)]
    for path in paths:
        shown = f"/{path.relative_to(root)}"
        text = ours if path.name == OURS else _text(path, shown, said)
        for key, values in _keys(text or "", shown, said):
            said.add(key.removesuffix("+"), values, shown, append=key.endswith("+"))
    _take_command(root, detected, said)
    return said


def _take_command(root: Path, detected: Detected, said: Said) -> None:
    name = str(detected.distribution)
    unit = (SERVER_UNITS if detected.server else AGENT_UNITS)[name]
    found = [(f"the command line of {unit}", units.flags(units.command(root, unit)))]
    key = "k3s" if detected.server else "k3s-agent"
    block = detected.kairos.get(key) if name == K3S else None
    if isinstance(block, dict) and isinstance(block.get("args"), list):
        words = [word for text in block["args"] for word in str(text).split()]
        found.append((f"Kairos's key `{key}.args`", units.flags(words)))
    for where, flags in found:
        for flag, values in flags.items():
            several = flag in ("node-ip", "tls-san") or flag.endswith("-arg")
            said.add(flag, [v for text in values for v in _split(flag, text)], where,
                     append=several)  # fmt: skip
    url = _environment(root, name, unit).get(_ENVIRONMENT[name])
    if url and "server" not in said.values:
        said.add("server", [url], f"the environment of {unit}", append=False)


def _environment(root: Path, name: str, unit: str) -> dict[str, str]:
    """What k3s's installer and Kairos's provider give a unit. Only the URL is looked at."""
    found: dict[str, str] = {}
    stem = unit.removesuffix(".service")
    for path in (f"etc/systemd/system/{unit}.env", f"etc/default/{stem}", f"etc/sysconfig/{stem}",
                 f"usr/local/lib/systemd/system/{stem}.env",
                 f"etc/rancher/{name}/{stem}.env"):  # fmt: skip
        given = assignments(text_of(root / path)).get(_ENVIRONMENT[name])
        found |= {_ENVIRONMENT[name]: given} if given is not None else {}
    return found


def _text(path: Path, shown: str, said: Said) -> str:
    try:
        data = bytes_of(path, LONGEST + 1)
    except OSError as error:
        said.unreadable.append(f"{shown} can't be read: {error.strerror}")
        return ""
    if len(data) > LONGEST:
        said.unreadable.append(f"{shown} is too long to be read")
        return ""
    return data.decode("utf-8", errors="replace")


def _keys(text: str, shown: str, said: Said) -> Iterator[tuple[str, list[str]]]:
    import yaml

    try:
        # Everything is text, as k3s makes arguments of it.
        document = yaml.load(text, Loader=yaml.BaseLoader)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError):
        said.unreadable.append(f"{shown} is not YAML: Kubernetes will not start with it")
        return
    if not isinstance(document, Mapping):
        return
    for key, value in document.items():
        items = value if isinstance(value, list) else [value]
        texts = [item for item in items if isinstance(item, str)]
        yield str(key), [v for item in texts for v in _split(str(key).rstrip("+"), item)]


def _split(key: str, text: str) -> list[str]:
    """Lists may stand in one text with commas; arguments for others have commas of their own."""
    if key.endswith("-arg"):
        return [text]
    return [part.strip() for part in text.split(",")] if key in ("node-ip", "tls-san") else [text]


def _as_text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value).lower()
